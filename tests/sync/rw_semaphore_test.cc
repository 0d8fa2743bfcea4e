// SPDX-License-Identifier: Apache-2.0
// What a user of the semaphore sees. Who enters before whom is in rw_queue_test.cc.
#include "braidway/sync/rw_semaphore.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "support/until.h"
#include "sync/actor.h"

namespace braidway::sync {
namespace {

using namespace std::chrono_literals;

static_assert(sizeof(RwSemaphore) == 16);
static_assert(!std::is_copy_constructible_v<RwSemaphore>);

/// What another thread could take now, with a try and with a deadline: W, R, U.
std::string admits(RwSemaphore& semaphore) {
    std::string tries;
    std::string timed;
    std::thread([&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        if (semaphore.try_lock()) {
            tries += 'W';
            semaphore.unlock();
        }
        if (semaphore.try_lock_shared()) {
            tries += 'R';
            semaphore.unlock_shared();
        }
        if (semaphore.try_lock_upgrade()) {
            tries += 'U';
            semaphore.unlock_upgrade();
        }
        if (semaphore.try_lock_for(1ms)) {
            timed += 'W';
            semaphore.unlock();
        }
        if (semaphore.try_lock_shared_for(1ms)) {
            timed += 'R';
            semaphore.unlock_shared();
        }
        if (semaphore.try_lock_upgrade_for(1ms)) {
            timed += 'U';
            semaphore.unlock_upgrade();
        }
    }).join();
    EXPECT_EQ(tries, timed);
    return tries;
}

TEST(RwSemaphore, EachModeKeepsOutWhatItMust) {
    RwSemaphore semaphore;
    EXPECT_EQ(admits(semaphore), "WRU");
    semaphore.lock();
    EXPECT_EQ(admits(semaphore), "");
    semaphore.unlock();
    semaphore.lock_shared();
    EXPECT_EQ(admits(semaphore), "RU");
    semaphore.unlock_shared();
    semaphore.lock_upgrade();
    EXPECT_EQ(admits(semaphore), "R");
    semaphore.unlock_upgrade();
    EXPECT_EQ(admits(semaphore), "WRU");
}

TEST(RwSemaphore, AFreeOneIsTakenAlsoWhenTheDeadlineHasPassed) {
    RwSemaphore semaphore;
    EXPECT_TRUE(semaphore.try_lock_for(-1h));
    semaphore.unlock();
    EXPECT_TRUE(semaphore.try_lock_shared_for(-1h));
    semaphore.unlock_shared();
    EXPECT_TRUE(semaphore.try_lock_upgrade_for(-1h));
    semaphore.unlock_upgrade();
}

TEST(RwSemaphore, GivesUpAtTheDeadlineOfEitherClockAndNotBefore) {
    RwSemaphore semaphore;
    semaphore.lock();
    std::thread([&semaphore]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        const Instant before = monotonic_now();
        EXPECT_FALSE(semaphore.try_lock_for(20ms));
        EXPECT_FALSE(semaphore.try_lock_shared_for(20ms));
        EXPECT_FALSE(semaphore.try_lock_upgrade_for(20ms));
        EXPECT_GE(monotonic_now().ns - before.ns, 60'000'000);
        const std::chrono::sys_time<std::chrono::nanoseconds> soon(wall_clock_now() + 5ms);
        EXPECT_FALSE(semaphore.try_lock_until(soon));
        EXPECT_FALSE(semaphore.try_lock_shared_until(soon));
        EXPECT_FALSE(semaphore.try_lock_upgrade_until(soon));
    }).join();
    semaphore.unlock();
    EXPECT_EQ(admits(semaphore), "WRU");
}

TEST(RwSemaphore, GoesFromModeToModeWithoutLettingGo) {
    RwSemaphore semaphore;
    semaphore.lock_upgrade();
    EXPECT_TRUE(semaphore.try_unlock_upgrade_and_lock());
    EXPECT_EQ(admits(semaphore), "");
    semaphore.unlock_and_lock_upgrade();
    EXPECT_EQ(admits(semaphore), "R");
    semaphore.unlock_upgrade_and_lock();
    EXPECT_EQ(admits(semaphore), "");
    semaphore.downgrade();
    EXPECT_EQ(admits(semaphore), "RU");
    semaphore.unlock_shared();
    semaphore.lock_upgrade();
    semaphore.unlock_upgrade_and_lock_shared();
    EXPECT_EQ(admits(semaphore), "RU");
    semaphore.unlock_shared();
    EXPECT_EQ(admits(semaphore), "WRU");
}

TEST(RwSemaphore, AnUpgradeBesideAReaderFailsAtOnceOrAtItsDeadline) {
    RwSemaphore semaphore;
    semaphore.lock_shared();
    std::thread([&semaphore]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        semaphore.lock_upgrade();
        EXPECT_FALSE(semaphore.try_unlock_upgrade_and_lock());
        EXPECT_FALSE(semaphore.try_unlock_upgrade_and_lock_for(2ms));
        EXPECT_FALSE(semaphore.try_unlock_upgrade_and_lock_for(-1h));
        EXPECT_EQ(admits(semaphore), "R") << "it is the upgradable reader still";
        semaphore.unlock_upgrade();
    }).join();
    semaphore.unlock_shared();
    EXPECT_EQ(admits(semaphore), "WRU");
}

TEST(RwSemaphore, WorksWithTheLocksOfTheStandardLibrary) {
    RwSemaphore semaphore;
    {
        const std::shared_lock one(semaphore);
        const std::shared_lock other(semaphore, 1ms);
        EXPECT_TRUE(other.owns_lock());
        const std::unique_lock writer(semaphore, std::try_to_lock);
        EXPECT_FALSE(writer.owns_lock());
        const std::unique_lock late(
            semaphore, std::chrono::sys_time<std::chrono::nanoseconds>(wall_clock_now() + 1ms));
        EXPECT_FALSE(late.owns_lock());
    }
    RwSemaphore second;
    {
        const std::scoped_lock both(semaphore, second);
        const std::shared_lock reader(semaphore,
                                      std::chrono::time_point<std::chrono::steady_clock>::min());
        EXPECT_FALSE(reader.owns_lock());
    }
    const std::lock_guard writer(semaphore);
}

TEST(RwSemaphore, ZeroedMemoryIsAFreeOne) {
    alignas(RwSemaphore) std::array<std::byte, sizeof(RwSemaphore)> zeroed{};
    RwSemaphore fresh;
    EXPECT_EQ(std::memcmp(zeroed.data(), static_cast<const void*>(&fresh), sizeof(fresh)), 0);
    auto& semaphore = *std::launder(reinterpret_cast<RwSemaphore*>(zeroed.data()));
    EXPECT_EQ(admits(semaphore), "WRU");
    EXPECT_EQ(std::memcmp(zeroed.data(), static_cast<const void*>(&fresh), sizeof(fresh)), 0)
        << "and a free one is zeroed memory";
}

TEST(RwSemaphore, AThreadThatReadsAndReadsAgainWhileAWriterWaitsWouldWaitForItself) {
    // The deadlock of 2005 in five lines; with lock_shared() it would be one.
    BasicRwSemaphore<WatchedPolicy> semaphore;
    semaphore.lock_shared();
    Actor writer([&]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        semaphore.lock();
        semaphore.unlock();
    });
    EXPECT_TRUE(writer.sleeps());
    EXPECT_FALSE(semaphore.try_lock_shared_for(20ms));
    semaphore.unlock_shared();
    EXPECT_TRUE(writer.ends());
}

TEST(RwSemaphore, LetsManyReadersInTogether) {
    RwSemaphore semaphore;
    std::atomic<int> inside = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 8; ++i) {
        readers.emplace_back([&] {
            const std::shared_lock lock(semaphore);
            ++inside;
            EXPECT_TRUE(holds_soon([&] { return inside == 8; }));
        });
    }
    for (std::thread& reader : readers) reader.join();
}

using Misuse = void (*)(RwSemaphore&);

void expect_death(Misuse misuse, const char* line) {
    RwSemaphore semaphore;
    EXPECT_DEATH(misuse(semaphore), line);
}

TEST(RwSemaphoreDeathTest, GivingBackWhatIsNotHeldEndsTheProcess) {
    expect_death([](RwSemaphore& free) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { free.unlock(); },
                 "braidway: unlock.. without a writer");
    expect_death([](RwSemaphore& free) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { free.unlock_shared(); },
                 "unlock_shared.. without a reader");
    expect_death([](RwSemaphore& free)
                     BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { free.unlock_upgrade(); },
                 "unlock_upgrade.. without an upgradable reader");
    expect_death([](RwSemaphore& free) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS { free.downgrade(); },
                 "without a writer");
}

TEST(RwSemaphoreDeathTest, GivingBackInAnotherModeThanItIsHeldEndsTheProcess) {
    expect_death(
        [](RwSemaphore& semaphore) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            semaphore.lock_shared();
            semaphore.unlock();
        },
        "unlock.. without a writer");
    expect_death(
        [](RwSemaphore& semaphore) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            semaphore.lock();
            semaphore.unlock_shared();
        },
        "unlock_shared.. without a reader");
    expect_death(
        [](RwSemaphore& semaphore) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            semaphore.lock_shared();
            semaphore.unlock_upgrade_and_lock();
        },
        "an upgrade by who is no upgradable reader");
    expect_death(
        [](RwSemaphore& semaphore) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            semaphore.lock();
            semaphore.unlock_upgrade_and_lock();
        },
        "an upgrade by who is no upgradable reader");
}

/// How the last thread but one gives the semaphore up, which the last one then destroys.
enum class Exit : uint8_t { unlock, unlock_shared, unlock_upgrade };

void leave_to_who_destroys(Exit exit) {
    RwSemaphore* const semaphore = std::make_unique<RwSemaphore>().release();
    std::atomic<bool> inside = false;
    std::thread leaver([&inside, semaphore, exit]() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        if (exit == Exit::unlock) semaphore->lock();
        if (exit == Exit::unlock_shared) semaphore->lock_shared();
        if (exit == Exit::unlock_upgrade) semaphore->lock_upgrade();
        inside = true;
        std::this_thread::yield();
        if (exit == Exit::unlock) semaphore->unlock();
        if (exit == Exit::unlock_shared) semaphore->unlock_shared();
        if (exit == Exit::unlock_upgrade) semaphore->unlock_upgrade();
    });
    EXPECT_TRUE(holds_soon([&] { return inside.load(); }));
    semaphore->lock();
    semaphore->unlock();
    std::unique_ptr<RwSemaphore>(semaphore).reset();
    leaver.join();
}

TEST(RwSemaphore, MayBeDestroyedByTheNextOwnerWhileTheLastOneUnlocks) {
    // AddressSanitizer sees a touch that comes too late.
    for (const Exit exit : {Exit::unlock, Exit::unlock_shared, Exit::unlock_upgrade}) {
        for (int round = 0; round < 1000; ++round) leave_to_who_destroys(exit);
    }
}

TEST(RwSemaphore, MayBeDestroyedByTheLastOfItsUsers) {
    struct Counted {
        RwSemaphore semaphore;
        int users = 3;
    };
    const auto done_with = [](Counted* counted) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        counted->semaphore.lock_shared();
        counted->semaphore.unlock_shared();
        counted->semaphore.lock();
        const bool last = --counted->users == 0;
        counted->semaphore.unlock();
        if (last) std::unique_ptr<Counted>(counted).reset();
    };
    for (int round = 0; round < 1000; ++round) {
        Counted* const counted = std::make_unique<Counted>().release();
        std::thread one(done_with, counted);
        std::thread other(done_with, counted);
        done_with(counted);
        one.join();
        other.join();
    }
}

}  // namespace
}  // namespace braidway::sync
