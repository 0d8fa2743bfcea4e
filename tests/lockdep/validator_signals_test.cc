// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

constexpr int signal_10 = 10;
constexpr uint64_t bit_10 = uint64_t{1} << 9;

/// Takes and gives `lock` in a handler of signal 10.
void in_handler(Scripted& s, Thread& thread, Lock& lock, Access access) {
    s.validator.handler_begins(thread, signal_10);
    s.take(thread, lock, access, 7);
    s.give(thread, lock);
    s.validator.handler_ends(thread);
}

TEST(Signals, ALockTakenInAHandlerAndHeldInterruptiblyIsReported) {
    for (const bool handler_first : {false, true}) {
        Scripted s;
        s.validator.signals_handled(bit_10);
        Lock& a = s.lock(&s.memory[0]);
        Thread& other = *s.validator.thread_started(1);
        if (handler_first) in_handler(s, other, a, to_write);
        s.take_all(*s.main, {&a});
        if (!handler_first) in_handler(s, other, a, to_write);
        ASSERT_EQ(s.kinds(), "signal");
        EXPECT_EQ(s.world.findings[0].chains[0].thread, s.main->number());
        EXPECT_EQ(s.world.findings[0].chains[0].wants, &a);
    }
}

TEST(Signals, WhoBlocksTheSignalWhileHoldingIsFine) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& a = s.lock(&s.memory[0]);
    in_handler(s, *s.main, a, to_write);
    s.validator.signals_blocked(*s.main, bit_10);
    s.take_all(*s.main, {&a});
    EXPECT_EQ(s.kinds(), "");
    s.take(*s.main, a);
    s.validator.signals_blocked(*s.main, 0);
    EXPECT_EQ(s.kinds(), "signal");
}

TEST(Signals, AHandlerThatOnlyTriesIsFine) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& a = s.lock(&s.memory[0]);
    s.take_all(*s.main, {&a});
    in_handler(s, *s.main, a, to_try);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Signals, ARecursiveMutexIsTakenAgainByTheHandlerWithoutWaiting) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& a = s.lock(&s.memory[0], a_recursive_mutex);
    Lock& b = s.lock(&s.memory[1], a_recursive_mutex);
    s.take_all(*s.main, {&a});
    in_handler(s, *s.main, a, to_write);
    EXPECT_EQ(s.kinds(), "");
    // Two of them still make a ring with who waits for the interrupted code.
    s.take_all(*s.main, {&b});
    Thread& other = *s.validator.thread_started(1);
    s.validator.signals_blocked(other, bit_10);
    s.take_all(other, {&a, &b});
    EXPECT_EQ(s.kinds(), "signal");
}

TEST(Signals, ReadersOnBothSidesAreFineUnlessWritersComeBetween) {
    for (const bool fair : {false, true}) {
        Scripted s;
        s.validator.signals_handled(bit_10);
        Lock& r = s.lock(&s.memory[0], fair ? a_fair_rwlock : an_unfair_rwlock);
        s.validator.signals_blocked(*s.main, bit_10);
        s.take_all(*s.main, {&r});
        s.validator.signals_blocked(*s.main, 0);
        s.take(*s.main, r, to_read);
        s.give(*s.main, r);
        in_handler(s, *s.main, r, to_read);
        EXPECT_EQ(s.kinds(), fair ? "signal" : "");
    }
}

TEST(Signals, AWriterThatComesLastMakesReadersAFinding) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& r = s.lock(&s.memory[0], a_fair_rwlock);
    s.take(*s.main, r, to_read);
    s.give(*s.main, r);
    in_handler(s, *s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "");
    s.validator.signals_blocked(*s.main, bit_10);
    s.take_all(*s.main, {&r});
    EXPECT_EQ(s.kinds(), "signal");
}

/// The handler wants A; elsewhere B is wanted under A; who holds B is interrupted. In any order.
TEST(Signals, AHandlerThatWaitsForWhoWaitsForTheInterruptedCodeIsReported) {
    for (const std::array<int, 3>& order :
         {std::array{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
        Scripted s;
        s.validator.signals_handled(bit_10);
        Lock& a = s.lock(&s.memory[0]);
        Lock& b = s.lock(&s.memory[8]);
        for (const int part : order) {
            if (part == 0) in_handler(s, *s.main, a, to_write);
            if (part == 1) s.take_all(*s.main, {&b});
            s.validator.signals_blocked(*s.main, bit_10);
            if (part == 2) s.take_all(*s.main, {&a, &b});
            s.validator.signals_blocked(*s.main, 0);
        }
        ASSERT_EQ(s.kinds(), "signal");
        EXPECT_EQ(s.world.findings[0].chain_count, 2u);
    }
}

TEST(Signals, AHandlerBehindAGateOfAllHoldersIsFineUntilOneComesWithoutIt) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& gate = s.lock(&s.memory[0]);
    Lock& a = s.lock(&s.memory[8]);
    Lock& b = s.lock(&s.memory[16]);
    in_handler(s, *s.main, a, to_write);
    s.take_all(*s.main, {&gate, &b});
    s.validator.signals_blocked(*s.main, bit_10);
    s.take_all(*s.main, {&gate, &a, &b});
    s.validator.signals_blocked(*s.main, 0);
    EXPECT_EQ(s.kinds(), "");
    s.take_all(*s.main, {&b});
    EXPECT_EQ(s.kinds(), "signal");
}

TEST(Signals, OfAnotherHandlerThatCannotInterruptAreFine) {
    Scripted s;
    s.validator.signals_handled(bit_10 << 1);
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    in_handler(s, *s.main, a, to_write);
    s.take_all(*s.main, {&b});
    s.validator.signals_blocked(*s.main, ~uint64_t{0});
    s.take_all(*s.main, {&a, &b});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Signals, WhatIsHeldAfterTheHandlerWasRemovedIsFine) {
    Scripted s;
    s.validator.signals_handled(bit_10);
    Lock& a = s.lock(&s.memory[0]);
    in_handler(s, *s.main, a, to_write);
    s.validator.signals_handled(0);
    s.take_all(*s.main, {&a});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Signals, TakingWhatTheInterruptedCodeHoldsNowIsReportedBeforeItBlocks) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    s.take(*s.main, a);
    s.validator.handler_begins(*s.main, signal_10);
    s.want(*s.main, a);
    EXPECT_EQ(s.kinds(), "signal");
}

TEST(Signals, ChainsGoOnAsBeforeAfterAHandler) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    s.take_all(*s.main, {&a, &b});
    s.take(*s.main, a);
    in_handler(s, *s.main, b, to_write);
    Pending pending;
    EXPECT_TRUE(s.main->wants_known(&s.memory[8], to_write, 1, pending));
}

TEST(Sleep, WithALockIsReportedWithThePlace) {
    Scripted s;
    s.validator.may_sleep(*s.main, "page fault", 3);
    EXPECT_EQ(s.kinds(), "");
    s.take(*s.main, s.lock(&s.memory[0]));
    s.validator.may_sleep(*s.main, "page fault", 3);
    s.validator.may_sleep(*s.main, "page fault", 3);
    ASSERT_EQ(s.kinds(), "held-while-sleep");
    EXPECT_STREQ(s.world.findings[0].remark, "page fault");
}

}  // namespace
}  // namespace braidway::lockdep
