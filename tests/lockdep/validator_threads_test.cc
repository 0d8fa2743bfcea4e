// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

TEST(Threads, ThatEndAndHoldALockAreReported) {
    Scripted s;
    Thread& thread = *s.validator.thread_started(1);
    s.take(thread, s.lock(&s.memory[0]));
    s.take(thread, s.lock(&s.memory[8], a_robust_mutex));
    s.validator.thread_ended(thread, false);
    ASSERT_EQ(s.kinds(), "exit-held");
    EXPECT_EQ(s.world.findings[0].chains[0].holds, &s.lock(&s.memory[0]));
}

TEST(Threads, ThatEndWithTheProcessAreNot) {
    Scripted s;
    s.take(*s.main, s.lock(&s.memory[0]));
    s.validator.thread_ended(*s.main, true);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Threads, AMillionOneAfterTheOtherNeedTheMemoryOfOne) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    ThreadNumber last = 1;
    size_t bytes = 0;
    for (int i = 0; i < 1'000'000; ++i) {
        Thread& thread = *s.validator.thread_started(1);
        ASSERT_EQ(thread.number(), last + 1);
        last = thread.number();
        if (i % 1000 == 0) s.take_all(thread, {&a, &b});
        s.validator.thread_ended(thread, false);
        if (i == 1000) bytes = s.validator.memory_bytes();
    }
    EXPECT_EQ(s.validator.memory_bytes(), bytes);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Threads, OfTheParentHoldNothingInTheChildOfAFork) {
    Scripted s;
    Thread& other = *s.validator.thread_started(1);
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    s.take(other, a);
    s.take(*s.main, b);
    s.validator.fork_begins();
    s.validator.forked_in_child(*s.main);
    s.validator.destroyed(*s.main, &s.memory[0]);
    EXPECT_EQ(s.kinds(), "");
    EXPECT_EQ(s.main->held_count(), 1u);
    EXPECT_TRUE(s.give(*s.main, b));
}

TEST(Threads, OfTheParentGoOnInTheParent) {
    Scripted s;
    s.validator.fork_begins();
    s.validator.forked_in_parent();
    EXPECT_NE(s.validator.thread_started(1), nullptr);
}

}  // namespace
}  // namespace braidway::lockdep
