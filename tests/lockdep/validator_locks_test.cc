// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

TEST(Locks, DestroyingAHeldOneIsReportedWithItsHolder) {
    Scripted s;
    Thread& other = *s.validator.thread_started(1);
    Lock& a = s.lock(&s.memory[0]);
    s.take(*s.main, a);
    s.validator.destroyed(other, &s.memory[0]);
    ASSERT_EQ(s.kinds(), "destroy-held");
    EXPECT_EQ(s.world.findings[0].chains[0].thread, s.main->number());
    EXPECT_EQ(s.validator.find(&s.memory[0]), nullptr);
    EXPECT_TRUE(s.give(*s.main, a));
    EXPECT_EQ(s.kinds(), "destroy-held");
}

TEST(Locks, MadeAnewWhileHeldIsDestroyed) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    s.take(*s.main, a);
    Lock* const again =
        s.validator.enlist(*s.main, &s.memory[0], 8, a_mutex, {.initialised = true});
    EXPECT_NE(again, &a);
    EXPECT_EQ(s.validator.find(&s.memory[0]), again);
    EXPECT_EQ(s.kinds(), "destroy-held");
}

TEST(Locks, SeenByTwoThreadsAtOnceIsOne) {
    Scripted s;
    Lock* const first = s.validator.enlist(*s.main, &s.memory[0], 8, a_mutex, {});
    EXPECT_EQ(s.validator.enlist(*s.main, &s.memory[0], 8, a_mutex, {}), first);
}

TEST(Locks, GoWithTheirMemory) {
    Scripted s;
    Lock& a = s.lock(&s.memory[100]);
    s.lock(&s.memory[200]);
    s.take(*s.main, a);
    EXPECT_TRUE(s.validator.may_have_locks(&s.memory[100], &s.memory[101]));
    s.validator.memory_gone(*s.main, &s.memory[96], &s.memory[128], false);
    EXPECT_EQ(s.kinds(), "destroy-held");
    EXPECT_EQ(s.validator.find(&s.memory[100]), nullptr);
    EXPECT_NE(s.validator.find(&s.memory[200]), nullptr);
    s.take(*s.main, s.lock(&s.memory[200]));
    s.validator.memory_gone(*s.main, s.memory, s.memory + sizeof(s.memory), true);
    EXPECT_EQ(s.kinds(), "destroy-held");
    EXPECT_EQ(s.validator.find(&s.memory[200]), nullptr);
    EXPECT_FALSE(s.validator.may_have_locks(s.memory, s.memory + 64));
}

TEST(Locks, OfMemoryUsedAgainHaveNoOrderFromBefore) {
    Scripted s;
    s.take_all(*s.main, {&s.lock(&s.memory[0]), &s.lock(&s.memory[8])});
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.validator.destroyed(*s.main, &s.memory[8]);
    s.take_all(*s.main, {&s.lock(&s.memory[8]), &s.lock(&s.memory[0])});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Locks, DestroyingOneForgetsTheObjectNotTheClass) {
    Scripted s;
    s.take_all(*s.main, {&s.lock(&s.memory[0], a_mutex, 5), &s.lock(&s.memory[8], a_mutex, 6)});
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.validator.destroyed(*s.main, &s.memory[8]);
    s.take_all(*s.main, {&s.lock(&s.memory[8], a_mutex, 6), &s.lock(&s.memory[0], a_mutex, 5)});
    ASSERT_EQ(s.kinds(), "order");
    for (const Chain& chain : s.world.findings[0].steps()) {
        EXPECT_NE(chain.holds, nullptr);
        EXPECT_NE(chain.wants, nullptr);
    }
}

TEST(Locks, DestroyingOneForgetsItsOrderWithinItsClass) {
    Scripted s;
    s.take_all(*s.main, {&s.lock(&s.memory[0], a_mutex, 5), &s.lock(&s.memory[8], a_mutex, 5)});
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.take_all(*s.main, {&s.lock(&s.memory[8]), &s.lock(&s.memory[0], a_mutex, 5)});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Locks, HeldAtTheEndOfTheProcessAreNoFinding) {
    Scripted s;
    s.take(*s.main, s.lock(&s.memory[0]));
    s.validator.process_exits();
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.validator.thread_ended(*s.main, false);
    EXPECT_EQ(s.kinds(), "");
}

}  // namespace
}  // namespace braidway::lockdep
