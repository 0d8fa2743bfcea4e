// SPDX-License-Identifier: Apache-2.0
// Long because: one lock with three modes, their conversions, and every way of losing a holder.
#include "braidway/sync/shared_rw_semaphore.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/random.h"

// What is taken in one function and given up in another, or whose taking is an expectation, is more
// than the analysis can follow.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace braidway::sync {

// All of it compiles, also what no test below calls.
template class SharedRwTable<SystemPolicy, SystemProcesses>;
template class SharedRwHolder<SystemPolicy, SystemProcesses>;
template class BasicSharedRwSemaphore<SystemPolicy>;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Fault = SharedRwError::Fault;

/// Processes that live and die as the test says; looks come after a millisecond, or an hour.
struct ToyProcesses {
    static constexpr unsigned count = 8;
    static inline std::array<std::atomic<bool>, count> dead{};
    /// Looks after an hour, so that nothing but being woken helps.
    static inline std::array<std::atomic<bool>, count> is_patient{};
    /// Its deadline has come.
    static inline std::array<std::atomic<bool>, count> is_told{};

    ProcessIdentity me = 1;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity process) const { return process >= count || dead[process]; }
    uint64_t place() const { return 42; }
    // Each waiter looks at every turn of its own.
    Look next_turn_look(const Deadline& deadline, const std::atomic<uint64_t>& /*looked*/) const {
        return next_look(deadline, LookAt::turn);
    }
    bool begin_look(std::atomic<uint64_t>& /*looked*/) const { return true; }
    Look next_look(const Deadline& deadline, LookAt) const {
        const bool waits_long = me < count && is_patient[me];
        const Deadline look = Deadline::after(milliseconds(waits_long ? 3'600'000 : 1));
        if (me < count && is_told[me] && !deadline.is_never())
            return {Deadline::after(milliseconds(0)), true};
        if (deadline.is_never() || deadline.nanoseconds() > look.nanoseconds()) {
            return {look, false};
        }
        return {deadline, true};
    }
};

using ToySemaphore = BasicSharedRwSemaphore<SystemPolicy, ToyProcesses>;

/// The looks of the real ones; each question whether somebody lives is counted.
struct CountedProcesses : SystemProcesses {
    static inline std::atomic<uint64_t> questions = 0;

    ProcessIdentity me = 1;

    ProcessIdentity self() const { return me; }
    bool ended(ProcessIdentity /*process*/) const {
        ++questions;
        return false;
    }
};

using CountedSemaphore = BasicSharedRwSemaphore<SystemPolicy, CountedProcesses>;

template <typename Semaphore>
typename Semaphore::Holder attached(const Semaphore& semaphore) {
    auto holder = semaphore.attach();
    EXPECT_TRUE(holder.has_value()) << holder.error().message;
    return std::move(*holder);
}

void until(const std::function<bool()>& is_so) {
    const int64_t end_ns = monotonic_now().ns + 20'000'000'000;
    while (!is_so()) {
        ASSERT_LT(monotonic_now().ns, end_ns) << "it never came";
        std::this_thread::yield();
    }
}

constexpr size_t room_bytes = 64 + 32 * 1025;

struct Room {
    alignas(64) std::array<std::byte, room_bytes> bytes{};
};

/// A semaphore with eight slots in memory of this process.
class SharedRwSemaphoreTest : public testing::Test {
  protected:
    using Holder = SharedRwSemaphore::Holder;

    SharedRwSemaphoreTest() : semaphore_(make()) {}

    SharedRwSemaphore make() {
        return *SharedRwSemaphore::create(room_.bytes.data(), room_.bytes.size(), 8);
    }
    Holder attach() { return attached(semaphore_); }
    void until_state(const Holder& holder, SlotState state) {
        until([&] { return semaphore_.slot(holder.slot()).state == state; });
    }

    Room room_;
    SharedRwSemaphore semaphore_;
};

/// The same over toy processes: what happens when one dies.
class SharedRwDeathTest : public testing::Test {
  protected:
    using Holder = ToySemaphore::Holder;

    SharedRwDeathTest()
        : semaphore_(*ToySemaphore::create(room_.bytes.data(), room_.bytes.size(), 8)) {
        for (auto* const flags :
             {&ToyProcesses::dead, &ToyProcesses::is_patient, &ToyProcesses::is_told}) {
            for (std::atomic<bool>& flag : *flags) flag = false;
        }
    }

    ToySemaphore view(ProcessIdentity process) {
        return *ToySemaphore::open(room_.bytes.data(), room_.bytes.size(), ToyProcesses{process});
    }
    Holder attach(ProcessIdentity process) { return attached(view(process)); }
    /// Kills a process; its holders' destructors do not run.
    void kill(ProcessIdentity process, std::vector<Holder*> holders) {
        for (Holder* const holder : holders) {
            alignas(Holder) static std::array<std::byte, sizeof(Holder)> grave;
            ::new (grave.data()) Holder(std::move(*holder));
        }
        ToyProcesses::dead[process] = true;
    }
    SharedRwHeader<SystemPolicy>& header() {
        return *reinterpret_cast<SharedRwHeader<SystemPolicy>*>(room_.bytes.data());
    }

    Room room_;
    ToySemaphore semaphore_;
};

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
