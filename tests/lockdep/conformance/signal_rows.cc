// SPDX-License-Identifier: Apache-2.0
// The interrupt rows of the Linux kernel's self-test of its lock validator (lib/locking-selftest.c,
// Linux 6.x: 12 + 6 + 12 + 36 + 36 + 36 + 72 = 210), with a handler of a signal for an interrupt.
//
// A thread that keeps out hard interrupts keeps out soft ones, too; while a handler runs, both are
// kept out.
#include <array>
#include <span>

#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {
namespace {

constexpr std::array<std::string_view, 2> orders_of_two{"12", "21"};
constexpr std::array<std::string_view, 6> orders_of_three{"123", "132", "213", "231", "312", "321"};
constexpr std::array<std::string_view, 2> signals{"hard", "soft"};

/// A column of the kernel's table: what stands for "the lock" in the parts of a row.
struct Column {
    std::string_view name;
    std::string_view kind;
    std::string_view verb;
};
constexpr Column spin{"spin", "spin", "lock"};
constexpr Column wlock{"wlock", "rwlock", "lock"};
constexpr Column rlock{"rlock", "rwlock", "read"};

/// A row of the kernel's table: parts that come in every order, in every column, for every signal.
/// In `locks` and `parts`, "*" is the column's kind, "take" its verb, "irq" the signal.
struct Family {
    std::string_view name;
    std::string_view locks;
    std::array<std::string_view, 3> parts;  ///< The last may be empty.
    std::span<const Column> columns;
    bool only_as_written = false;  ///< Its signals are fixed.
};

/// Only what takes the lock for reading is harmless, in every family.
void add_family(std::vector<Row>& rows, const Family& family) {
    const bool three = !family.parts[2].empty();
    const std::span<const std::string_view> orders =
        three ? std::span<const std::string_view>(orders_of_three) : orders_of_two;
    for (const std::string_view signal : signals) {
        if (family.only_as_written && signal == "soft") continue;
        for (const std::string_view order : orders) {
            for (const Column& column : family.columns) {
                std::string script;
                for (const char digit : order)
                    script.append(family.parts[static_cast<size_t>(digit - '1')]).append(" ");
                script = replaced(replaced(script, "take", column.verb), "irq", signal);
                std::optional<FindingKind> expected = FindingKind::signal;
                if (column.name == "rlock") expected.reset();
                const std::string name = std::string(family.name)
                                             .append(" ")
                                             .append(family.only_as_written ? "" : signal)
                                             .append(family.only_as_written ? "" : " ")
                                             .append(order)
                                             .append(" ")
                                             .append(column.name);
                rows.push_back(make_row(name, replaced(std::string(family.locks), "*", column.kind),
                                        script, expected));
            }
        }
    }
}

constexpr std::array<Column, 3> three_columns{spin, wlock, rlock};
constexpr std::array<Column, 2> two_columns{wlock, rlock};

constexpr std::string_view handler_takes_a = "irq.enter A.take A.unlock irq.exit";

constexpr std::array<Family, 9> families{{
    {"irqs on + safe A", "A *", {handler_takes_a, "A.take A.unlock", ""}, three_columns},
    {"soft-safe A, hard on",
     "A *",
     {"soft.enter A.take A.unlock soft.exit", "hard.off A.take hard.on A.unlock", ""},
     three_columns,
     true},
    {"safe A + irqs on",
     "A *",
     {handler_takes_a, "irq.off A.take irq.on A.unlock", ""},
     three_columns},
    {"safe A + unsafe B 1",
     "A B *",
     {"A.take B.take B.unlock A.unlock", "B.take B.unlock", handler_takes_a},
     three_columns},
    {"safe A + unsafe B 2",
     "A B *",
     {"irq.off A.take B.take B.unlock A.unlock irq.on", "B.take B.unlock", handler_takes_a},
     three_columns},
    {"inversion",
     "A rwlock,B *",
     {"irq.off A.lock B.take B.unlock A.unlock irq.on", "B.take B.unlock",
      "irq.enter A.read A.unlock irq.exit"},
     three_columns},
    {"read recursion 1",
     "A rwlock,B spin",
     {"irq.off A.lock A.unlock irq.on", "A.read A.unlock",
      "irq.enter A.take B.lock B.unlock A.unlock irq.exit"},
     two_columns},
    {"read recursion 2",
     "A rwlock,B spin",
     {"irq.off B.lock A.take A.unlock B.unlock irq.on", "A.read A.unlock",
      "irq.enter B.lock B.unlock irq.exit"},
     two_columns},
    {"read recursion 3",
     "A rwlock,B rwlock",
     {"irq.off B.lock A.take A.unlock B.unlock irq.on", "A.read A.unlock",
      "irq.enter B.read B.unlock irq.exit"},
     two_columns},
}};

}  // namespace

Table kernel_signal_table() {
    Table table{"kernel-signals", "Linux lib/locking-selftest.c, interrupts as signals", {}};
    for (const Family& family : families) add_family(table.rows, family);
    // Two signals at once: what is kept from the soft one leads, over two more locks, to the hard
    // one's.
    table.rows.push_back(make_row("hard-safe to hard-unsafe over soft", "M mutex, A B C D spin",
                                  "M.lock hard.off C.lock C.unlock hard.on M.unlock "
                                  "hard.enter A.lock A.unlock hard.exit "
                                  "hard.off A.lock B.lock B.unlock A.unlock hard.on "
                                  "hard.off B.lock C.lock C.unlock B.unlock hard.on "
                                  "soft.enter D.lock D.unlock soft.exit "
                                  "soft.off D.lock D.unlock soft.on "
                                  "hard.off C.lock D.lock D.unlock C.unlock hard.on",
                                  FindingKind::signal));
    return table;
}

}  // namespace braidway::lockdep::conformance
