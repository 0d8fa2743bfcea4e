// SPDX-License-Identifier: Apache-2.0
// The order of operations and the verdicts of the Linux kernel's self-test of its lock validator
// (lib/locking-selftest.c, Linux 6.x), process context: 49 + 14 + 8 + 7 + 24 = 102 rows.
//
// The kernel's locks and ours: spin lock - pthread_spinlock_t; rwlock, whose readers may recurse -
// the default pthread_rwlock_t; mutex - pthread_mutex_t; rw_semaphore - the writer-preferring
// pthread_rwlock_t; rt_mutex - a mutex with priority inheritance.
//
// Where the kernel wants a report about a lock that is taken twice, it takes a second object of the
// same class, so that the test does not really lock up; here it is the lock itself, which is what
// the row is about. same_class_table() has the forms with two objects, and the verdict about them.
// The kernel's readers of an rw_semaphore count as if somebody always wrote: rows that need that
// have assume_writers.
#include <array>

#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {
namespace {

/// A column of the kernel's table.
struct Mode {
    std::string_view name;
    std::string_view kind;
    std::string_view verb;
};
constexpr std::array<Mode, 7> modes{{{"spin", "spin", "lock"},
                                     {"wlock", "rwlock", "lock"},
                                     {"rlock", "rwlock", "read"},
                                     {"mutex", "mutex", "lock"},
                                     {"wsem", "fair", "lock"},
                                     {"rsem", "fair", "read"},
                                     {"rtmutex", "pi", "lock"}}};

std::string named(std::string_view what, std::string_view column) {
    return std::string(what).append(" ").append(column);
}

/// Readers who may recurse close no ring; all others do.
void add_orders(std::vector<Row>& rows) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> orders{
        {{"ABBA", "AB BA"},
         {"ABBCCA", "AB BC CA"},
         {"ABCABC", "AB CA BC"},
         {"ABBCCDDA", "AB BC CD DA"},
         {"ABCDBDDA", "AB CD BD DA"},
         {"ABCDBCDA", "AB CD BC DA"}}};
    for (const Mode& mode : modes) {
        const std::string locks = named("X1 X2", mode.kind);
        const bool recursive = mode.name == "rlock";
        const std::string script =
            replaced(recursive ? "X1.take X2.take" : "X1.take X1.take", "take", mode.verb);
        std::optional<FindingKind> expected = FindingKind::relock;
        if (mode.name == "rsem") expected = FindingKind::recursive_read;
        if (recursive) expected.reset();
        rows.push_back(make_row(named("AA", mode.name), locks, script, expected));
        rows.back().assume_writers = mode.name == "rsem";
    }
    for (const auto& [name, pairs] : orders) {
        for (const Mode& mode : modes) {
            std::optional<FindingKind> expected = FindingKind::order;
            if (mode.name == "rlock") expected.reset();
            rows.push_back(make_row(named(name, mode.name), named("A B C D", mode.kind),
                                    nested_pairs(pairs, mode.verb), expected));
            rows.back().assume_writers = mode.name == "rsem";
        }
    }
}

void add_misuses(std::vector<Row>& rows) {
    for (const Mode& mode : modes)
        rows.push_back(make_row(named("double unlock", mode.name), named("A", mode.kind),
                                replaced("A.take A.unlock A.unlock", "take", mode.verb),
                                FindingKind::unlock_unheld));
    for (const Mode& mode : modes)
        rows.push_back(make_row(named("init held", mode.name), named("A", mode.kind),
                                replaced("A.take A.init", "take", mode.verb),
                                FindingKind::destroy_held));
}

/// A thread that has a lock for reading or writing and wants it once more.
void add_recursions(std::vector<Row>& rows) {
    rows.push_back(make_row("recursive read rlock", "X1 rwlock", "X1.read X1.read", {}));
    rows.push_back(
        make_row("recursive read rsem", "X1 fair", "X1.read X1.read", FindingKind::recursive_read));
    rows.back().assume_writers = true;
    rows.push_back(make_row("recursive read 2 rlock", "X1 X2 rwlock", "X1.read X2.read", {}));
    // Another lock is held between the two: still the same thread, still the same lock.
    rows.push_back(make_row("recursive read 2 rsem", "X1 Y fair", "Y.lock X1.read X1.read",
                            FindingKind::recursive_read));
    rows.back().assume_writers = true;
    for (const std::string_view kind : {"rwlock", "fair"}) {
        const std::string locks = named("X1", kind);
        rows.push_back(make_row(named("mixed read write", kind), locks, "X1.read X1.lock",
                                FindingKind::relock));
        rows.push_back(make_row(named("mixed write read", kind), locks, "X1.lock X1.read",
                                FindingKind::relock));
    }
}

void add_mixed_orders(std::vector<Row>& rows) {
    const auto add = [&](std::string_view name, std::string_view first, std::string_view second,
                         bool with_rlock) {
        const std::string script = std::string("X.")
                                       .append(first)
                                       .append(" Y.lock Y.unlock X.unlock Y.lock X.")
                                       .append(second)
                                       .append(" X.unlock Y.unlock");
        std::optional<FindingKind> expected = FindingKind::order;
        if (!with_rlock) expected.reset();
        rows.push_back(make_row(named(name, "rlock"), "X rwlock, Y spin", script, expected));
        rows.push_back(
            make_row(named(name, "rsem"), "X fair, Y mutex", script, FindingKind::order));
        rows.back().assume_writers = second == "read";
    };
    add("mixed ABBA 1", "read", "lock", true);
    add("mixed ABBA 2", "read", "read", false);
    add("mixed ABBA 3", "lock", "lock", true);
    // The harmless order comes in between: who remembers orders without how a lock was taken takes
    // the third one for known.
    rows.push_back(make_row("chain cached ABBA rlock", "X rwlock, Y spin",
                            "X.read Y.lock Y.unlock X.unlock "
                            "Y.lock X.read X.unlock Y.unlock "
                            "Y.lock X.lock X.unlock Y.unlock",
                            FindingKind::order));
}

/// Rings of three in which a lock that was read is, or is not, wanted for reading.
void add_strong_paths(std::vector<Row>& rows) {
    struct Shape {
        std::string_view name;
        std::array<std::string_view, 3> steps;  ///< Verbs of both locks of a step, "lock read".
        bool strong;
    };
    constexpr std::array<Shape, 4> shapes{{
        {"W1R2 W2R3 W3R1", {"lock read", "lock read", "lock read"}, true},
        {"W1W2 R2R3 W3R1", {"lock lock", "read read", "lock read"}, true},
        {"W1W2 R2R3 R3W1", {"lock lock", "read read", "read lock"}, false},
        {"W1R2 R2R3 W3W1", {"lock read", "read read", "lock lock"}, false},
    }};
    constexpr std::array<std::string_view, 6> orders{"123", "132", "213", "231", "312", "321"};
    constexpr std::string_view ring = "XYZX";
    for (const Shape& shape : shapes) {
        for (const std::string_view order : orders) {
            std::string script;
            for (const char digit : order) {
                const auto step = static_cast<size_t>(digit - '1');
                const std::string outer(1, ring[step]);
                const std::string inner(1, ring[step + 1]);
                const std::string_view verbs = shape.steps[step];
                script.append(outer).append(".").append(verbs.substr(0, 4)).append(" ");
                script.append(inner).append(".").append(verbs.substr(5)).append(" ");
                script.append(inner).append(".unlock ").append(outer).append(".unlock ");
            }
            std::optional<FindingKind> expected;
            if (shape.strong) expected = FindingKind::order;
            rows.push_back(make_row(named(shape.name, order), "X Y Z rwlock", script, expected));
        }
    }
}

}  // namespace

Table kernel_table() {
    Table table{"kernel", "Linux lib/locking-selftest.c, process context", {}};
    add_orders(table.rows);
    add_misuses(table.rows);
    add_recursions(table.rows);
    add_mixed_orders(table.rows);
    add_strong_paths(table.rows);
    return table;
}

Table same_class_table() {
    Table table{"same-class", "Linux lib/locking-selftest.c, its rows with two objects", {}};
    // Parent and child, or hand over hand: no finding by itself (lock-verdicts.md, rule 5).
    for (const Mode& mode : modes) {
        const std::string locks = named("X1 X2", mode.kind);
        const auto script = [&](std::string_view text) {
            return replaced(std::string(text), "take", mode.verb);
        };
        table.rows.push_back(make_row(named("nested", mode.name), locks,
                                      script("X1.take X2.take X2.unlock X1.unlock"), {}));
        // In both orders it is one, where it can block.
        std::optional<FindingKind> expected = FindingKind::order;
        if (mode.name == "rlock") expected.reset();
        table.rows.push_back(make_row(named("both orders", mode.name), locks,
                                      script("X1.take X2.take X2.unlock X1.unlock "
                                             "X2.take X1.take X1.unlock X2.unlock"),
                                      expected));
        table.rows.back().assume_writers = mode.name == "rsem";
        // Opposite orders of two classes, over objects that never meet twice.
        table.rows.push_back(make_row(named("classes", mode.name), named("X1 X2 Y1 Y2", mode.kind),
                                      script("X1.take Y1.take Y1.unlock X1.unlock "
                                             "Y2.take X2.take X2.unlock Y2.unlock"),
                                      expected));
        table.rows.back().assume_writers = mode.name == "rsem";
    }
    table.rows.push_back(make_row("nested mixed", "X1 X2 rwlock", "X1.read X2.lock", {}));
    table.rows.push_back(make_row("nested mixed fair", "X1 X2 fair", "X1.lock X2.read", {}));
    return table;
}

}  // namespace braidway::lockdep::conformance
