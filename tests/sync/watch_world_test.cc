// SPDX-License-Identifier: Apache-2.0
#include "sync/watch_world.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"
#include "sync/watch.h"

namespace braidway::watch {
namespace {

using sync::Mutex;
using sync::RwSemaphore;

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

/// What two threads do so that they wait for each other, each in two parts.
struct Embrace {
    Mutex mutex = {};
    RwSemaphore semaphore = {};
    void (*first_holds)(Embrace&);
    void (*first_wants)(Embrace&);
    void (*first_leaves)(Embrace&);
    void (*second_holds)(Embrace&);
    void (*second_wants)(Embrace&);
    void (*second_leaves)(Embrace&);
};

/// Both in turns, so that the order is no news any more; then at once.
void hang(Embrace& embrace) {
    set_hang_look_after(std::chrono::milliseconds(20));
    const FindingListener former = set_finding_listener([](const lockdep::Finding&) {});
    embrace.first_holds(embrace);
    embrace.first_wants(embrace);
    embrace.first_leaves(embrace);
    embrace.second_holds(embrace);
    embrace.second_wants(embrace);
    embrace.second_leaves(embrace);
    set_finding_listener(former);
    std::atomic<int> holders = 0;
    const auto meet = [&] {
        ++holders;
        while (holders < 2) std::this_thread::yield();
    };
    std::thread first([&] {
        embrace.first_holds(embrace);
        meet();
        embrace.first_wants(embrace);
    });
    std::thread second([&] {
        embrace.second_holds(embrace);
        meet();
        embrace.second_wants(embrace);
    });
    first.join();
    second.join();
}

constexpr const char* hang_report =
    "found hang: these threads wait for each other, and none can go on\n"
    "  thread [0-9]+ holds the (mutex|semaphore|right to upgrade)";

TEST(WatchDeathTest, EndsADeadlockOfAMutexAndASemaphoreWithItsRing) {
    if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
    Embrace embrace{.first_holds = [](Embrace& the) { the.semaphore.lock_shared(); },
                    .first_wants = [](Embrace& the) { the.mutex.lock(); },
                    .first_leaves =
                        [](Embrace& the) {
                            the.mutex.unlock();
                            the.semaphore.unlock_shared();
                        },
                    .second_holds = [](Embrace& the) { the.mutex.lock(); },
                    .second_wants = [](Embrace& the) { the.semaphore.lock(); },
                    .second_leaves =
                        [](Embrace& the) {
                            the.semaphore.unlock();
                            the.mutex.unlock();
                        }};
    EXPECT_DEATH(hang(embrace), hang_report);
}

TEST(WatchDeathTest, EndsADeadlockOfTwoWhoWantToUpgrade) {
    if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
    const auto leave = [](Embrace& the) {
        the.semaphore.unlock_upgrade();
        the.mutex.unlock();
    };
    Embrace embrace{.first_holds = [](Embrace& the) { the.semaphore.lock_upgrade(); },
                    .first_wants = [](Embrace& the) { the.mutex.lock(); },
                    .first_leaves = leave,
                    .second_holds = [](Embrace& the) { the.mutex.lock(); },
                    .second_wants = [](Embrace& the) { the.semaphore.lock_upgrade(); },
                    .second_leaves = leave};
    EXPECT_DEATH(hang(embrace), hang_report);
}

TEST(WatchDeathTest, EndsADeadlockOfAWriterAndAnUpgradableReader) {
    if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
    Embrace embrace{.first_holds = [](Embrace& the) { the.semaphore.lock(); },
                    .first_wants = [](Embrace& the) { the.mutex.lock(); },
                    .first_leaves =
                        [](Embrace& the) {
                            the.semaphore.unlock();
                            the.mutex.unlock();
                        },
                    .second_holds = [](Embrace& the) { the.mutex.lock(); },
                    .second_wants = [](Embrace& the) { the.semaphore.lock_upgrade(); },
                    .second_leaves =
                        [](Embrace& the) {
                            the.semaphore.unlock_upgrade();
                            the.mutex.unlock();
                        }};
    EXPECT_DEATH(hang(embrace), hang_report);
}

TEST(WatchDeathTest, EndsADeadlockOfAnUpgradeAndAReader) {
    if (BRAIDWAY_SYNC_WATCHED == 0) GTEST_SKIP() << "this build has no lock validator in it";
    Embrace embrace{.first_holds = [](Embrace& the) { the.semaphore.lock_shared(); },
                    .first_wants = [](Embrace& the) { the.mutex.lock(); },
                    .first_leaves =
                        [](Embrace& the) {
                            the.mutex.unlock();
                            the.semaphore.unlock_shared();
                        },
                    .second_holds =
                        [](Embrace& the) {
                            the.semaphore.lock_upgrade();
                            the.mutex.lock();
                        },
                    .second_wants = [](Embrace& the) { the.semaphore.unlock_upgrade_and_lock(); },
                    .second_leaves =
                        [](Embrace& the) {
                            the.semaphore.unlock();
                            the.mutex.unlock();
                        }};
    EXPECT_DEATH(hang(embrace), hang_report);
}

}  // namespace
}  // namespace braidway::watch
