// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

TEST(Steps, OppositeOrdersAreReportedOnceWithBothChains) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    for (int i = 0; i < 3; ++i) {
        s.take_all(*s.main, {&a, &b});
        s.take_all(*s.main, {&b, &a});
    }
    ASSERT_EQ(s.kinds(), "order");
    const Finding& finding = s.world.findings[0];
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].holds, &b);
    EXPECT_EQ(finding.chains[0].wants, &a);
    EXPECT_EQ(finding.chains[1].holds, &a);
    EXPECT_EQ(finding.chains[1].wants, &b);
    EXPECT_NE(finding.chains[0].wants_stack, 0u);
    std::array<uintptr_t, 4> room;
    EXPECT_EQ(s.validator.stack(finding.chains[0].holds_stack, room).size(), 2u);
}

TEST(Steps, GoFromEachHeldLockNotOnlyTheLast) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Lock& c = s.lock(&s.memory[16]);
    s.take(*s.main, a);
    s.take(*s.main, b);
    s.take(*s.main, c, to_write);
    for (Lock* each : {&c, &b, &a}) s.give(*s.main, *each);
    s.take_all(*s.main, {&c, &a});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, OneGateHeldForBothOrdersMakesNoRing) {
    Scripted s;
    Lock& gate = s.lock(&s.memory[0]);
    Lock& a = s.lock(&s.memory[8]);
    Lock& b = s.lock(&s.memory[16]);
    s.take_all(*s.main, {&gate, &a, &b});
    s.take_all(*s.main, {&gate, &b, &a});
    EXPECT_EQ(s.kinds(), "");
    s.take_all(*s.main, {&b, &a});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, TwoGatesOfOneClassAreNoGate) {
    Scripted s;
    Lock& gate1 = s.lock(&s.memory[0], a_mutex, 5);
    Lock& gate2 = s.lock(&s.memory[8], a_mutex, 5);
    Lock& a = s.lock(&s.memory[16]);
    Lock& b = s.lock(&s.memory[24]);
    s.take_all(*s.main, {&gate1, &a, &b});
    s.take_all(*s.main, {&gate1, &b, &a});
    EXPECT_EQ(s.kinds(), "");
    s.take_all(*s.main, {&gate2, &b, &a});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, ATryAddsNoneIntoTheLockButTheLockHolds) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    s.take_all(*s.main, {&a, &b});
    s.take(*s.main, b);
    s.take(*s.main, a, to_try);
    s.give(*s.main, a);
    s.give(*s.main, b);
    EXPECT_EQ(s.kinds(), "");
    Lock& c = s.lock(&s.memory[16]);
    s.take(*s.main, c, to_try);
    s.take(*s.main, a);
    s.give(*s.main, a);
    s.give(*s.main, c);
    s.take_all(*s.main, {&a, &c});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, ClassesAreOrderedThoughNoTwoObjectsMeetTwice) {
    Scripted s;
    Lock& a1 = s.lock(&s.memory[0], a_mutex, 5);
    Lock& a2 = s.lock(&s.memory[8], a_mutex, 5);
    Lock& b1 = s.lock(&s.memory[16], a_mutex, 6);
    Lock& b2 = s.lock(&s.memory[24], a_mutex, 6);
    s.take_all(*s.main, {&a1, &b1});
    s.take_all(*s.main, {&b2, &a2});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, WithinOneClassLocksAreJudgedOneByOne) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0], a_mutex, 5);
    Lock& b = s.lock(&s.memory[8], a_mutex, 5);
    Lock& c = s.lock(&s.memory[16], a_mutex, 5);
    s.take_all(*s.main, {&a, &b});
    s.take_all(*s.main, {&b, &c});
    s.take_all(*s.main, {&a, &c});
    EXPECT_EQ(s.kinds(), "");
    s.take_all(*s.main, {&c, &a});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, TheSameRingOfClassesThroughOtherObjectsIsNotReportedAgain) {
    Scripted s;
    for (int i = 0; i < 4; ++i) {
        Lock& a = s.lock(&s.memory[16 * i], a_mutex, 5);
        Lock& b = s.lock(&s.memory[16 * i + 8], a_mutex, 5);
        s.take_all(*s.main, {&a, &b});
        s.take_all(*s.main, {&b, &a});
    }
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, ReadersOfAnUnfairLockMakeNoRing) {
    for (const bool fair : {false, true}) {
        Scripted s;
        const LockTraits traits = fair ? a_fair_rwlock : an_unfair_rwlock;
        Lock& r = s.lock(&s.memory[0], traits);
        Lock& q = s.lock(&s.memory[8], traits);
        s.take_all(*s.main, {&r});
        s.take_all(*s.main, {&q});
        for (const auto& [first, second] : {std::pair(&r, &q), std::pair(&q, &r)}) {
            s.take(*s.main, *first, to_read);
            s.take(*s.main, *second, to_read);
            s.give(*s.main, *second);
            s.give(*s.main, *first);
        }
        EXPECT_EQ(s.kinds(), fair ? "order" : "");
    }
}

TEST(Steps, TheRetakeOfAMutexAfterAWaitIsAnAcquisition) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& mutex = s.lock(&s.memory[8]);
    s.take(*s.main, mutex);
    s.take(*s.main, a);
    s.give(*s.main, mutex);
    s.validator.retaken(*s.main, mutex, to_write, 1);
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Steps, TellWhatWasHeldBesides) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Lock& c = s.lock(&s.memory[16]);
    Lock& d = s.lock(&s.memory[24]);
    s.take_all(*s.main, {&c, &a, &b});
    s.take_all(*s.main, {&d, &b, &a});
    ASSERT_EQ(s.kinds(), "order");
    const Finding& finding = s.world.findings[0];
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].also_held[0], &d);
    EXPECT_EQ(finding.chains[0].also_held[1], nullptr);
    EXPECT_EQ(finding.chains[1].also_held[0], &c);
    EXPECT_EQ(finding.chains[1].also_held[1], nullptr);
}

TEST(Steps, TellNothingBesidesWhereNothingElseIsHeldAndNoMoreThanFits) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    s.take_all(*s.main, {&a, &b});
    for (size_t at = 2; at < 14; ++at) s.take(*s.main, s.lock(&s.memory[at * 8]));
    s.take_all(*s.main, {&b, &a});
    ASSERT_EQ(s.kinds(), "order");
    const Finding& finding = s.world.findings[0];
    EXPECT_EQ(finding.chains[1].also_held[0], nullptr);
    EXPECT_EQ(finding.chains[0].also_held[0], s.validator.find(&s.memory[16]));
    for (const Lock* each : finding.chains[0].also_held) EXPECT_NE(each, nullptr);
}

}  // namespace
}  // namespace braidway::lockdep
