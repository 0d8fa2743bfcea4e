// SPDX-License-Identifier: Apache-2.0
#include "sync/mutex.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "sync/actor.h"

namespace braidway::sync {
namespace {

using namespace std::chrono_literals;

static_assert(sizeof(Mutex) == 4);
static_assert(sizeof(CondVar) == 4);

struct Counter {
    Mutex mutex;
    CondVar changed;
    int value GUARDED_BY(mutex) = 0;
};

TEST(Mutex, LetsOneThreadInAtATime) {
    Counter counter;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&counter] {
            for (int count = 0; count < 10000; ++count) {
                MutexLock lock(counter.mutex);
                ++counter.value;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(counter.mutex);
    EXPECT_EQ(counter.value, 40000);
}

TEST(Mutex, ATryTakesAFreeOneOnly) {
    Mutex mutex;
    EXPECT_TRUE(mutex.try_lock());
    std::thread([&mutex]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        EXPECT_FALSE(mutex.try_lock());
        EXPECT_FALSE(mutex.try_lock_for(1ms));
        EXPECT_FALSE(mutex.try_lock_for(-1h));
    }).join();
    mutex.unlock();
    EXPECT_TRUE(mutex.try_lock_for(-1h)) << "a free one is taken also when the deadline has passed";
    mutex.unlock();
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
}

TEST(Mutex, GivesUpAtTheDeadlineAndNotBefore) {
    Mutex mutex;
    mutex.lock();
    std::thread([&mutex]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        const Instant before = monotonic_now();
        EXPECT_FALSE(mutex.try_lock_for(20ms));
        EXPECT_GE(monotonic_now().ns - before.ns, 20'000'000);
        const std::chrono::sys_time<std::chrono::nanoseconds> soon(wall_clock_now() + 5ms);
        EXPECT_FALSE(mutex.try_lock_until(soon));
    }).join();
    mutex.unlock();
    // Whoever gave up marked it as awaited; it is free all the same.
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
}

TEST(Mutex, AThreadThatSleepsGetsItWhenItIsUnlocked) {
    BasicMutex<WatchedPolicy> mutex;
    mutex.lock();
    std::deque<Actor> actors;
    std::atomic<int> entered = 0;
    for (int i = 0; i < 3; ++i) {
        actors.emplace_back([&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            mutex.lock();
            ++entered;
            mutex.unlock();
        });
        EXPECT_TRUE(actors.back().sleeps());
    }
    mutex.unlock();
    for (const Actor& actor : actors) EXPECT_TRUE(actor.ends());
    EXPECT_EQ(entered, 3);
}

TEST(Mutex, AThreadThatGivesUpTakesNobodysWake) {
    BasicMutex<WatchedPolicy> mutex;
    mutex.lock();
    std::deque<Actor> actors;
    Actor& patient = actors.emplace_back([&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        mutex.lock();
        mutex.unlock();
    });
    EXPECT_TRUE(patient.sleeps());
    Actor& hasty = actors.emplace_back(
        [&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { EXPECT_FALSE(mutex.try_lock_for(1h)); });
    EXPECT_TRUE(hasty.sleeps());
    hasty.give_up();
    EXPECT_TRUE(hasty.ends());
    mutex.unlock();
    EXPECT_TRUE(patient.ends());
}

TEST(Mutex, WorksWithTheLocksOfTheStandardLibrary) {
    Mutex mutex;
    const std::unique_lock holder(mutex);
    std::thread([&mutex] {
        const std::unique_lock lock(mutex, 1ms);
        EXPECT_FALSE(lock.owns_lock());
    }).join();
    Mutex other;
    const std::scoped_lock both(other);
}

TEST(MutexDeathTest, UnlockingAFreeOneEndsTheProcess) {
    const auto unlock = []() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        Mutex mutex;
        mutex.unlock();
    };
    EXPECT_DEATH(unlock(), "braidway: unlock.. of a mutex that is not locked");
}

/// What several threads share until the last one has done with it.
struct Counted {
    Mutex mutex;
    CondVar changed;
    int users GUARDED_BY(mutex) = 3;
};

/// The last user destroys what the others may just be unlocking.
void done_with(Counted* counted) {
    counted->mutex.lock();
    const bool last = --counted->users == 0;
    counted->mutex.unlock();
    if (last) std::unique_ptr<Counted>(counted).reset();
}

TEST(Mutex, MayBeDestroyedByTheNextOwnerWhileTheLastOneUnlocks) {
    for (int round = 0; round < 2000; ++round) {
        Counted* const counted = std::make_unique<Counted>().release();
        std::thread one([counted] { done_with(counted); });
        std::thread other([counted] { done_with(counted); });
        done_with(counted);
        one.join();
        other.join();
    }
}

TEST(CondVar, MayBeDestroyedByTheLastThatReturnsFromItsWait) {
    for (int round = 0; round < 1000; ++round) {
        Counted* const counted = std::make_unique<Counted>().release();
        const auto wait_for_the_others = [counted]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            counted->mutex.lock();
            while (counted->users > 2) counted->changed.wait(counted->mutex);
            counted->mutex.unlock();
            done_with(counted);
        };
        std::thread one(wait_for_the_others);
        std::thread other(wait_for_the_others);
        counted->mutex.lock();
        --counted->users;
        counted->changed.notify_all();
        counted->mutex.unlock();
        one.join();
        other.join();
    }
}

TEST(CondVar, AWaitEndsAtItsDeadlineWithTheMutexHeld) {
    Counter counter;
    MutexLock lock(counter.mutex);
    EXPECT_FALSE(counter.changed.wait_until(counter.mutex, Deadline::after(-1h)));
    const Instant before = monotonic_now();
    EXPECT_FALSE(counter.changed.wait_until(counter.mutex, Deadline::after(20ms)));
    EXPECT_GE(monotonic_now().ns - before.ns, 20'000'000);
    const std::chrono::sys_time<std::chrono::nanoseconds> soon(wall_clock_now() + 5ms);
    EXPECT_FALSE(counter.changed.wait_until(counter.mutex, soon));
    std::thread([&counter]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        EXPECT_FALSE(counter.mutex.try_lock());
    }).join();
}

TEST(CondVar, AWaitForADurationEndsNotBeforeWithTheMutexHeld) {
    Counter counter;
    MutexLock lock(counter.mutex);
    EXPECT_FALSE(counter.changed.wait_for(counter.mutex, -1h));
    const Instant before = monotonic_now();
    EXPECT_FALSE(counter.changed.wait_for(counter.mutex, 20ms));
    EXPECT_GE(monotonic_now().ns - before.ns, 20'000'000);
    std::thread([&counter]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        EXPECT_FALSE(counter.mutex.try_lock());
    }).join();
}

/// Threads that wait, one after the other, for tickets.
struct TicketOffice {
    BasicMutex<WatchedPolicy> mutex;
    BasicCondVar<WatchedPolicy> changed;
    int tickets = 0;
    std::atomic<int> returns = 0;
    std::atomic<int> sold = 0;
    std::deque<Actor> actors;

    explicit TicketOffice(int waiters) {
        for (int i = 0; i < waiters; ++i) {
            actors.emplace_back([this] { wait_for_ticket(); });
            EXPECT_TRUE(actors.back().sleeps());
        }
    }
    void wait_for_ticket() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        mutex.lock();
        while (tickets == 0) {
            changed.wait(mutex);
            ++returns;
        }
        --tickets;
        mutex.unlock();
        ++sold;
    }
    void offer(int count) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        mutex.lock();
        tickets += count;
        mutex.unlock();
    }
};

TEST(CondVar, NotifyOneWakesOne) {
    TicketOffice office(3);
    for (int sold = 1; sold <= 3; ++sold) {
        office.offer(1);
        office.changed.notify_one();
        EXPECT_TRUE(holds_soon([&] { return office.sold == sold; }));
    }
    EXPECT_EQ(office.returns, 3);
}

TEST(CondVar, AWaitForADurationSaysThatItWasNotified) {
    BasicMutex<WatchedPolicy> mutex;
    BasicCondVar<WatchedPolicy> changed;
    std::atomic<bool> notified = false;
    std::deque<Actor> actors;
    Actor& waiter = actors.emplace_back([&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        mutex.lock();
        notified = changed.wait_for(mutex, 1h);
        mutex.unlock();
    });
    EXPECT_TRUE(waiter.sleeps());
    changed.notify_one();
    EXPECT_TRUE(waiter.ends());
    EXPECT_TRUE(notified);
}

TEST(CondVar, NotifyAllWakesAll) {
    TicketOffice office(5);
    office.offer(5);
    office.changed.notify_all();
    EXPECT_TRUE(holds_soon([&] { return office.sold == 5; }));
}

TEST(CondVar, ANotificationWithNobodyAsleepMakesNoSystemCall) {
    BasicCondVar<WatchedPolicy> changed;
    const int wakes_before = WatchedPolicy::wakes;
    changed.notify_one();
    changed.notify_all();
    EXPECT_EQ(WatchedPolicy::wakes, wakes_before);
}

TEST(CondVar, WaitReturnsWithTheMutexHeldWhenTheStateHasCome) {
    Counter counter;
    std::thread other([&counter] {
        for (int step = 0; step < 100; ++step) {
            MutexLock lock(counter.mutex);
            while (counter.value % 2 == 0) counter.changed.wait(counter.mutex);
            ++counter.value;
            counter.changed.notify_all();
        }
    });
    for (int step = 0; step < 100; ++step) {
        MutexLock lock(counter.mutex);
        while (counter.value % 2 == 1) counter.changed.wait(counter.mutex);
        ++counter.value;
        counter.changed.notify_one();
    }
    other.join();
    MutexLock lock(counter.mutex);
    EXPECT_EQ(counter.value, 200);
}

}  // namespace
}  // namespace braidway::sync
