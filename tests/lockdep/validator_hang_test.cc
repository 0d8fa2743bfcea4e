// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

/// Three threads, of which the first is asked.
struct HangScene {
    Scripted s;
    Validator& validator = s.validator;
    Thread& one = *s.main;
    Thread& two = *s.validator.thread_started(1);
    Thread& three = *s.validator.thread_started(1);
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Lock& fair = s.lock(&s.memory[16], a_fair_rwlock);
    Lock& unfair = s.lock(&s.memory[24], an_unfair_rwlock);

    const Finding& reported(Thread& thread) {
        s.world.findings.clear();
        validator.report_hang(thread);
        EXPECT_EQ(s.kinds(), "hang");
        return s.world.findings.at(0);
    }
};

TEST(Hang, OfTwoThreadsIsSeenTheSameTwiceAndByBoth) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.s.take(scene.two, scene.b);
    scene.validator.blocks(scene.one, scene.b, to_write);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    scene.validator.blocks(scene.two, scene.a, to_write);
    const Validator::Hang hang = scene.validator.hung(scene.one);
    EXPECT_TRUE(hang.certain);
    EXPECT_EQ(scene.validator.hung(scene.one).signature, hang.signature);
    EXPECT_EQ(scene.validator.hung(scene.two).signature, hang.signature);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].thread, scene.one.number());
    EXPECT_EQ(finding.chains[0].holds, &scene.a);
    EXPECT_EQ(finding.chains[0].wants, &scene.b);
    EXPECT_EQ(finding.chains[1].thread, scene.two.number());
    EXPECT_EQ(finding.chains[1].holds, &scene.b);
    EXPECT_EQ(finding.chains[1].wants, &scene.a);
    EXPECT_NE(finding.chains[1].wants_stack, 0u);
    scene.validator.report_hang(scene.two);
    EXPECT_EQ(scene.s.world.findings.size(), 1u);
}

TEST(Hang, ThatWasLeftAndCameBackIsAnother) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.s.take(scene.two, scene.b);
    scene.validator.blocks(scene.one, scene.b, to_write);
    scene.validator.blocks(scene.two, scene.a, to_write);
    const Validator::Hang hang = scene.validator.hung(scene.one);
    scene.validator.unblocked(scene.two);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    scene.validator.blocks(scene.two, scene.a, to_write);
    EXPECT_NE(scene.validator.hung(scene.one).signature, hang.signature);
}

TEST(Hang, IsNoneWhereOneWaitsForABoundedTime) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.s.take(scene.two, scene.b);
    scene.validator.blocks(scene.one, scene.b, to_write);
    scene.validator.blocks(scene.two, scene.a, to_try);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    EXPECT_FALSE(scene.validator.hung(scene.two).certain);
}

TEST(Hang, OfAThreadThatWaitsForItself) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.validator.blocks(scene.one, scene.a, to_write);
    EXPECT_TRUE(scene.validator.hung(scene.one).certain);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 1u);
    EXPECT_EQ(finding.chains[0].holds, &scene.a);
    EXPECT_EQ(finding.chains[0].wants, &scene.a);
}

TEST(Hang, BehindAWriterThatWaitsIsOneForFairReadersOnly) {
    for (const bool fair : {true, false}) {
        HangScene scene;
        Lock& lock = fair ? scene.fair : scene.unfair;
        scene.s.take(scene.one, lock, to_read);
        scene.validator.blocks(scene.two, lock, to_write);
        scene.validator.blocks(scene.one, lock, to_read);
        EXPECT_EQ(scene.validator.hung(scene.one).certain, fair);
        if (fair) {
            EXPECT_EQ(scene.reported(scene.one).chain_count, 2u);
        }
    }
}

TEST(Hang, OfAJoinerAndTheThreadThatNeedsItsLock) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.validator.blocks_joining(scene.one, scene.two.number());
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    scene.validator.blocks(scene.two, scene.a, to_write);
    EXPECT_TRUE(scene.validator.hung(scene.one).certain);
    const Finding& finding = scene.reported(scene.two);
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].wants, &scene.a);
    EXPECT_EQ(finding.chains[0].holds->traits.type, LockType::thread_end);
    EXPECT_EQ(finding.chains[1].holds, &scene.a);
}

TEST(Hang, OnALockThatAThreadLeftWhenItEnded) {
    HangScene scene;
    scene.s.take(scene.two, scene.a);
    const ThreadNumber number = scene.two.number();
    scene.validator.thread_ended(scene.two, false);
    scene.validator.blocks(scene.one, scene.a, to_write);
    EXPECT_TRUE(scene.validator.hung(scene.one).certain);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[1].thread, number);
    EXPECT_EQ(finding.chains[1].holds, &scene.a);
}

TEST(Hang, OfOthersIsNotThatOfWhoWaitsForThem) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.s.take(scene.two, scene.b);
    scene.validator.blocks(scene.one, scene.b, to_write);
    scene.validator.blocks(scene.two, scene.a, to_write);
    scene.validator.blocks(scene.three, scene.a, to_write);
    EXPECT_FALSE(scene.validator.hung(scene.three).certain);
    EXPECT_TRUE(scene.validator.hung(scene.two).certain);
}

TEST(Hang, GoesThroughAWaitAtAConditionThatMustHaveItsMutexAgain) {
    HangScene scene;
    scene.s.take(scene.one, scene.a);
    scene.s.take(scene.two, scene.b);
    scene.validator.blocks_waiting(scene.two, &scene.a, nullptr, 0);
    scene.validator.blocks(scene.one, scene.b, to_write);
    const Validator::Hang hang = scene.validator.hung(scene.one);
    EXPECT_TRUE(hang.certain);
    EXPECT_EQ(hang.all_threads, 0u);
    scene.validator.unblocked(scene.two);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
}

TEST(Hang, IsWhereEveryThreadWaitsAndNobodyIsLeftToNotify) {
    HangScene scene;
    Lock& condition = scene.s.lock(&scene.s.memory[40], {.type = LockType::condition});
    scene.s.take(scene.two, scene.a);
    scene.validator.blocks_waiting(scene.two, &scene.b, &condition, 0);
    scene.validator.blocks(scene.one, scene.a, to_write);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain) << "the third thread may notify";
    scene.validator.blocks_joining(scene.three, scene.one.number());
    const Validator::Hang hang = scene.validator.hung(scene.one);
    EXPECT_TRUE(hang.certain);
    EXPECT_EQ(hang.all_threads, 3u);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].wants, &scene.a);
    EXPECT_EQ(finding.chains[1].holds, &scene.a);
    EXPECT_EQ(finding.chains[1].wants, &condition);
}

TEST(Hang, IsWhereAllThreadsWaitAtConditionsUnlessASignalCanWakeOne) {
    HangScene scene;
    Lock& condition = scene.s.lock(&scene.s.memory[40], {.type = LockType::condition});
    Lock& semaphore = scene.s.lock(&scene.s.memory[48], {.type = LockType::semaphore});
    scene.validator.blocks_waiting(scene.two, &scene.a, &condition, 0);
    scene.validator.blocks_waiting(scene.one, nullptr, &semaphore, 0);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain) << "the third thread may wake one";
    scene.validator.blocks_joining(scene.three, scene.two.number());
    const Validator::Hang hang = scene.validator.hung(scene.one);
    EXPECT_TRUE(hang.certain);
    EXPECT_TRUE(hang.unless_signal);
    EXPECT_EQ(hang.all_threads, 3u);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 3u);
    EXPECT_EQ(finding.chains[0].thread, scene.one.number());
    EXPECT_EQ(finding.chains[0].wants, &semaphore);
    for (const Chain& chain : finding.steps()) {
        EXPECT_EQ(chain.holds, nullptr);
        EXPECT_NE(chain.wants, nullptr);
    }
}

TEST(Hang, OnALockThatAThreadLostAtTheForkHeld) {
    HangScene scene;
    scene.s.take(scene.two, scene.a);
    scene.s.take(scene.two, scene.unfair, to_read);
    scene.validator.fork_begins();
    scene.validator.forked_in_child(scene.one);
    scene.validator.blocks(scene.one, scene.unfair, to_read);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain) << "both may read";
    scene.validator.blocks(scene.one, scene.a, to_try);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain) << "it gives up";
    scene.validator.blocks(scene.one, scene.a, to_write);
    EXPECT_TRUE(scene.validator.hung(scene.one).certain);
    const Finding& finding = scene.reported(scene.one);
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].wants, &scene.a);
    EXPECT_EQ(finding.chains[1].thread, scene.two.number());
    EXPECT_EQ(finding.chains[1].holds, &scene.a);
    EXPECT_EQ(finding.chains[1].wants, nullptr);
}

TEST(Hang, IsNotOnALockThatWasMadeAnewAfterTheForkOrThatProcessesShare) {
    HangScene scene;
    Lock& shared = scene.s.lock(&scene.s.memory[40], {.shared = true});
    scene.s.take_all(scene.one, {&scene.a});
    scene.s.take(scene.two, scene.a);
    scene.s.take(scene.two, shared);
    scene.validator.fork_begins();
    scene.validator.forked_in_child(scene.one);
    scene.validator.blocks(scene.one, shared, to_write);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain) << "the parent gives it back";
    scene.validator.unblocked(scene.one);
    Lock& anew =
        *scene.validator.enlist(scene.one, &scene.s.memory[0], 8, a_mutex, {.initialised = true});
    Thread& child = *scene.validator.thread_started(scene.one.number());
    scene.s.take(child, anew);
    scene.validator.blocks(scene.one, anew, to_write);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    scene.s.give(child, anew);
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
}

TEST(Hang, IsNotWhereAWaitEndsByItself) {
    HangScene scene;
    Lock& condition = scene.s.lock(&scene.s.memory[40], {.type = LockType::condition});
    scene.s.take(scene.two, scene.a);
    scene.validator.blocks_waiting(scene.two, &scene.b, nullptr, 0);  // It ends by itself.
    scene.validator.blocks(scene.one, scene.a, to_write);
    scene.validator.blocks_joining(scene.three, scene.one.number());
    EXPECT_FALSE(scene.validator.hung(scene.one).certain);
    scene.validator.blocks_waiting(scene.two, &scene.b, &condition, 0);
    EXPECT_TRUE(scene.validator.hung(scene.one).certain);
}

}  // namespace
}  // namespace braidway::lockdep
