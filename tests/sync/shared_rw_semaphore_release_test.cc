// SPDX-License-Identifier: Apache-2.0
// What a supervisor takes away from processes that live, and memory with nonsense in it.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "sync/shared_rw_semaphores.h"

namespace braidway::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(SharedRwDeathTest, ASupervisorReleasesASlotOrAProcess) {
    Holder one = attach(1);
    Holder two = attach(1);
    Holder other = attach(2);
    one.lock_shared();
    two.lock_shared();
    EXPECT_TRUE(semaphore_.release(one.slot()));
    EXPECT_FALSE(semaphore_.release(one.slot()));
    EXPECT_FALSE(semaphore_.release(5000));
    EXPECT_FALSE(other.try_lock());
    EXPECT_EQ(semaphore_.release_process(1), 1U);
    EXPECT_TRUE(other.try_lock());
    // The living process whose slots were taken away:
    EXPECT_FALSE(one.is_attached());
    one.unlock_shared();
    EXPECT_FALSE(one.try_lock_shared());
    EXPECT_FALSE(one.try_lock_for(seconds(60)));
    EXPECT_TRUE(other.is_attached());
    other.unlock();
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(one.lock(), "the slot of this holder was released while its process lives");
    two.unlock_shared();
}

TEST_F(SharedRwDeathTest, AReleasedSlotIsFreeWhenItsProcessEndsOrItsHolderIsGone) {
    Holder kept = attach(1);
    std::optional<Holder> given_up(attach(1));
    kept.lock_shared();
    EXPECT_EQ(semaphore_.release_process(1), 2U);
    EXPECT_EQ(semaphore_.release_process(1), 0U);
    EXPECT_TRUE(semaphore_.slot(0).is_released);
    EXPECT_EQ(semaphore_.slot(0).owner, 1U);
    EXPECT_EQ(attach(2).slot(), 2U) << "not that of somebody who may be on his way in";
    given_up.reset();
    EXPECT_EQ(attach(2).slot(), 1U);
    EXPECT_EQ(semaphore_.release_dead(), 0U);
    kill(1, {&kept});
    EXPECT_EQ(semaphore_.release_dead(), 1U);
    EXPECT_EQ(attach(2).slot(), 0U);
}

TEST_F(SharedRwDeathTest, ASupervisorMayNameTheProcessAndNotOnlyItsPid) {
    const ProcessIdentity first = process_identity(3, 0);
    const ProcessIdentity second = process_identity(3, 1);
    Holder one = attach(first);
    Holder two = attach(second);
    EXPECT_EQ(semaphore_.release_owner(first), 1U);
    EXPECT_FALSE(one.is_attached());
    EXPECT_TRUE(two.is_attached());
}

TEST_F(SharedRwDeathTest, AReleasedWaiterIsWokenAtOnce) {
    Holder writer = attach(1);
    writer.lock();
    ToyProcesses::is_patient[2] = true;
    // Often, as a waiter who does not sleep yet needs no waking.
    for (int round = 0; round < 50; ++round) {
        Holder waiter = attach(2);
        const int64_t start_ns = monotonic_now().ns;
        std::thread waits([&] { EXPECT_FALSE(waiter.try_lock_for(seconds(20))); });
        until([&] { return semaphore_.slot(1).state == SlotState::waiting_exclusive; });
        for (int turn = 0; turn < 100; ++turn) std::this_thread::yield();
        EXPECT_TRUE(semaphore_.release(1));
        waits.join();
        ASSERT_LT(monotonic_now().ns - start_ns, 20'000'000'000);
    }
    writer.unlock();
    EXPECT_TRUE(writer.try_lock()) << "nobody waits any more";
    writer.unlock();
}

TEST_F(SharedRwDeathTest, WhoeverWasReleasedAndTriesOnLetsNoTwoWritersIn) {
    std::atomic<bool> is_over = false;
    Holder stale = attach(1);
    EXPECT_TRUE(semaphore_.release(stale.slot()));
    std::array<std::atomic<uint64_t>, 2> turns{};
    std::atomic<int> inside = 0;
    std::atomic<int> together = 0;
    std::vector<std::thread> threads;
    for (const unsigned i : {0U, 1U}) {
        threads.emplace_back([&, i] {
            Holder holder = attach(i + 2);
            while (!is_over) {
                if (!holder.try_lock_for(seconds(20))) continue;
                if (inside.fetch_add(1) != 0) ++together;
                for (int turn = 0; turn < 200; ++turn) SystemPolicy::spin_hint();
                inside.fetch_sub(1);
                holder.unlock();
                ++turns[i];
            }
        });
    }
    // The one who was released goes on in the slot that, wrongly, could be that of another now.
    const int64_t end_ns = monotonic_now().ns + 20'000'000'000;
    while ((turns[0] < 2000 || turns[1] < 2000) && monotonic_now().ns < end_ns) {
        EXPECT_FALSE(stale.try_lock());
    }
    is_over = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(together, 0);
    EXPECT_EQ(semaphore_.recoveries(), 0U) << "nobody has died";
}

TEST_F(SharedRwDeathTest, WhoLosesTheGuardLeavesTheSummaryToTheOther) {
    using Table = ToySemaphore::Table;
    auto* const slots = reinterpret_cast<SharedRwSlot<SystemPolicy>*>(room_.bytes.data() + 64);
    const Table table(&header(), slots, 8, ToyProcesses{1});
    Holder one = attach(1);
    Holder two = attach(2);
    const auto turn = table.enter(0, Deadline::never(), Table::Patience::until_deadline);
    ASSERT_TRUE(turn);
    auto late = table.look_around(turn);
    // Somebody has scribbled, or this process was declared dead: the guard is free again.
    header().guard = header().guard & ~0x7ffU;
    ASSERT_TRUE(two.try_lock());
    table.leave(late);
    EXPECT_FALSE(attach(3).try_lock_shared()) << "a writer is inside";
    two.unlock();
}

TEST_F(SharedRwDeathTest, WhoDiedInsideTheGuardIsCountedAmongTheReleased) {
    for (const bool is_last : {false, true}) {
        const unsigned dying = is_last ? 1 : 0;
        Holder first = attach(1);
        Holder second = attach(1);
        header().guard = header().guard | (dying + 1);
        kill(1, {&first, &second});
        EXPECT_EQ(semaphore_.release_dead(), 2U) << dying;
        ToyProcesses::dead[1] = false;
    }
    Holder first = attach(1);
    header().guard = header().guard | 1;
    kill(1, {&first});
    EXPECT_TRUE(semaphore_.release(0));
    ToyProcesses::dead[1] = false;
    Holder again = attach(1);
    header().guard = header().guard | 1;
    kill(1, {&again});
    EXPECT_EQ(semaphore_.release_process(1), 1U);
}

TEST_F(SharedRwDeathTest, NonsenseInTheMemoryNeitherCrashesNorLoopsInside) {
    const uint64_t seed = 7;
    SCOPED_TRACE(seed);
    Random random(seed);
    const ProcessIdentity me = ToyProcesses::count - 1;
    for (ProcessIdentity process = 0; process < me; ++process) ToyProcesses::dead[process] = true;
    auto* const words = reinterpret_cast<std::atomic<uint64_t>*>(room_.bytes.data());
    const size_t word_count = ToySemaphore::size_bytes(8) / 8;
    for (int round = 0; round < 300; ++round) {
        const ToySemaphore semaphore =
            *ToySemaphore::create(room_.bytes.data(), room_.bytes.size(), 8, ToyProcesses{me});
        auto one = attached(semaphore);
        auto two = attached(semaphore);
        std::ignore = one.try_lock_shared();
        for (int word = 0; word < 4; ++word) {
            // Half of it looks almost right; none of it is a living process.
            const uint64_t nonsense = random.below(2) == 0 ? random.next() : random.below(me);
            words[random.below(word_count)] = nonsense;
        }
        // A guard that a living process is said to have is waited for.
        const uint32_t inside = header().guard & 0x7ff;
        if (inside == 1 || inside == 2) header().guard = header().guard + 2;
        if (two.try_lock_shared_for(milliseconds(2))) two.unlock_shared();
        if (two.try_lock_for(milliseconds(2))) two.unlock();
        if (two.try_lock_upgrade_for(milliseconds(2))) two.unlock_upgrade();
        semaphore.release_dead();
        std::ignore = semaphore.attach();
    }
}

}  // namespace
}  // namespace braidway::sync
