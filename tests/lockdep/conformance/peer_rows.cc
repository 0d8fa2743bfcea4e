// SPDX-License-Identifier: Apache-2.0
// What other lock validators test themselves with, re-told as events: the order of operations and
// the verdict. Where our rules (lock-verdicts.md) know better than the peer's own expectation, the
// row says so.
#include <array>

#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {
namespace {

std::string named(std::string_view what, std::string_view column) {
    return std::string(what).append(" ").append(column);
}

/// "X0 X1 ... kind": objects of one class, as an array of them has.
std::string many(unsigned count, std::string_view kind) {
    std::string text;
    for (unsigned at = 0; at < count; ++at) text.append("X").append(std::to_string(at)).append(" ");
    return text.append(kind);
}

std::string name_of(unsigned index) {
    return "X" + std::to_string(index);
}

/// Takes `count` locks from number `first` on, wrapping at `of`, and gives them back in that order.
std::string all_from(unsigned first, unsigned count, unsigned of) {
    std::string script;
    for (const std::string_view verb : {".lock ", ".unlock "})
        for (unsigned at = 0; at < count; ++at)
            script.append(name_of((first + at) % of)).append(verb);
    return script;
}

/// `count` locks, all held at once, from each of them on: every pair in both orders.
std::string rounds_of(unsigned count) {
    std::string rounds;
    for (unsigned at = 0; at < count; ++at) rounds.append(all_from(at, count, count));
    return rounds;
}

constexpr std::string_view both_orders =
    "X0.lock X1.lock X1.unlock X0.unlock X1.lock X0.lock X0.unlock X1.unlock";

/// The numbered parts of TSan's stress test that need no reader, for one kind of lock.
void add_stress(std::vector<Row>& rows, std::string_view kind) {
    const auto add = [&](std::string_view name, unsigned count, std::string_view script,
                         std::optional<FindingKind> expected) {
        rows.push_back(make_row(named(name, kind), many(count, kind), script, expected));
    };
    const std::string order = std::string(both_orders);
    add("stress 1", 2, order, FindingKind::order);
    add("stress 2", 3,
        "X0.lock X1.lock X1.unlock X0.unlock X1.lock X2.lock X2.unlock X1.unlock "
        "X2.lock X0.lock X0.unlock X2.unlock",
        FindingKind::order);
    // Others are made, and used, and destroyed in between. TSan forgets over the second; we do not.
    std::string unused = "X0.lock X1.lock X1.unlock X0.unlock X2.lock ";
    std::string used = unused;
    for (unsigned at = 3; at < 40; ++at) {
        unused.append(name_of(at)).append(".destroy ").append(name_of(at)).append(".init ");
        used.append(name_of(at)).append(".lock ").append(name_of(at)).append(".unlock ");
        used.append(name_of(at)).append(".destroy ");
    }
    const std::string_view after = "X2.unlock X1.lock X0.lock X0.unlock X1.unlock";
    add("stress 3", 40, unused.append(after), FindingKind::order);
    add("stress 4", 40, used.append(after), FindingKind::order);
    add("stress 5", 2,
        "2: X0.lock X1.lock X1.unlock X0.unlock 3: X1.lock X0.lock X0.unlock X1.unlock",
        FindingKind::order);
    add("stress 6", 3, "2: X0.lock X0.unlock 3: X1.lock X1.unlock 4: X2.lock X2.unlock", {});
    // What was taken by a try closes no ring; what is wanted while it is held does.
    add("stress 7 inner try", 2,
        "X0.lock X1.try X1.unlock X0.unlock X1.try X0.lock X1.unlock X0.unlock", {});
    add("stress 7 outer try", 2,
        "X0.try X1.lock X1.unlock X0.unlock X1.lock X0.try X1.unlock X0.unlock", {});
    add("stress 7 held by try first", 2,
        "X0.try X1.lock X0.unlock X1.unlock X1.lock X0.lock X0.unlock X1.unlock",
        FindingKind::order);
    add("stress 7 held by try last", 2,
        "X1.lock X0.lock X0.unlock X1.unlock X0.try X1.lock X0.unlock X1.unlock",
        FindingKind::order);
    add("stress 10", 8,
        "2: X0.lock X1.lock X2.lock X3.lock X3.unlock X2.unlock X1.unlock X0.unlock "
        "3: X4.lock X5.lock X6.lock X7.lock X7.unlock X6.unlock X5.unlock X4.unlock",
        {});
    add("stress 11", 10,
        "2: X0.lock X1.lock X1.unlock X2.lock X2.unlock X3.lock X3.unlock X0.unlock "
        "3: X5.lock X6.lock X6.unlock X7.lock X7.unlock X8.lock X8.unlock X5.unlock",
        {});
    std::string anew;
    for (unsigned turn = 0; turn < 4; ++turn)
        anew.append(all_from(turn, 4, 4))
            .append("X0.destroy X1.destroy X2.destroy X3.destroy X0.init X1.init X2.init X3.init ");
    add("stress 18", 4, anew, {});
    add("stress 19, short", 20, rounds_of(20), FindingKind::order);
    add("many held", 200, all_from(0, 200, 200), {});
    add("many held, both orders", 200, all_from(0, 200, 200).append(both_orders),
        FindingKind::order);
}

void add_readers(std::vector<Row>& rows) {
    // TSan reports both and does not know which reader goes first; only a fair lock can hang.
    constexpr std::string_view mixed =
        "X0.read X1.lock X0.unlock X1.unlock X1.lock X0.read X0.unlock X1.unlock";
    constexpr std::string_view readers =
        "X0.read X1.read X0.unlock X1.unlock X1.read X0.read X1.unlock X0.unlock";
    rows.push_back(make_row("stress 8 mixed rwlock", "X0 X1 rwlock", mixed, {}));
    rows.push_back(make_row("stress 8 mixed fair", "X0 X1 fair", mixed, FindingKind::order));
    rows.back().assume_writers = true;
    rows.push_back(make_row("stress 8 readers rwlock", "X0 X1 rwlock", readers, {}));
    rows.push_back(make_row("stress 8 readers fair", "X0 X1 fair", readers, FindingKind::order));
    rows.back().assume_writers = true;
    rows.push_back(make_row("stress 9", "X0 X1 recursive",
                            "X0.lock X0.lock X0.lock X1.lock X1.unlock "
                            "X0.unlock X0.unlock X0.unlock "
                            "X1.lock X1.lock X1.lock X0.lock X0.unlock "
                            "X1.unlock X1.unlock X1.unlock",
                            FindingKind::order));
    constexpr std::string_view nested =
        "2: X0.read X1.read X2.read X2.unlock X1.unlock X0.unlock "
        "3: X0.read X1.read X2.read X2.unlock X1.unlock X0.unlock";
    constexpr std::string_view under =
        "2: X0.read X1.read X1.unlock X2.read X2.unlock X0.unlock "
        "3: X0.read X1.read X1.unlock X2.read X2.unlock X0.unlock";
    for (const std::string_view kind : {"rwlock", "fair"}) {
        rows.push_back(make_row(named("stress 12", kind), many(3, kind), nested, {}));
        rows.push_back(make_row(named("stress 13", kind), many(3, kind), under, {}));
    }
    rows.push_back(make_row("stress 15", "X0 rwlock",
                            "X0.read X0.read X0.unlock X0.unlock "
                            "X0.read X0.read X0.read X0.unlock X0.unlock X0.unlock",
                            {}));
}

}  // namespace

Table tsan_table() {
    Table table{"tsan", "compiler-rt/test/tsan, facts of its tests of locks", {}};
    for (const std::string_view kind : {"mutex", "spin", "rwlock", "recursive"})
        add_stress(table.rows, kind);
    add_readers(table.rows);
    table.rows.push_back(
        make_row("stress 19 mutex", many(45, "mutex"), rounds_of(45), FindingKind::order));
    const auto add = [&](std::string name, std::string_view locks, std::string_view script,
                         std::optional<FindingKind> expected) {
        table.rows.push_back(make_row(std::move(name), locks, script, expected));
    };
    add("mutex_cycle2", "a b mutex",
        "a.lock b.lock b.unlock a.unlock b.lock a.lock a.unlock b.unlock", FindingKind::order);
    add("mutex_cycle_long", "A B C D E F G H I J mutex",
        nested_pairs("AB BC CD DE EF FG GH HI IJ JA", "lock"), FindingKind::order);
    add("trylock_no_deadlock", "a b mutex",
        "2: a.lock b.lock b.unlock a.unlock 3: b.lock a.try a.unlock b.unlock", {});
    add("timed lock", "a b mutex",
        "a.lock b.lock b.unlock a.unlock b.lock a.timed a.unlock b.unlock", {});
    add("mutex_bad_unlock", "A mutex", "A.unlock", FindingKind::unlock_unheld);
    add("mutex_double_lock", "A mutex", "A.lock A.lock", FindingKind::relock);
    add("mutex_bad_read_unlock", "A rwlock", "A.unlock", FindingKind::unlock_unheld);
    add("mutex_destroy_locked", "A mutex", "A.lock A.destroy", FindingKind::destroy_held);
    add("mutex_destroy_locked rwlock", "A rwlock", "A.read A.destroy", FindingKind::destroy_held);
    add("mutexset: freed held", "A mutex", "A.lock A.free", FindingKind::destroy_held);
    return table;
}

Table liblockdep_table() {
    Table table{"liblockdep", "Linux tools/lib/lockdep/tests (until 5.16)", {}};
    const auto add = [&](std::string name, std::string_view locks, std::string_view script,
                         FindingKind expected) {
        table.rows.push_back(make_row(std::move(name), locks, script, expected));
    };
    add("AA", "A mutex", "A.lock A.lock", FindingKind::relock);
    add("ABA", "A B mutex", "A.lock B.lock A.lock", FindingKind::relock);
    add("ABBA", "A B mutex", nested_pairs("AB BA", "lock"), FindingKind::order);
    add("ABBA_2threads", "A B mutex",
        "2: A.lock B.lock B.unlock A.unlock 3: B.lock A.lock A.unlock B.unlock",
        FindingKind::order);
    add("ABBCCA", "A B C mutex", nested_pairs("AB BC CA", "lock"), FindingKind::order);
    add("ABBCCDDA", "A B C D mutex", nested_pairs("AB BC CD DA", "lock"), FindingKind::order);
    add("ABCABC", "A B C mutex", nested_pairs("AB CA BC", "lock"), FindingKind::order);
    add("ABCDBCDA", "A B C D mutex", nested_pairs("AB CD BC DA", "lock"), FindingKind::order);
    add("ABCDBDDA", "A B C D mutex", nested_pairs("AB CD BD DA", "lock"), FindingKind::order);
    add("WW", "A B rwlock", "A.lock B.read A.lock", FindingKind::relock);
    add("unlock_balance", "A mutex", "A.lock A.unlock A.unlock A.destroy",
        FindingKind::unlock_unheld);
    return table;
}

Table helgrind_table() {
    Table table{"helgrind", "Valgrind helgrind/tests, facts of its tests of locks", {}};
    const auto add = [&](std::string name, std::string_view locks, std::string_view script,
                         std::optional<FindingKind> expected) {
        table.rows.push_back(make_row(std::move(name), locks, script, expected));
    };
    add("tc04_free_lock", "A mutex", "A.lock A.free", FindingKind::destroy_held);
    add("tc09_bad_unlock", "A mutex", "A.lock A.unlock A.unlock", FindingKind::unlock_unheld);
    add("tc09_bad_unlock by another", "A mutex", "A.lock 2: A.unlock 1: A.unlock",
        FindingKind::unlock_unheld);
    add("tc10_rec_lock", "A recursive", "A.lock A.lock A.lock A.unlock A.unlock A.unlock", {});
    add("tc10_rec_lock once too often", "A recursive",
        "A.lock A.lock A.lock A.unlock A.unlock A.unlock A.unlock", FindingKind::unlock_unheld);
    add("tc12_rwl_trivial", "A rwlock", "A.read A.read A.unlock A.unlock A.lock A.unlock", {});
    add("tc12_rwl_trivial once too often", "A rwlock",
        "A.read A.read A.unlock A.unlock A.lock A.unlock A.unlock", FindingKind::unlock_unheld);
    add("tc13_laog1", "A B mutex", nested_pairs("AB BA", "lock"), FindingKind::order);
    add("tc14_laog_dinphils", "X0 X1 X2 X3 X4 mutex",
        "1: X0.lock X1.lock X0.unlock X1.unlock 2: X1.lock X2.lock X1.unlock X2.unlock "
        "3: X2.lock X3.lock X2.unlock X3.unlock 4: X3.lock X4.lock X3.unlock X4.unlock "
        "5: X4.lock X0.lock X4.unlock X0.unlock",
        FindingKind::order);
    add("tc15_laog_lockdel", "A B mutex", nested_pairs("AB BA", "lock"), FindingKind::order);
    // A destroyed lock takes its order with it, not the class that another one belongs to.
    add("tc15_laog_lockdel after", "a b mutex",
        "a.lock b.lock b.unlock a.unlock b.destroy b.init b.lock a.lock a.unlock b.unlock", {});
    add("tc15_laog_lockdel, classes", "A B mutex",
        "A.lock B.lock B.unlock A.unlock B.destroy B.init B.lock A.lock A.unlock B.unlock",
        FindingKind::order);
    add("tc20_verifywrap destroyed", "A mutex", "A.lock A.destroy", FindingKind::destroy_held);
    add("tc20_verifywrap never locked", "A rwlock", "A.unlock", FindingKind::unlock_unheld);
    add("tc20_verifywrap written", "A rwlock", "A.lock A.unlock A.unlock",
        FindingKind::unlock_unheld);
    add("tc20_verifywrap read", "A rwlock", "A.read A.read A.unlock A.unlock A.unlock",
        FindingKind::unlock_unheld);
    add("tc22_exit_w_lock", "a b c mutex", "2: a.lock thread.end 3: b.lock c.lock thread.end",
        FindingKind::exit_held);
    add("tc22_exit_w_lock robust", "A robust", "2: A.lock thread.end", {});
    add("lock_destroy_report", "A mutex, B rwlock", "A.init", {});
    add("rec error check", "A error_check", "A.lock A.lock A.unlock", {});
    add("trylock", "A rwlock, B mutex, C recursive",
        "A.try A.try A.unlock A.read A.try_read A.unlock A.unlock "
        "B.try B.try B.unlock C.try C.try C.unlock C.unlock",
        {});
    return table;
}

Table parking_lot_table() {
    Table table{"parking_lot", "parking_lot PR #532, its matrix without upgradable readers", {}};
    const auto add = [&](std::string name, std::string_view script,
                         std::optional<FindingKind> expected) {
        table.rows.push_back(make_row(std::move(name), "X fair, Y mutex", script, expected));
    };
    // "Potential": nobody in the row writes.
    add("read read", "X.read X.read", FindingKind::recursive_read);
    table.rows.back().assume_writers = true;
    add("read read, nobody writes", "X.read X.read X.unlock X.unlock", {});
    add("read read, a writer before", "2: X.lock X.unlock 1: X.read X.read X.unlock X.unlock",
        FindingKind::recursive_read);
    add("read read, a writer after", "X.read X.read X.unlock X.unlock 2: X.lock X.unlock",
        FindingKind::recursive_read);
    add("read write", "X.read X.lock", FindingKind::relock);
    add("write read", "X.lock X.read", FindingKind::relock);
    add("write write", "X.lock X.lock", FindingKind::relock);
    add("read try read", "2: X.lock X.unlock 1: X.read X.try_read X.unlock X.unlock", {});
    add("read try write", "2: X.lock X.unlock 1: X.read X.try X.unlock", {});
    // read_recursive() is what a lock is on which readers go first.
    table.rows.push_back(make_row("read read_recursive", "X rwlock",
                                  "2: X.lock X.unlock 1: X.read X.read X.unlock X.unlock", {}));
    return table;
}

}  // namespace braidway::lockdep::conformance
