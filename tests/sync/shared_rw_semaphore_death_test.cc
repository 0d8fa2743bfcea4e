// SPDX-License-Identifier: Apache-2.0
// Holders and waiters that die: who notices, who comes in, what is set right.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "sync/shared_rw_semaphores.h"

namespace braidway::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(SharedRwSemaphoreTest, AProcessWhosePidIsUsedAgainIsDead) {
    Holder writer = attach();
    writer.lock();
    auto* const slots = reinterpret_cast<SharedRwSlot<SystemPolicy>*>(room_.bytes.data() + 64);
    const ProcessIdentity self = SystemProcesses().self();
    // As if it had been locked by a process of our pid, ten milliseconds before our start.
    slots[writer.slot()].owner = process_identity(pid_of(self), start_ticks_of(self) - 1);
    EXPECT_EQ(semaphore_.release_dead(), 1U);
    EXPECT_TRUE(semaphore_.inconsistent());
    Holder other = attach();
    EXPECT_TRUE(other.try_lock());
    other.unlock();
    writer.unlock();
}

TEST_F(SharedRwSemaphoreTest, TheHolderOfAParentIsNothingToAChild) {
    std::optional<Holder> holder(attach());
    holder->lock();
    const pid_t child = fork();
    if (child == 0) {
        holder.reset();
        _exit(semaphore_.slot(0).state == SlotState::exclusive ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(holder->is_attached());
    holder->unlock();
}

TEST_F(SharedRwDeathTest, AWriterThatDiesLetsTheNextInAndTellsThem) {
    Holder writer = attach(1);
    Holder reader = attach(2);
    Holder next = attach(3);
    writer.lock();
    kill(1, {&writer});
    EXPECT_FALSE(reader.try_lock_shared()) << "a try does not look for the dead";
    reader.lock_shared();
    EXPECT_TRUE(reader.inconsistent());
    reader.unlock_shared();
    next.lock();
    EXPECT_TRUE(next.inconsistent());
    next.make_consistent();
    next.unlock();
    EXPECT_FALSE(semaphore_.inconsistent());
    EXPECT_EQ(semaphore_.slot(0).owner, 0U) << "the slot of the dead is free";
}

TEST_F(SharedRwDeathTest, AWriterWhoGivesUpLetsTheReadersBehindHimIn) {
    Holder reader = attach(1);
    Holder writer = attach(2);
    ToyProcesses::is_patient[3] = true;
    Holder late = attach(3);
    reader.lock_shared();
    std::thread writes([&] { EXPECT_FALSE(writer.try_lock_for(std::chrono::hours(1))); });
    until([&] { return semaphore_.slot(1).state == SlotState::waiting_exclusive; });
    std::thread reads([&] {
        // Looks by itself only after an hour.
        EXPECT_TRUE(late.try_lock_shared_for(std::chrono::hours(2)));
        late.unlock_shared();
    });
    until([&] { return semaphore_.slot(2).state == SlotState::waiting_shared; });
    ToyProcesses::is_told[2] = true;
    until([&] { return semaphore_.slot(2).state == SlotState::idle; });
    writes.join();
    EXPECT_EQ(semaphore_.slot(1).state, SlotState::idle);
    reader.unlock_shared();
    reads.join();
}

TEST_F(SharedRwDeathTest, AReaderThatDiesLetsTheNextInAndNothingIsInconsistent) {
    for (const bool is_upgrade : {false, true}) {
        Holder reader = attach(is_upgrade ? 2 : 1);
        Holder next = attach(3);
        if (is_upgrade) {
            reader.lock_upgrade();
        } else {
            reader.lock_shared();
        }
        kill(is_upgrade ? 2 : 1, {&reader});
        EXPECT_TRUE(next.try_lock_for(seconds(10)));
        EXPECT_FALSE(semaphore_.inconsistent());
        next.unlock();
    }
}

TEST_F(SharedRwDeathTest, ATimedLockThatFailsHasLookedForTheDead) {
    Holder writer = attach(1);
    Holder next = attach(2);
    writer.lock();
    kill(1, {&writer});
    EXPECT_TRUE(next.try_lock_until(Deadline::after(milliseconds(0))));
    next.unlock();
}

TEST(SharedRwSemaphore, OneOfManyWaitersLooksForAll) {
    constexpr unsigned waiters = 30;
    Room room;
    const auto view = [&](ProcessIdentity process) {
        CountedProcesses processes;
        processes.me = process;
        return *CountedSemaphore::open(room.bytes.data(), room.bytes.size(), processes);
    };
    ASSERT_TRUE(CountedSemaphore::create(room.bytes.data(), room.bytes.size(), waiters + 1));
    auto writer = attached(view(1));
    writer.lock();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < waiters; ++i) {
        threads.emplace_back([&, i] {
            auto holder = attached(view(i + 2));
            holder.lock();
            holder.unlock();
        });
        until([&] { return view(1).slot(i + 1).state == SlotState::waiting_exclusive; });
    }
    CountedProcesses::questions = 0;
    const int64_t start_ns = monotonic_now().ns;
    // No look asks for more than all who hold and wait, so these are four, and three periods.
    const uint64_t enough = 3 * (waiters + 1) + 1;
    until([&] { return CountedProcesses::questions >= enough; });
    EXPECT_GE(monotonic_now().ns - start_ns, 2 * turn_look_period_ns)
        << "one look may have begun before";
    writer.unlock();
    for (std::thread& thread : threads) thread.join();
}

TEST_F(SharedRwDeathTest, AWriterThatDiesWaitingKeepsNoReaderOut) {
    Holder reader = attach(1);
    Holder writer = attach(2);
    Holder late = attach(3);
    reader.lock_shared();
    std::thread writes([&] { EXPECT_FALSE(writer.try_lock_for(seconds(60))); });
    until([&] { return semaphore_.slot(1).state == SlotState::waiting_exclusive; });
    ToyProcesses::dead[2] = true;
    EXPECT_TRUE(late.try_lock_shared_for(seconds(10)));
    late.unlock_shared();
    reader.unlock_shared();
    writes.join();
    EXPECT_FALSE(writer.is_attached());
}

TEST_F(SharedRwDeathTest, AnUpgraderThatDiesWaitingKeepsNobodyOut) {
    Holder reader = attach(1);
    Holder upgrader = attach(2);
    Holder late = attach(3);
    reader.lock_shared();
    upgrader.lock_upgrade();
    std::thread upgrades(
        [&] { EXPECT_FALSE(upgrader.try_unlock_upgrade_and_lock_for(seconds(60))); });
    until([&] { return semaphore_.slot(1).state == SlotState::waiting_promotion; });
    EXPECT_FALSE(late.try_lock_shared());
    ToyProcesses::dead[2] = true;
    EXPECT_EQ(semaphore_.release_dead(), 1U);
    EXPECT_TRUE(late.try_lock_upgrade());
    late.unlock_upgrade();
    reader.unlock_shared();
    upgrades.join();
}

TEST_F(SharedRwDeathTest, WhoDiesInsideTheGuardIsReplacedAndHisWorkIsFinished) {
    Holder writer = attach(1);
    Holder next = attach(2);
    writer.lock();
    // Dies in unlock(): inside, the slot is idle already, the header does not know it yet.
    auto* const slots = reinterpret_cast<SharedRwSlot<SystemPolicy>*>(room_.bytes.data() + 64);
    slots[0].state = static_cast<uint32_t>(SlotState::idle);
    header().guard = header().guard | 1;
    kill(1, {&writer});
    EXPECT_TRUE(next.try_lock()) << "even a try takes the guard over";
    EXPECT_EQ(semaphore_.recoveries(), 1U);
    EXPECT_FALSE(semaphore_.inconsistent());
    EXPECT_EQ(semaphore_.slot(0).owner, 0U);
    next.unlock();
}

TEST_F(SharedRwDeathTest, WhoIsStoppedInsideHoldsUpNoTryAndATimedLockUntilHeGoesOn) {
    Holder stopped = attach(1);
    Holder timed = attach(2);
    stopped.lock();
    std::atomic<bool> has_returned = false;
    std::thread waits([&] {
        EXPECT_FALSE(timed.try_lock_for(std::chrono::hours(1)));
        has_returned = true;
    });
    until([&] { return semaphore_.slot(1).state == SlotState::waiting_exclusive; });
    // Between two looks of the waiter, who has the guard for a moment.
    until([&] {
        uint32_t seen = header().guard;
        return (seen & 0x7ff) == 0 && header().guard.compare_exchange_strong(seen, seen | 1);
    });
    Holder late = attach(3);
    EXPECT_FALSE(late.try_lock_shared());
    EXPECT_FALSE(late.try_lock_shared_for(milliseconds(2)));
    ToyProcesses::is_told[2] = true;
    EXPECT_FALSE(late.try_lock_shared_for(milliseconds(20)));
    EXPECT_FALSE(has_returned) << "then the bound is better than it says";
    EXPECT_EQ(semaphore_.recoveries(), 0U) << "whoever is stopped has not died";
    header().guard = header().guard & ~0x7ffU;
    waits.join();
    EXPECT_EQ(semaphore_.slot(1).state, SlotState::idle);
    stopped.unlock();
}

TEST_F(SharedRwDeathTest, AWriterThatDiesInsideBeforeHeHasLetGoIsAWriterThatDied) {
    Holder writer = attach(1);
    Holder next = attach(2);
    writer.lock();
    header().guard = header().guard | 1;
    kill(1, {&writer});
    EXPECT_TRUE(next.try_lock());
    EXPECT_TRUE(next.inconsistent());
    next.unlock();
}

TEST_F(SharedRwDeathTest, WrongCountsInTheHeaderAreRightAfterALook) {
    Holder holder = attach(1);
    SharedRwSummary nonsense;
    nonsense.readers = 3;
    nonsense.waiting_exclusive = 1;
    header().summary = nonsense.packed();
    EXPECT_FALSE(holder.try_lock());
    EXPECT_TRUE(holder.try_lock_for(seconds(20)));
    holder.unlock();
    EXPECT_EQ(header().summary, 0U);
}

TEST_F(SharedRwDeathTest, AVisitorThatDiesInsideIsReplacedByTheNext) {
    Holder writer = attach(1);
    writer.lock();
    auto* const slots = reinterpret_cast<SharedRwSlot<SystemPolicy>*>(room_.bytes.data() + 64);
    slots[8].owner = 2;
    header().guard = header().guard | 9;
    ToyProcesses::dead[2] = true;
    kill(1, {&writer});
    EXPECT_EQ(view(3).release_dead(), 1U);
    EXPECT_EQ(semaphore_.recoveries(), 1U);
    EXPECT_EQ(slots[8].owner, 0U);
}

TEST_F(SharedRwDeathTest, TheSlotsOfTheDeadAreUsedAgain) {
    std::vector<Holder> holders;
    for (unsigned i = 0; i < 8; ++i) holders.push_back(attach(i < 4 ? 1 : 2));
    kill(1, {&holders[0], &holders[1], &holders[2], &holders[3]});
    Holder next = attach(3);
    EXPECT_EQ(next.slot(), 0U);
    EXPECT_EQ(semaphore_.slot(3).owner, 0U);
    EXPECT_EQ(semaphore_.slot(4).owner, 2U);
}

}  // namespace
}  // namespace braidway::sync
