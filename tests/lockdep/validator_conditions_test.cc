// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

/// A waiter and a notifier at one condition, and a lock `a` besides.
struct ConditionScene {
    Scripted s;
    Thread& notifier = *s.main;
    Thread& waiter = *s.validator.thread_started(1);
    Lock& a = s.lock(&s.memory[0]);
    Lock& mutex = s.lock(&s.memory[8]);
    Lock& condition = s.lock(&s.memory[16], a_condition);

    /// The waiter waits, with `a` held if it should be.
    void wait(bool with_a, Patience patience = Patience::endless) {
        if (with_a) s.take(waiter, a);
        s.take(waiter, mutex);
        s.validator.waits_on_condition(waiter, condition, &mutex, patience, 1);
        s.give(waiter, mutex);
    }
    void wake(bool with_a) {
        s.validator.retaken(waiter, mutex, to_write, 1);
        s.give(waiter, mutex);
        if (with_a) s.give(waiter, a);
    }
    void notify(Thread& thread) {
        s.take(thread, mutex, to_write, 5);
        s.validator.notifies(thread, condition);
        s.give(thread, mutex);
    }
};

TEST(Conditions, WaitingWithALockThatTheNotifierTookBeforeIsReported) {
    ConditionScene scene;
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.wait(true);
    scene.notify(scene.notifier);
    ASSERT_EQ(scene.s.kinds(), "held-while-wait");
    const Finding& finding = scene.s.world.findings[0];
    ASSERT_EQ(finding.chain_count, 2u);
    EXPECT_EQ(finding.chains[0].holds, &scene.condition);
    EXPECT_EQ(finding.chains[0].wants, &scene.a);
    EXPECT_EQ(finding.chains[1].thread, scene.waiter.number());
}

TEST(Conditions, WaitingWithALockUnderWhichAnotherTimeIsNotifiedIsReported) {
    ConditionScene scene;
    scene.wait(true);
    scene.wake(true);
    scene.s.take(scene.notifier, scene.a);
    scene.notify(scene.notifier);
    EXPECT_EQ(scene.s.kinds(), "held-while-wait");
}

TEST(Conditions, WaitingWithTheMutexAloneIsFine) {
    ConditionScene scene;
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.wait(false);
    scene.notify(scene.notifier);
    scene.wake(false);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WaitingWithALockThatTheNotifierDoesNotTakeIsFine) {
    ConditionScene scene;
    scene.wait(true);
    scene.notify(scene.notifier);
    scene.wake(true);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WaitingForABoundedTimeIsFine) {
    ConditionScene scene;
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.wait(true, Patience::bounded);
    scene.notify(scene.notifier);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WhatTheNotifierOnlyTriesItDoesNotNeed) {
    ConditionScene scene;
    scene.s.take(scene.notifier, scene.a, to_try);
    scene.s.give(scene.notifier, scene.a);
    scene.wait(true);
    scene.notify(scene.notifier);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WhatTheNotifierTookBeforeTheWaiterWasMadeItDoesNotNeed) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& condition = s.lock(&s.memory[16], a_condition);
    s.take_all(*s.main, {&a});
    Thread& waiter = *s.validator.thread_started(1);
    s.take(waiter, a);
    s.validator.waits_on_condition(waiter, condition, nullptr, Patience::endless, 1);
    s.validator.notifies(*s.main, condition);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Conditions, WhereAnotherThreadNotifiesWithoutTheLockTheWaitCanEnd) {
    ConditionScene scene;
    Thread& other = *scene.s.validator.thread_started(1);
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.wait(true);
    scene.notify(other);
    scene.notify(scene.notifier);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, ALockOfTheSameClassIsNotTheLock) {
    for (const bool takes_the_same : {false, true}) {
        Scripted s;
        Thread& waiter = *s.validator.thread_started(1);
        Lock& a1 = s.lock(&s.memory[0], a_mutex, 5);
        Lock& a2 = s.lock(&s.memory[8], a_mutex, 5);
        Lock& condition = s.lock(&s.memory[16], a_condition);
        s.take_all(*s.main, {takes_the_same ? &a1 : &a2});
        s.take(waiter, a1);
        s.validator.waits_on_condition(waiter, condition, nullptr, Patience::endless, 1);
        s.validator.notifies(*s.main, condition);
        EXPECT_EQ(s.kinds(), takes_the_same ? "held-while-wait" : "");
    }
}

TEST(Conditions, WhatItDidNotNeedTheFirstTimeTheNotifierDoesNotNeed) {
    ConditionScene scene;
    scene.wait(true);
    scene.notify(scene.notifier);
    scene.wake(true);
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.notify(scene.notifier);
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WhatItTookBeforeItHadTheMutexAnotherTimeTheNotifierDoesNotNeed) {
    for (const bool takes_it_between : {false, true}) {
        ConditionScene scene;
        if (!takes_it_between) scene.s.take_all(scene.notifier, {&scene.a});
        scene.s.take_all(scene.notifier, {&scene.mutex});
        if (takes_it_between) scene.s.take_all(scene.notifier, {&scene.a});
        scene.wait(true);
        scene.notify(scene.notifier);
        EXPECT_EQ(scene.s.kinds(), takes_it_between ? "held-while-wait" : "");
    }
}

TEST(Conditions, WhoNotifiedBeforeIsLookedAtOnceMore) {
    for (const bool takes_it_each_time : {false, true}) {
        ConditionScene scene;
        scene.s.take_all(scene.notifier, {&scene.a});
        scene.notify(scene.notifier);
        scene.wait(true);
        scene.s.take(scene.notifier, scene.mutex, to_write, 5);
        EXPECT_FALSE(scene.s.validator.notifies(scene.notifier, scene.condition));
        scene.s.give(scene.notifier, scene.mutex);
        EXPECT_EQ(scene.s.kinds(), "");
        scene.wake(true);
        if (takes_it_each_time) scene.s.take_all(scene.notifier, {&scene.a});
        scene.notify(scene.notifier);
        EXPECT_EQ(scene.s.kinds(), takes_it_each_time ? "held-while-wait" : "");
    }
}

/// Waits at one place that is ended by one who holds `a`, and waits with `a` that others end.
struct EndingScene : ConditionScene {
    static constexpr uintptr_t place = 40;
    static constexpr uintptr_t call = 41;
    Thread& holder = *s.validator.thread_started(1);

    /// Waits with nothing but the mutex; `holder` ends it and holds `a`. The waiter has the mutex.
    void wait_ended_by_holder(uintptr_t where = place) {
        s.take(waiter, mutex, to_write, 7);
        s.validator.waits_on_condition(waiter, condition, &mutex, Patience::endless, where);
        const uint32_t ticket = condition.notified.load();
        s.give(waiter, mutex);
        s.take(holder, a);
        s.take(holder, mutex);
        ASSERT_FALSE(Validator::notifies_freely(holder, condition));
        s.validator.notified_holding(holder, condition, 0);
        s.give(holder, mutex);
        s.give(holder, a);
        ASSERT_TRUE(Validator::ended_by_one_holder(condition, ticket));
        s.validator.ended_by_holder(waiter, condition, where, call);
        s.validator.retaken(waiter, mutex, to_write, call);
    }
    /// The waiter waits with `a` held; one who does not need it ends that.
    void wait_with_a() {
        if (Validator::has_ending(waiter)) s.validator.waits_again(waiter, &mutex);
        s.take(waiter, a);
        s.take(waiter, mutex, to_write, 8);
        s.validator.waits_on_condition(waiter, condition, &mutex, Patience::endless, place);
        s.give(waiter, mutex);
        notify(notifier);
        s.give(waiter, a);
    }
};

TEST(Conditions, WhoEndedSuchAWaitAloneIsNeededAlthoughAnotherOneComesWithoutTheLock) {
    EndingScene scene;
    scene.wait_ended_by_holder();
    scene.s.give(scene.waiter, scene.mutex);
    scene.wait_with_a();
    EXPECT_EQ(scene.s.kinds(), "held-while-wait");
}

TEST(Conditions, WhoEndsSuchAWaitLaterIsNeededOnceTheThreadIsAtItsEnd) {
    EndingScene scene;
    scene.wait_with_a();
    scene.wait_ended_by_holder();
    scene.s.give(scene.waiter, scene.mutex);
    EXPECT_EQ(scene.s.kinds(), "");
    scene.s.validator.thread_ended(scene.waiter, false);
    EXPECT_EQ(scene.s.kinds(), "held-while-wait");
}

TEST(Conditions, AWaitThatIsWaitedAgainWasNotEnded) {
    EndingScene scene;
    scene.wait_ended_by_holder();
    ASSERT_TRUE(Validator::has_ending(scene.waiter));
    scene.s.validator.waits_again(scene.waiter, &scene.mutex);  // The mutex is held since.
    scene.s.give(scene.waiter, scene.mutex);
    scene.wait_with_a();
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, WhoEndsWaitsAtAnotherPlaceIsNotNeeded) {
    EndingScene scene;
    for (int order = 0; order < 2; ++order) {
        scene.wait_ended_by_holder(EndingScene::place + 1);
        scene.s.give(scene.waiter, scene.mutex);
        scene.wait_with_a();
        EXPECT_EQ(scene.s.kinds(), "");
    }
}

TEST(Conditions, WhoNotifiesWithTheLockAndWaitsWithItWaitsForAnAnswer) {
    EndingScene scene;
    scene.wait_ended_by_holder();
    scene.s.give(scene.waiter, scene.mutex);
    scene.s.take(scene.holder, scene.a);
    scene.s.validator.waits_on_condition(scene.holder, scene.condition, nullptr, Patience::endless,
                                         EndingScene::place);
    scene.s.give(scene.holder, scene.a);
    scene.wait_with_a();
    EXPECT_EQ(scene.s.kinds(), "");
}

TEST(Conditions, TwoNotificationsTellNothingOfWhoEndedTheWait) {
    EndingScene scene;
    scene.wait(false);
    const uint32_t ticket = scene.condition.notified.load();
    Validator::notified_freely(scene.condition);
    EXPECT_FALSE(Validator::ended_by_one_holder(scene.condition, ticket));
    scene.s.take(scene.holder, scene.a);
    scene.s.validator.notified_holding(scene.holder, scene.condition, 0);
    EXPECT_FALSE(Validator::ended_by_one_holder(scene.condition, ticket));
}

TEST(Conditions, WhatANotifierThatDidNotMakeTheWaiterTookBeforeItDoesNeed) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& condition = s.lock(&s.memory[16], a_condition);
    Thread& notifier = *s.validator.thread_started(1);
    s.take_all(notifier, {&a});
    Thread& waiter = *s.validator.thread_started(1);
    s.take(waiter, a);
    s.validator.waits_on_condition(waiter, condition, nullptr, Patience::endless, 1);
    s.validator.notifies(notifier, condition);
    EXPECT_EQ(s.kinds(), "held-while-wait");
}

TEST(Conditions, WhatTheMakerOfTheWaitersMakerTookBeforeItDoesNotNeed) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& condition = s.lock(&s.memory[16], a_condition);
    s.take_all(*s.main, {&a});
    Thread& maker = *s.validator.thread_started(s.main->number());
    Thread& waiter = *s.validator.thread_started(maker.number());
    s.take(waiter, a);
    s.validator.waits_on_condition(waiter, condition, nullptr, Patience::endless, 1);
    s.validator.notifies(*s.main, condition);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Conditions, DestroyedAreForgotten) {
    ConditionScene scene;
    scene.s.take_all(scene.notifier, {&scene.a});
    scene.wait(true);
    scene.s.validator.destroyed(scene.notifier, &scene.s.memory[16]);
    scene.s.validator.notifies(scene.notifier, scene.s.lock(&scene.s.memory[16], a_condition));
    EXPECT_EQ(scene.s.kinds(), "");
}

}  // namespace
}  // namespace braidway::lockdep
