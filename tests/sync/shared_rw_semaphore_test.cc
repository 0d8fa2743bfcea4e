// SPDX-License-Identifier: Apache-2.0
// What users see of the semaphore while everybody lives.
#include "braidway/sync/shared_rw_semaphore.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "sync/shared_rw_semaphores.h"

namespace braidway::sync {

// All of it compiles, also what no test below calls.
template class SharedRwTable<SystemPolicy, SystemProcesses>;
template class SharedRwHolder<SystemPolicy, SystemProcesses>;
template class BasicSharedRwSemaphore<SystemPolicy>;

namespace {

using std::chrono::milliseconds;
using Fault = SharedRwError::Fault;

TEST(SharedRwSemaphore, TakesSixtyFourBytesAndThirtyTwoForEachSlotAndTheVisitors) {
    EXPECT_EQ(SharedRwSemaphore::size_bytes(1), 64U + 2 * 32);
    EXPECT_EQ(SharedRwSemaphore::size_bytes(1024), room_bytes);
}

TEST(SharedRwSemaphore, SaysWhyItIsNotMade) {
    Room room;
    std::byte* const memory = room.bytes.data();
    const auto none = SharedRwSemaphore::create(memory, room_bytes, 0);
    EXPECT_EQ(none.error().fault, Fault::bad_count);
    EXPECT_EQ(none.error().message, "a shared semaphore has 1 to 1024 slots, not 0");
    EXPECT_EQ(SharedRwSemaphore::create(memory, room_bytes, 1025).error().fault, Fault::bad_count);
    const auto misaligned = SharedRwSemaphore::create(memory + 8, room_bytes - 8, 1);
    EXPECT_EQ(misaligned.error().fault, Fault::misaligned);
    EXPECT_EQ(misaligned.error().message,
              "the memory of a shared semaphore begins at a multiple of 64");
    const auto small = SharedRwSemaphore::create(memory, room_bytes - 1, 1024);
    EXPECT_EQ(small.error().fault, Fault::too_small);
    EXPECT_EQ(small.error().message,
              "the shared semaphore takes 32864 bytes, and the memory has 32863");
}

TEST(SharedRwSemaphore, SaysWhyItIsNotOpened) {
    Room room;
    std::byte* const memory = room.bytes.data();
    auto& header = *reinterpret_cast<SharedRwHeader<SystemPolicy>*>(memory);
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes).error().message,
              "the memory holds no shared semaphore (yet)");
    ASSERT_TRUE(SharedRwSemaphore::create(memory, room_bytes, 16).has_value());
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes)->slots(), 16U);
    EXPECT_EQ(SharedRwSemaphore::open(memory, 64).error().fault, Fault::too_small);
    EXPECT_EQ(SharedRwSemaphore::open(memory, 64 + 16 * 32).error().message,
              "the shared semaphore takes 608 bytes, and the memory has 576");
    header.slots = 4000;
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes).error().fault, Fault::bad_count);
    header.slots = 16;
    header.place ^= 1;
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes).error().fault, Fault::other_place);
    header.version = 7;
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes).error().message,
              "the shared semaphore is of version or slot size 7, and this program knows 1");
    header.magic = 5;
    EXPECT_EQ(SharedRwSemaphore::open(memory, room_bytes).error().message,
              "the memory holds something else than a shared semaphore");
}

TEST(SharedRwSemaphore, WorksAtTwoAddressesAtOnce) {
    const int file = memfd_create("semaphore", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(file, 4096), 0);
    void* const one = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    void* const two = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ASSERT_NE(one, two);
    {
        auto first = attached(*SharedRwSemaphore::create(one, 4096, 4));
        auto second = attached(*SharedRwSemaphore::open(two, 4096));
        EXPECT_NE(first.slot(), second.slot());
        first.lock();
        EXPECT_FALSE(second.try_lock_shared());
        first.unlock();
        EXPECT_TRUE(second.try_lock_shared());
        second.unlock_shared();
    }
    munmap(one, 4096);
    munmap(two, 4096);
    close(file);
}

TEST_F(SharedRwSemaphoreTest, AdmitsWhatGoesTogether) {
    struct Row {
        LockMode held, wanted;
        bool is_admitted;
    };
    using enum LockMode;
    const auto take = [](Holder& holder, LockMode mode) {
        if (mode == exclusive) return holder.try_lock();
        return mode == shared ? holder.try_lock_shared() : holder.try_lock_upgrade();
    };
    for (const Row& row :
         {Row{shared, shared, true}, Row{shared, upgrade, true}, Row{shared, exclusive, false},
          Row{upgrade, shared, true}, Row{upgrade, upgrade, false}, Row{upgrade, exclusive, false},
          Row{exclusive, shared, false}, Row{exclusive, upgrade, false},
          Row{exclusive, exclusive, false}}) {
        Holder one = attach();
        Holder two = attach();
        EXPECT_TRUE(take(one, row.held));
        EXPECT_EQ(take(two, row.wanted), row.is_admitted)
            << "held " << int(row.held) << ", wanted " << int(row.wanted);
    }
}

TEST_F(SharedRwSemaphoreTest, WorksWithTheLocksOfTheStandardLibrary) {
    Holder one = attach();
    Holder two = attach();
    {
        const std::shared_lock<Holder> reads(one);
        std::shared_lock<Holder> reads_too(two, std::try_to_lock);
        EXPECT_TRUE(reads_too.owns_lock());
    }
    const std::unique_lock<Holder> writes(one, milliseconds(1));
    EXPECT_TRUE(writes.owns_lock());
    EXPECT_FALSE(std::unique_lock<Holder>(two, std::try_to_lock).owns_lock());
}

TEST_F(SharedRwSemaphoreTest, LetsNoNewReaderInOnceAWriterWaits) {
    Holder reader = attach();
    Holder writer = attach();
    Holder late = attach();
    reader.lock_shared();
    std::thread writes([&] {
        writer.lock();
        writer.unlock();
    });
    until_state(writer, SlotState::waiting_exclusive);
    EXPECT_FALSE(late.try_lock_shared());
    EXPECT_FALSE(late.try_lock_shared_for(milliseconds(2)));
    reader.unlock_shared();
    writes.join();
    EXPECT_TRUE(late.try_lock_shared());
    late.unlock_shared();
}

TEST_F(SharedRwSemaphoreTest, LetsWaitersInInTheOrderOfTheirComing) {
    std::vector<Holder> holders;
    for (int i = 0; i < 7; ++i) holders.push_back(attach());
    holders[6].lock();
    std::vector<std::thread> threads;
    std::atomic<int> turn = 0;
    std::array<int, 6> turns{};
    // Writer, two readers, writer, reader, writer.
    constexpr std::array<bool, 6> writes{true, false, false, true, false, true};
    std::atomic<int> reading = 0;
    for (unsigned i = 0; i < 6; ++i) {
        threads.emplace_back([&, i] {
            if (writes[i]) {
                holders[i].lock();
                turns[i] = turn++;
                holders[i].unlock();
                return;
            }
            holders[i].lock_shared();
            // The two that go together are in together.
            ++reading;
            if (i < 3) until([&] { return reading >= 2; });
            turns[i] = turn++;
            holders[i].unlock_shared();
        });
        until_state(holders[i],
                    writes[i] ? SlotState::waiting_exclusive : SlotState::waiting_shared);
    }
    holders[6].unlock();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(turns[0], 0);
    EXPECT_EQ(turns[1] + turns[2], 3);
    EXPECT_EQ(turns[3], 3);
    EXPECT_EQ(turns[4], 4);
    EXPECT_EQ(turns[5], 5);
}

TEST_F(SharedRwSemaphoreTest, ATimedLockWaitsUntilItsDeadlineOnEitherClock) {
    Holder writer = attach();
    Holder late = attach();
    writer.lock();
    int64_t start_ns = monotonic_now().ns;
    EXPECT_FALSE(late.try_lock_for(milliseconds(5)));
    EXPECT_GE(monotonic_now().ns - start_ns, 5'000'000);
    start_ns = monotonic_now().ns;
    const auto soon =
        std::chrono::sys_time<std::chrono::nanoseconds>(wall_clock_now()) + milliseconds(5);
    EXPECT_FALSE(late.try_lock_shared_until(soon));
    EXPECT_GE(monotonic_now().ns - start_ns, 4'000'000);
    EXPECT_LT(monotonic_now().ns - start_ns, 2'000'000'000);
    writer.unlock();
    EXPECT_TRUE(late.try_lock_until(Deadline::after(milliseconds(0))));
    late.unlock();
}

TEST_F(SharedRwSemaphoreTest, AWriterMayBecomeAReaderAndLetsWaitingReadersIn) {
    Holder writer = attach();
    Holder reader = attach();
    writer.lock();
    std::thread reads([&] { reader.lock_shared(); });
    until_state(reader, SlotState::waiting_shared);
    writer.downgrade();
    reads.join();
    Holder third = attach();
    EXPECT_FALSE(third.try_lock());
    reader.unlock_shared();
    writer.unlock_shared();
    EXPECT_TRUE(third.try_lock());
    third.unlock();
}

TEST_F(SharedRwSemaphoreTest, TheUpgradableReaderBecomesTheWriterBeforeAllWhoWait) {
    Holder upgrader = attach();
    Holder reader = attach();
    Holder writer = attach();
    Holder late = attach();
    reader.lock_shared();
    upgrader.lock_upgrade();
    EXPECT_FALSE(upgrader.try_unlock_upgrade_and_lock());
    EXPECT_FALSE(upgrader.try_unlock_upgrade_and_lock_for(milliseconds(2)));
    EXPECT_EQ(semaphore_.slot(upgrader.slot()).state, SlotState::upgrade);
    std::atomic<bool> has_written = false;
    std::thread writes([&] {
        writer.lock();
        has_written = true;
        writer.unlock();
    });
    until_state(writer, SlotState::waiting_exclusive);
    std::thread upgrades([&] {
        upgrader.unlock_upgrade_and_lock();
        EXPECT_FALSE(has_written);
        upgrader.unlock_and_lock_upgrade();
        EXPECT_FALSE(has_written);
        upgrader.unlock_upgrade_and_lock_shared();
        upgrader.unlock_shared();
    });
    until_state(upgrader, SlotState::waiting_promotion);
    EXPECT_FALSE(late.try_lock_shared());
    reader.unlock_shared();
    upgrades.join();
    writes.join();
    EXPECT_TRUE(has_written);
    EXPECT_TRUE(upgrader.try_lock_upgrade());
    EXPECT_TRUE(upgrader.try_unlock_upgrade_and_lock());
    upgrader.unlock();
}

TEST_F(SharedRwSemaphoreTest, AnUpgradableReaderWaitsForTheOneBeforeHim) {
    Holder first = attach();
    Holder second = attach();
    Holder reader = attach();
    first.lock_upgrade();
    std::thread waits([&] {
        second.lock_upgrade();
        second.unlock_upgrade();
    });
    until_state(second, SlotState::waiting_upgrade);
    EXPECT_TRUE(reader.try_lock_shared()) << "a reader delays nobody who waits for the upgrade";
    first.unlock_upgrade();
    waits.join();
    reader.unlock_shared();
}

TEST_F(SharedRwSemaphoreTest, EverySlotTakenIsSaidInOneLine) {
    std::vector<Holder> holders;
    for (unsigned i = 0; i < 8; ++i) holders.push_back(attach());
    const auto ninth = semaphore_.attach();
    ASSERT_FALSE(ninth.has_value());
    EXPECT_EQ(ninth.error().fault, Fault::full);
    EXPECT_EQ(ninth.error().message,
              "all 8 slots of the shared semaphore are taken by living processes; make it with "
              "more");
    holders.pop_back();
    EXPECT_EQ(attach().slot(), 7U);
}

TEST_F(SharedRwSemaphoreTest, AHolderThatIsDestroyedGivesUpWhatItHasAndSaysSo) {
    Holder other = attach();
    { attach().lock_shared(); }
    EXPECT_FALSE(semaphore_.inconsistent());
    { attach().lock(); }
    EXPECT_TRUE(semaphore_.inconsistent());
    EXPECT_TRUE(other.try_lock());
    other.make_consistent();
    EXPECT_FALSE(other.inconsistent());
    other.unlock();
}

TEST_F(SharedRwSemaphoreTest, AHolderMayBeMovedWithWhatItHolds) {
    Holder one = attach();
    one.lock();
    Holder two = std::move(one);
    EXPECT_FALSE(one.is_attached());  // NOLINT(bugprone-use-after-move): what is asked
    EXPECT_TRUE(two.is_attached());
    Holder three = attach();
    three = std::move(two);
    three.unlock();
    EXPECT_FALSE(semaphore_.inconsistent());
    EXPECT_EQ(semaphore_.slot(1).owner, 0U);
}

TEST_F(SharedRwSemaphoreTest, MisuseEndsTheProcessWithALine) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Holder holder = attach();
    EXPECT_DEATH(holder.unlock(), "unlock\\(\\) of what is not held for writing");
    EXPECT_DEATH(holder.make_consistent(), "make_consistent\\(\\) of what is not held");
    holder.lock_shared();
    EXPECT_DEATH(holder.unlock(), "unlock\\(\\) of what is not held for writing");
    EXPECT_DEATH(static_cast<void>(holder.try_lock()), "locking what this holder holds already");
    holder.unlock_shared();
}

TEST_F(SharedRwSemaphoreTest, ManyThreadsLoseNothing) {
    constexpr unsigned threads_count = 8;
    struct Shared {
        uint64_t one = 0;
        uint64_t two = 0;
    } data;
    std::atomic<uint64_t> writes = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < threads_count; ++i) {
        threads.emplace_back([&, i] {
            Holder holder = attach();
            Random random(i);
            const auto write = [&] {
                ++data.one;
                ++data.two;
                ++writes;
            };
            for (int turn = 0; turn < 1500; ++turn) {
                const uint64_t pick = random.below(100);
                const std::chrono::microseconds wait(random.below(300));
                if (pick < 30) {
                    holder.lock_shared();
                    EXPECT_EQ(data.one, data.two);
                    holder.unlock_shared();
                } else if (pick < 50 && holder.try_lock_shared_for(wait)) {
                    EXPECT_EQ(data.one, data.two);
                    holder.unlock_shared();
                } else if (pick < 60 && holder.try_lock_for(wait)) {
                    write();
                    holder.downgrade();
                    EXPECT_EQ(data.one, data.two);
                    holder.unlock_shared();
                } else if (pick < 70) {
                    holder.lock();
                    write();
                    holder.unlock();
                } else if (pick < 80 && holder.try_lock()) {
                    write();
                    holder.unlock();
                } else if (holder.try_lock_upgrade_for(wait)) {
                    EXPECT_EQ(data.one, data.two);
                    if (pick < 90 && holder.try_unlock_upgrade_and_lock_for(wait)) {
                        write();
                        holder.unlock();
                    } else {
                        holder.unlock_upgrade();
                    }
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(data.one, writes);
    EXPECT_EQ(data.two, writes);
    EXPECT_GT(writes, 0U);
    EXPECT_EQ(semaphore_.recoveries(), 0U);
    EXPECT_FALSE(semaphore_.inconsistent());
    Holder last = attach();
    EXPECT_TRUE(last.try_lock()) << "nobody holds or waits any more";
    last.unlock();
}

}  // namespace
}  // namespace braidway::sync
