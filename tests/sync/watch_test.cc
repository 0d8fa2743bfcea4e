// SPDX-License-Identifier: Apache-2.0
#include "sync/watch.h"

#include <gtest/gtest.h>

#include <mutex>
#include <shared_mutex>
#include <vector>

#include "braidway/sync/may_sleep.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"

namespace braidway::watch {
namespace {

using lockdep::FindingKind;
using sync::Mutex;
using sync::RwSemaphore;

std::vector<FindingKind> found;

/// Collects findings instead of ending the process.
class Watch : public testing::Test {
  protected:
    void SetUp() override {
        if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
        found.clear();
        former_ = set_finding_listener([](const lockdep::Finding& finding) {
            if (!finding.note) found.push_back(finding.kind);
        });
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

TEST(WatchDeathTest, EndsTheProcessWithAReportWhereNobodyListens) {
    if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
    Mutex first;
    Mutex second;
    const auto both = [](Mutex& one, Mutex& other) {
        const std::lock_guard hold(one);
        const std::lock_guard inner(other);
    };
    both(first, second);
    EXPECT_DEATH(both(second, first), "the lock validator found order");
}

}  // namespace
}  // namespace braidway::watch
