// SPDX-License-Identifier: Apache-2.0
#include "sync/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "braidway/sync/may_sleep.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"

namespace braidway::watch {
namespace {

using lockdep::FindingKind;
using lockdep::LockType;
using sync::LockEvent;
using sync::LockKind;
using sync::LockMode;
using sync::Mutex;
using sync::RwSemaphore;

std::vector<FindingKind> found;
std::vector<LockType> found_held;  ///< What is held in the steps of the last finding.

void note(const lockdep::Finding& finding) {
    if (finding.note) return;
    found.push_back(finding.kind);
    found_held.clear();
    for (const lockdep::Chain& chain : finding.steps())
        found_held.push_back(chain.holds->traits.type);
}

/// Collects findings instead of ending the process.
class Watch : public testing::Test {
  protected:
    void SetUp() override {
        if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
        found.clear();
        former_ = set_finding_listener(note);
    }
    void TearDown() override {
        if (BRAIDWAY_SYNC_WATCHED != 0) set_finding_listener(former_);
    }

  private:
    FindingListener former_ = nullptr;
};

TEST_F(Watch, KnowsWhatIsHeld) {
    Mutex mutex;
    RwSemaphore semaphore;
    EXPECT_EQ(locks_held(), 0u);
    mutex.lock();
    EXPECT_TRUE(semaphore.try_lock_shared());
    EXPECT_EQ(locks_held(), 2u);
    mutex.unlock();
    EXPECT_EQ(locks_held(), 1u);
    semaphore.unlock_shared();
    EXPECT_EQ(locks_held(), 0u);
}

TEST_F(Watch, ReportsOppositeOrdersThatDidNotMeet) {
    Mutex first;
    RwSemaphore second;
    {
        const std::lock_guard hold(first);
        const std::lock_guard inner(second);
    }
    EXPECT_TRUE(found.empty());
    {
        const std::lock_guard hold(second);
        const std::lock_guard inner(first);
    }
    EXPECT_EQ(found, std::vector{FindingKind::order});
}

TEST_F(Watch, SaysNothingOfTries) {
    Mutex first;
    Mutex second;
    {
        const std::lock_guard hold(first);
        const std::lock_guard inner(second);
    }
    {
        const std::lock_guard hold(second);
        ASSERT_TRUE(first.try_lock_for(std::chrono::seconds(1)));
        first.unlock();
    }
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, ReportsAReaderThatReadsAgainWhereSomebodyWrites) {
    RwSemaphore semaphore;
    { const std::lock_guard writes(semaphore); }
    {
        const std::shared_lock reads(semaphore);
        const std::shared_lock again(semaphore);
    }
    EXPECT_EQ(found, std::vector{FindingKind::recursive_read});
}

TEST_F(Watch, FollowsUpgradesAndDowngrades) {
    RwSemaphore semaphore;
    semaphore.lock_upgrade();
    semaphore.unlock_upgrade_and_lock();
    semaphore.downgrade();
    EXPECT_EQ(locks_held(), 1u);
    semaphore.unlock_shared();
    EXPECT_EQ(locks_held(), 0u);
    EXPECT_TRUE(found.empty());
}

/// The upgradable reader takes a mutex and becomes the writer.
void upgrade_with(RwSemaphore& semaphore, Mutex& mutex) {
    semaphore.lock_upgrade();
    const std::lock_guard hold(mutex);
    semaphore.unlock_upgrade_and_lock();
    semaphore.unlock();
}

TEST_F(Watch, ReportsARingThroughAnUpgrade) {
    RwSemaphore semaphore;
    Mutex mutex;
    upgrade_with(semaphore, mutex);
    // Only one thread at a time is the upgradable reader: nobody is in its way so far.
    EXPECT_TRUE(found.empty());
    {
        const std::shared_lock reads(semaphore);
        const std::lock_guard inner(mutex);
    }
    EXPECT_EQ(found, std::vector{FindingKind::order});
}

TEST_F(Watch, SaysNothingOfReadersBesideAnUpgradeThatTakeTheMutexBefore) {
    RwSemaphore semaphore;
    Mutex mutex;
    semaphore.lock_upgrade();
    semaphore.unlock_upgrade_and_lock();
    semaphore.unlock();
    {
        const std::lock_guard hold(mutex);
        const std::shared_lock reads(semaphore);
    }
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, ReportsTheRightToUpgradeInOppositeOrders) {
    RwSemaphore semaphore;
    Mutex mutex;
    const auto pass = [&](bool upgradable_first) {
        if (!upgradable_first) mutex.lock();
        semaphore.lock_upgrade();
        if (upgradable_first) mutex.lock();
        semaphore.unlock_upgrade();
        mutex.unlock();
    };
    pass(true);
    EXPECT_TRUE(found.empty());
    pass(false);
    EXPECT_EQ(found, std::vector{FindingKind::order});
}

TEST_F(Watch, SaysNothingOfTheUpgradableReaderAndReadersInOppositeOrders) {
    RwSemaphore semaphore;
    Mutex mutex;
    semaphore.lock_upgrade();
    mutex.lock();
    semaphore.unlock_upgrade();
    mutex.unlock();
    const std::lock_guard hold(mutex);
    const std::shared_lock reads(semaphore);
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, GivesTheRightToUpgradeBackInEveryWay) {
    RwSemaphore semaphore;
    semaphore.lock_upgrade();
    semaphore.unlock_upgrade_and_lock_shared();
    EXPECT_EQ(locks_held(), 1u);
    semaphore.unlock_shared();
    semaphore.lock();
    semaphore.unlock_and_lock_upgrade();
    EXPECT_EQ(locks_held(), 2u);
    EXPECT_TRUE(semaphore.try_unlock_upgrade_and_lock());
    EXPECT_EQ(locks_held(), 1u);
    semaphore.unlock();
    EXPECT_EQ(locks_held(), 0u);
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, TellsAMutexFromASemaphore) {
    Mutex mutex;
    RwSemaphore semaphore;
    for (const bool other_way : {false, true}) {
        if (other_way) semaphore.lock();
        mutex.lock();
        if (!other_way) semaphore.lock();
        semaphore.unlock();
        mutex.unlock();
    }
    ASSERT_EQ(found, std::vector{FindingKind::order});
    EXPECT_THAT(found_held, testing::UnorderedElementsAre(LockType::mutex, LockType::rwlock));
}

TEST_F(Watch, LeavesSemaphoresBetweenProcessesAlone) {
    const int lock = 0;
    sync::SystemPolicy::observe(LockEvent::acquired, LockMode::exclusive, &lock,
                                LockKind::shared_rw_semaphore);
    EXPECT_EQ(locks_held(), 0u);
    sync::SystemPolicy::observe(LockEvent::acquired, LockMode::exclusive, &lock);
    EXPECT_EQ(locks_held(), 1u);
    sync::SystemPolicy::observe(LockEvent::released, LockMode::exclusive, &lock);
    sync::SystemPolicy::observe(LockEvent::gone, LockMode::exclusive, &lock);
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, SaysNothingOfALongWaitThatEnds) {
    const auto former = set_hang_look_after(std::chrono::milliseconds(10));
    Mutex mutex;
    RwSemaphore semaphore;
    std::atomic<bool> holds = false;
    std::thread holder([&] {
        const std::lock_guard hold(mutex);
        const std::shared_lock reads(semaphore);
        holds = true;
        // As long as a few looks take; what is waited for is that nothing happens.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    });
    while (!holds) std::this_thread::yield();
    semaphore.lock();
    semaphore.unlock();
    mutex.lock();
    mutex.unlock();
    holder.join();
    set_hang_look_after(former);
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, ForgetsALockWithItsEnd) {
    alignas(Mutex) std::byte room[2][sizeof(Mutex)];
    for (const bool other_way : {false, true}) {
        auto* const first = new (room[0]) Mutex;
        auto* const second = new (room[1]) Mutex;
        {
            const std::lock_guard hold(other_way ? *second : *first);
            const std::lock_guard inner(other_way ? *first : *second);
        }
        first->~Mutex();
        second->~Mutex();
    }
    EXPECT_TRUE(found.empty());
}

TEST_F(Watch, ReportsAPlaceThatMaySleepUnderALock) {
    Mutex mutex;
    sync::may_sleep_here("a page fault");
    EXPECT_TRUE(found.empty());
    const std::lock_guard hold(mutex);
    sync::may_sleep_here("a page fault");
    EXPECT_EQ(found, std::vector{FindingKind::held_while_sleep});
}

}  // namespace
}  // namespace braidway::watch
