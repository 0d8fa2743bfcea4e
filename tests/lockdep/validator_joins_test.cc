// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

TEST(Joins, WithALockThatTheThreadTakesAreReported) {
    for (const bool ended : {false, true}) {
        Scripted s;
        Lock& a = s.lock(&s.memory[0]);
        Thread& thread = *s.validator.thread_started(1);
        const ThreadNumber number = thread.number();
        s.take_all(thread, {&a});
        if (ended) s.validator.thread_ended(thread, false);
        s.take(*s.main, a);
        s.validator.joins(*s.main, number, 1);
        ASSERT_EQ(s.kinds(), "held-while-join");
        const Finding& finding = s.world.findings[0];
        ASSERT_EQ(finding.chain_count, 2u);
        EXPECT_EQ(finding.chains[0].thread, number);
        EXPECT_EQ(finding.chains[0].holds->traits.type, LockType::thread_end);
        EXPECT_EQ(finding.chains[0].holds->making.thread, number);
        EXPECT_EQ(finding.chains[0].wants, &a);
        EXPECT_EQ(finding.chains[1].holds, &a);
    }
}

TEST(Joins, WhoseThreadTakesTheLockOnlyAfterwardsAreReportedAtItsEnd) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0], an_unfair_rwlock);
    Thread& thread = *s.validator.thread_started(1);
    const ThreadNumber number = thread.number();
    s.take(*s.main, a, to_read);
    s.validator.joins(*s.main, number, 1);
    s.take(thread, a, to_read);
    s.give(thread, a);
    s.validator.thread_ended(thread, false);
    s.validator.joined(*s.main, number);
    EXPECT_EQ(s.kinds(), "");
    Thread& writer = *s.validator.thread_started(1);
    s.validator.joins(*s.main, writer.number(), 1);
    s.take_all(writer, {&a});
    s.validator.thread_ended(writer, false);
    s.validator.joined(*s.main, writer.number());
    EXPECT_EQ(s.kinds(), "held-while-join");
}

TEST(Joins, WithALockThatTheThreadOnlyTriesAreFine) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Thread& thread = *s.validator.thread_started(1);
    s.take(thread, a, to_try);
    s.give(thread, a);
    s.take(*s.main, a);
    s.validator.joins(*s.main, thread.number(), 1);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Joins, WithNothingHeldOrOfSomebodyUnknownAreFine) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Thread& thread = *s.validator.thread_started(1);
    s.take_all(thread, {&a});
    s.validator.joins(*s.main, thread.number(), 1);
    s.take(*s.main, a);
    s.validator.joins(*s.main, 0, 1);
    s.validator.joins(*s.main, 77, 1);
    s.validator.joined(*s.main, 77);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Joins, OfManyThreadsAreReportedOnceAndNeedBoundedMemory) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    size_t bytes = 0;
    for (int i = 0; i < 5000; ++i) {
        Thread& thread = *s.validator.thread_started(1);
        const ThreadNumber number = thread.number();
        s.take_all(thread, {&a});
        s.take(*s.main, a);
        s.validator.thread_ended(thread, false);
        s.validator.joins(*s.main, number, 1);
        s.validator.joined(*s.main, number);
        s.give(*s.main, a);
        if (i == 4900) bytes = s.validator.memory_bytes();
    }
    EXPECT_EQ(s.kinds(), "held-while-join");
    EXPECT_EQ(s.validator.memory_bytes(), bytes);
}

TEST(Joins, LeadOnToWhatIsTakenInAnotherOrder) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Thread& thread = *s.validator.thread_started(1);
    Thread& other = *s.validator.thread_started(1);
    s.take_all(other, {&b, &a});
    s.take_all(thread, {&b});
    s.take(*s.main, a);
    s.validator.joins(*s.main, thread.number(), 1);
    EXPECT_EQ(s.kinds(), "held-while-join");
}

}  // namespace
}  // namespace braidway::lockdep
