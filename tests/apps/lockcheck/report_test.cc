// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Process bank{
    .id = "77-1", .pid = 77, .parent = 1, .program = "/usr/bin/bank", .arguments = {}};

TEST(LockReport, ShowsColumnsStacksLocksAndWhatToDo) {
    EXPECT_EQ(
        report(made::order(), bank, {}),
        R"(lockcheck: order: locks are taken in orders that can block each other [bank, process 77]
  two orders.

  How it can happen:
    Thread 1                                       | Thread 2
    takes account in take_0 (bank.c:10)            |
                                                   | takes journal in take_1 (bank.c:20)
    wants journal in take_1 (bank.c:11): waits     |
                                                   | wants account in take_0 (bank.c:21): waits
    Each waits for what another one holds: none would go on.

  Where:
    Thread 1 holds account (exclusive), taken in
        take_0 (/src/bank.c:10)
        main (/src/bank.c:90)
    and then wants journal (exclusive), in
        take_1 (/src/bank.c:11)
        main (/src/bank.c:91)
    Thread 2 holds journal (exclusive), taken in
        take_1 (/src/bank.c:20)
        main (/src/bank.c:90)
    and then wants account (exclusive), in
        take_0 (/src/bank.c:21)
        main (/src/bank.c:91)

  Which locks:
    account: static mutex
    journal: static mutex

  What to do:
    Take these locks in the same order everywhere; or take them together (std::scoped_lock); or let
    the first go before you wait for the second.

)");
}

TEST(LockReport, LocksOfOneClassAreSaidToBe) {
    Finding ring = made::order();
    ring.locks.push_back(made::lock(2, "index"));
    ring.locks[0].lock_class = 4;
    ring.locks[1].lock_class = 5;
    ring.locks[2].lock_class = 4;
    EXPECT_THAT(report(ring, made::document({}).process, {}),
                HasSubstr("    account: static mutex\n    journal: static mutex\n"
                          "    index: static mutex, of the same class as account\n"));
}

TEST(LockReport, LibraryFramesAreMarkedAndThoseBelowMainLeftOut) {
    Finding finding = made::order();
    finding.chains[0].holds_stack = {made::library_frame("std::mutex::lock()"),
                                     made::frame("pay", 7), made::library_frame("start_thread")};
    const std::string text = report(finding, bank, {});
    EXPECT_THAT(text, AllOf(HasSubstr("std::mutex::lock() (/src/mutex:99) [library]\n"),
                            Not(HasSubstr("start_thread"))));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(report(finding, bank, {.colours = true}),
                HasSubstr("\x1b[2mstd::mutex::lock() (/src/mutex:99) [library]\x1b[0m"));
}

TEST(LockReport, WhatIsNoLockIsNotHeld) {
    Finding finding = made::order();
    finding.kind = "held-while-wait";
    finding.locks[1].type = "condition";
    EXPECT_THAT(report(finding, bank, {}),
                AllOf(HasSubstr("and then waits to be woken, in\n        take_1"),
                      HasSubstr("Thread 2 would wake the one who waits, in\n        take_1"),
                      Not(HasSubstr("holds journal"))));
    finding.locks[1].type = "thread";
    EXPECT_THAT(report(finding, bank, {}), HasSubstr("and then waits for a thread to end, in\n"));
}

TEST(LockReport, MisuseSaysWhatWasDone) {
    EXPECT_THAT(report(made::misuse("unlock-unheld"), bank, {}),
                AllOf(HasSubstr("Thread 1 unlocks account, in\n"), Not(HasSubstr("holds"))));
    EXPECT_THAT(report(made::misuse("destroy-held"), bank, {}), HasSubstr("and it goes in\n"));
}

TEST(LockReport, LinesStayWithinAHundredCharacters) {
    Finding finding = made::order();
    finding.message = "account and journal";
    for (int word = 0; word < 60; ++word) finding.message += " again";
    std::istringstream lines(report(finding, bank, {}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(LockReport, ANoteIsShort) {
    Finding note = made::order();
    const std::string text = report(note, bank, {.is_note = true});
    EXPECT_THAT(text, AllOf(HasSubstr("lockcheck: note: order"), Not(HasSubstr("Where"))));
}

TEST(LockReport, ABlockForASuppressionFileIsAdded) {
    EXPECT_THAT(report(made::order(), bank, {.suppression = true}),
                HasSubstr("{\n   order-1\n   order\n"));
}

TEST(LockReport, ManyColumnsStillHaveRoomForWords) {
    Story told;
    for (int column = 0; column < 60; ++column) {
        told.columns.push_back("Thread");
        told.steps.push_back({static_cast<size_t>(column), "takes a lock"});
    }
    EXPECT_THAT(story_text(told, 100), HasSubstr("takes a lock"));
}

TEST(LockReport, TheSummaryCountsByKind) {
    Document document = made::document({made::order(), made::misuse("relock"), made::order(2)});
    EXPECT_EQ(summary(document, 0), "lockcheck: 3 findings (2 order, 1 relock)\n");
    document.findings[0].suppressed_by = "known";
    document.notes.push_back(made::order());
    EXPECT_EQ(summary(document, 1),
              "lockcheck: 2 findings (1 order, 1 relock), 1 finding in other processes, 1 note, 1 "
              "suppressed\n");
    EXPECT_EQ(summary(made::document({}), 0), "lockcheck: nothing found\n");
}

}  // namespace
}  // namespace braidway::lockcheck
