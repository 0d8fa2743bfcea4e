// SPDX-License-Identifier: Apache-2.0
// Real processes that are killed while they hold, wait for, take and give back the semaphore.
// Long because: the same worker at random instants, and the same dying process at every step.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "braidway/sync/shared_rw_semaphore.h"

// What is taken in one function and given up in another, or whose taking is an expectation, is more
// than the analysis can follow.
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wthread-safety-analysis"
#endif

namespace braidway::sync {
namespace {

constexpr unsigned slots = 128;
constexpr size_t semaphore_bytes = 64 * 1024;
// The stated bound is 150 ms after a death, which a test below is about. Here waiters also wait for
// each other, for several deaths one after another, and for a processor on a busy machine.
constexpr int64_t wait_max_ns = 4'000'000'000;

/// What the processes share beside the semaphore. Plain members are what it protects.
struct Shared {
    std::atomic<bool> is_over;
    std::atomic<uint32_t> torn;            ///< Half-written data that nobody was told of.
    std::atomic<uint32_t> second_writers;  ///< Came in while a living writer was inside.
    std::atomic<uint32_t> slow;            ///< Waited longer than wait_max_ns.
    std::atomic<uint64_t> entries;
    std::atomic<uint64_t> repairs;
    std::atomic<int64_t> longest_wait_ns;
    uint64_t one;
    uint64_t two;
    uint64_t writer;  ///< The pid of who writes.
};

struct Scene {
    unsigned processes;
    unsigned threads;
    unsigned kills;
    bool has_supervisor;  ///< Somebody who releases the dead at once.
    uint64_t seed;
};

class Worker {
  public:
    Worker(Shared& shared, const SharedRwSemaphore& semaphore, uint64_t seed)
        : shared_(shared), holder_(attach(semaphore)), random_(seed) {}

    void run() {
        while (!shared_.is_over) turn();
    }

  private:
    static SharedRwSemaphore::Holder attach(const SharedRwSemaphore& semaphore) {
        for (;;) {
            // When all slots are taken by those who are about to die.
            if (auto holder = semaphore.attach()) return std::move(*holder);
        }
    }

    void turn() {
        const std::chrono::microseconds wait(random_.below(2000));
        switch (random_.below(8)) {
            case 0:
            case 1:
                timed([&] { holder_.lock_shared(); });
                read();
                return holder_.unlock_shared();
            case 2:
                timed([&] { holder_.lock(); });
                write();
                return holder_.unlock();
            case 3:
                if (!holder_.try_lock_for(wait)) return;
                write();
                holder_.downgrade();
                read();
                return holder_.unlock_shared();
            case 4:
                if (!holder_.try_lock_shared_for(wait)) return;
                read();
                return holder_.unlock_shared();
            case 5:
                if (!holder_.try_lock()) return;
                write();
                return holder_.unlock();
            case 6:
                timed([&] { holder_.lock_upgrade(); });
                read();
                holder_.unlock_upgrade_and_lock();
                write();
                return holder_.unlock();
            default:
                if (!holder_.try_lock_upgrade_for(wait)) return;
                read();
                if (!holder_.try_unlock_upgrade_and_lock_for(wait)) return holder_.unlock_upgrade();
                write();
                holder_.unlock_and_lock_upgrade();
                return holder_.unlock_upgrade();
        }
    }

    template <typename Lock>
    void timed(Lock&& lock) {
        const int64_t start_ns = monotonic_now().ns;
        lock();
        const int64_t wait_ns = monotonic_now().ns - start_ns;
        if (wait_ns > wait_max_ns) ++shared_.slow;
        int64_t longest_ns = shared_.longest_wait_ns;
        while (wait_ns > longest_ns &&
               !shared_.longest_wait_ns.compare_exchange_weak(longest_ns, wait_ns)) {}
    }

    void linger() {
        for (uint64_t turns = random_.below(300); turns > 0; --turns) SystemPolicy::spin_hint();
    }

    void read() {
        const uint64_t before = get(shared_.one);
        check_whole();
        linger();
        if (get(shared_.one) != before) ++shared_.second_writers;
        ++shared_.entries;
    }

    void write() {
        check_whole();
        const bool is_repair = holder_.inconsistent();
        set(shared_.writer, static_cast<uint64_t>(getpid()));
        set(shared_.one, get(shared_.one) + 1);
        linger();
        if (is_repair) set(shared_.two, get(shared_.one) - 1);
        set(shared_.two, get(shared_.two) + 1);
        if (get(shared_.writer) != static_cast<uint64_t>(getpid())) {
            ++shared_.second_writers;
        }
        set(shared_.writer, 0);
        if (is_repair) {
            holder_.make_consistent();
            ++shared_.repairs;
        }
        ++shared_.entries;
    }

    void check_whole() {
        if (holder_.inconsistent()) return;
        if (get(shared_.one) != get(shared_.two)) ++shared_.torn;
        if (get(shared_.writer) != 0) ++shared_.second_writers;
    }

    // Each access a step of its own, which a kill may show. Atomic for ThreadSanitizer alone, which
    // does not see that one thread follows another by way of another process.
    static uint64_t get(const uint64_t& word) {
        return std::atomic_ref(const_cast<uint64_t&>(word)).load(std::memory_order_relaxed);
    }
    static void set(uint64_t& word, uint64_t value) {
        std::atomic_ref(word).store(value, std::memory_order_relaxed);
    }

    Shared& shared_;
    SharedRwSemaphore::Holder holder_;
    Random random_;
};

pid_t start_process(void* memory, Shared& shared, const Scene& scene, uint64_t seed) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child != 0) return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const auto semaphore = SharedRwSemaphore::open(memory, semaphore_bytes);
    if (!semaphore) _exit(2);
    std::vector<std::thread> threads;
    for (unsigned thread = 1; thread < scene.threads; ++thread) {
        threads.emplace_back([&, thread] { Worker(shared, *semaphore, seed * 64 + thread).run(); });
    }
    Worker(shared, *semaphore, seed * 64).run();
    for (std::thread& thread : threads) thread.join();
    _exit(0);
}

/// Kills and replaces processes as the seed says.
unsigned kill_some(void* memory, Shared& shared, const SharedRwSemaphore& semaphore,
                   const Scene& scene) {
    Random random(scene.seed);
    std::vector<pid_t> children;
    uint64_t next_seed = scene.seed * 100'000;
    for (unsigned i = 0; i < scene.processes; ++i) {
        children.push_back(start_process(memory, shared, scene, ++next_seed));
    }
    unsigned killed = 0;
    while (killed < scene.kills) {
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(12'000)));
        // Sometimes several at once.
        const uint64_t together = random.below(4) == 0 ? 1 + random.below(scene.processes) : 1;
        std::vector<pid_t*> dying;
        for (uint64_t i = 0; i < together; ++i) {
            pid_t& child = children[random.below(children.size())];
            if (std::ranges::find(dying, &child) != dying.end()) continue;
            kill(child, SIGKILL);
            dying.push_back(&child);
        }
        for (pid_t* const child : dying) {
            waitpid(*child, nullptr, 0);
            *child = start_process(memory, shared, scene, ++next_seed);
            ++killed;
        }
        if (scene.has_supervisor) semaphore.release_dead();
    }
    shared.is_over = true;
    unsigned bad_ends = 0;
    for (const pid_t child : children) {
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) ++bad_ends;
    }
    return bad_ends;
}

void play(const Scene& scene) {
    std::printf("seed %llu\n", static_cast<unsigned long long>(scene.seed));
    // Children would print what is in the buffer again.
    std::fflush(stdout);
    const size_t bytes = semaphore_bytes + sizeof(Shared);
    const int file = memfd_create("semaphore", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(file, static_cast<off_t>(bytes)), 0);
    void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ASSERT_NE(memory, MAP_FAILED);
    Shared& shared = *::new (static_cast<std::byte*>(memory) + semaphore_bytes) Shared{};
    const auto semaphore = SharedRwSemaphore::create(memory, semaphore_bytes, slots);
    ASSERT_TRUE(semaphore.has_value()) << semaphore.error().message;

    const int64_t start_ns = monotonic_now().ns;
    const unsigned bad_ends = kill_some(memory, shared, *semaphore, scene);
    const int64_t took_ns = monotonic_now().ns - start_ns;

    std::printf(
        "%u kills in %.1f s: %llu entries, longest wait %.1f ms, %u guards taken over, %llu "
        "repairs\n",
        scene.kills, static_cast<double>(took_ns) / 1e9,
        static_cast<unsigned long long>(shared.entries.load()),
        static_cast<double>(shared.longest_wait_ns.load()) / 1e6, semaphore->recoveries(),
        static_cast<unsigned long long>(shared.repairs.load()));
    EXPECT_EQ(bad_ends, 0U) << "of the survivors";
    EXPECT_EQ(shared.torn, 0U);
    EXPECT_EQ(shared.second_writers, 0U);
    EXPECT_EQ(shared.slow, 0U);
    EXPECT_GT(shared.entries, scene.kills);
    // No slot is lost, nobody holds, nobody waits.
    std::vector<SharedRwSemaphore::Holder> holders;
    for (unsigned i = 0; i < slots; ++i) {
        auto holder = semaphore->attach();
        ASSERT_TRUE(holder.has_value()) << holder.error().message;
        holders.push_back(std::move(*holder));
    }
    EXPECT_TRUE(holders.back().try_lock());
    holders.back().unlock();
    holders.clear();
    munmap(memory, bytes);
    close(file);
}

TEST(SharedRwSemaphoreKill, TwoProcessesGoOnWhenTheOtherIsKilled) {
    play({.processes = 2, .threads = 1, .kills = 100, .has_supervisor = false, .seed = 1});
}

TEST(SharedRwSemaphoreKill, EightProcessesLoseNothingWithoutASupervisor) {
    play({.processes = 8, .threads = 1, .kills = 200, .has_supervisor = false, .seed = 2});
}

TEST(SharedRwSemaphoreKill, FourProcessesOfFourThreadsLoseNothing) {
    play({.processes = 4, .threads = 4, .kills = 80, .has_supervisor = false, .seed = 3});
}

TEST(SharedRwSemaphoreKill, EightProcessesLoseNothingUnderASupervisor) {
    play({.processes = 8, .threads = 1, .kills = 200, .has_supervisor = true, .seed = 4});
}

TEST(SharedRwSemaphoreKill, SixtyFourProcessesLoseNothing) {
    play({.processes = 64, .threads = 1, .kills = 100, .has_supervisor = true, .seed = 5});
}

/// How long this thread could have run and did not, as others had the processors; nothing where the
/// kernel does not count it.
std::optional<int64_t> kept_waiting_ns() {
    std::ifstream file("/proc/thread-self/schedstat");
    int64_t ran_ns = 0;
    int64_t waited_ns = 0;
    if (!(file >> ran_ns >> waited_ns)) return std::nullopt;
    return waited_ns;
}

/// A process that locks for writing and is killed once this thread waits: how long that takes from
/// its death, without the time in which this thread was ready and had no processor.
std::optional<int64_t> wait_after_death(const SharedRwSemaphore& semaphore) {
    auto holder = *semaphore.attach();
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        auto writer = *semaphore.attach();
        writer.lock();
        if (write(ready[1], "r", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    std::atomic<int64_t> death_ns = 0;
    // As early in the waiter's sleep as may be, which is the longest way to its look.
    std::thread kills([&] {
        while (!is_queued(semaphore.slot(holder.slot()).state)) std::this_thread::yield();
        kill(child, SIGKILL);
        siginfo_t how;
        waitid(P_PID, static_cast<id_t>(child), &how, WEXITED | WNOWAIT);
        death_ns = monotonic_now().ns;
    });
    const std::optional<int64_t> before_ns = kept_waiting_ns();
    holder.lock();
    const int64_t in_ns = monotonic_now().ns;
    const std::optional<int64_t> after_ns = kept_waiting_ns();
    kills.join();
    EXPECT_TRUE(holder.inconsistent());
    holder.make_consistent();
    holder.unlock();
    waitpid(child, nullptr, 0);
    if (!before_ns || !after_ns) return std::nullopt;
    return in_ns - death_ns - (*after_ns - *before_ns);
}

TEST(SharedRwSemaphoreKill, AWaiterIsInWithinTheStatedBoundAfterADeath) {
    void* const memory =
        mmap(nullptr, semaphore_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    const auto semaphore = SharedRwSemaphore::create(memory, semaphore_bytes, 4);
    std::vector<int64_t> waits_ns;
    for (int death = 0; death < 9; ++death) {
        const std::optional<int64_t> wait_ns = wait_after_death(*semaphore);
        if (!wait_ns) GTEST_SKIP() << "/proc/thread-self/schedstat does not say who had to wait";
        waits_ns.push_back(*wait_ns);
    }
    std::ranges::sort(waits_ns);
    std::printf("waits after a death: %.1f to %.1f ms, median %.1f ms\n",
                static_cast<double>(waits_ns.front()) / 1e6,
                static_cast<double>(waits_ns.back()) / 1e6, static_cast<double>(waits_ns[4]) / 1e6);
    // Not the last: what a hypervisor takes away no counter of this machine shows.
    EXPECT_LE(waits_ns[7], 150'000'000);
    munmap(memory, semaphore_bytes);
}

/// Kills this process before its step number `countdown`: an access to the semaphore's memory.
struct Dying {
    static inline uint64_t countdown = 0;  ///< 0: never.

    static void step() {
        if (countdown == 0 || --countdown != 0) return;
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
};

template <typename T>
class DyingAtomic : public std::atomic<T> {
  public:
    using std::atomic<T>::atomic;

    T load(std::memory_order order) const {
        Dying::step();
        return std::atomic<T>::load(order);
    }
    void store(T value, std::memory_order order) {
        Dying::step();
        std::atomic<T>::store(value, order);
    }
    T fetch_add(T value, std::memory_order order) {
        Dying::step();
        return std::atomic<T>::fetch_add(value, order);
    }
    bool compare_exchange_strong(T& expected, T value, std::memory_order success,
                                 std::memory_order failure) {
        Dying::step();
        return std::atomic<T>::compare_exchange_strong(expected, value, success, failure);
    }
};

struct DyingPolicy : SystemPolicy {
    template <typename T>
    using Atomic = DyingAtomic<T>;
    using FutexWord = Atomic<uint32_t>;

    static unsigned futex_wake(const FutexWord* word, unsigned count, FutexScope scope) {
        Dying::step();
        return SystemPolicy::futex_wake(word, count, scope);
    }
    static unsigned spin_turns() noexcept { return 0; }
};

/// Looks every millisecond, so that a thousand deaths take no minutes.
struct HastyProcesses : SystemProcesses {
    Look next_look(const Deadline& deadline, LookAt /*what*/) const {
        const Deadline look = Deadline::after(std::chrono::milliseconds(1));
        if (deadline.is_never() || deadline.nanoseconds() > look.nanoseconds()) {
            return {look, false};
        }
        return {deadline, true};
    }
    template <typename Word>
    Look next_turn_look(const Deadline& deadline, const Word& /*looked*/) const {
        return next_look(deadline, LookAt::turn);
    }
    template <typename Word>
    bool begin_look(Word& /*looked*/) const {
        return true;
    }
};

using DyingSemaphore = BasicSharedRwSemaphore<DyingPolicy, HastyProcesses>;

/// Runs `act` in a child that dies before its step `step`, while a reader and a writer of this
/// process come in, too. True when the child died; false when `act` has no so many steps.
bool die_at(uint64_t step, void* memory, void (*act)(DyingSemaphore::Holder&)) {
    const auto semaphore = DyingSemaphore::create(memory, semaphore_bytes, 4);
    auto reader = *semaphore->attach();
    auto writer = *semaphore->attach();
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        auto holder = *semaphore->attach();
        holder.lock();
        if (write(ready[1], "r", 1) != 1) _exit(1);
        const auto waits = [&](unsigned slot) { return is_queued(semaphore->slot(slot).state); };
        while (!waits(reader.slot()) || !waits(writer.slot())) std::this_thread::yield();
        Dying::countdown = step;
        act(holder);
        Dying::countdown = 0;
        _exit(0);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    std::thread reads([&] {
        EXPECT_TRUE(reader.try_lock_shared_for(std::chrono::seconds(20)));
        reader.unlock_shared();
    });
    EXPECT_TRUE(writer.try_lock_for(std::chrono::seconds(20)));
    writer.unlock();
    reads.join();
    int status = 0;
    waitpid(child, &status, 0);
    semaphore->release_dead();
    EXPECT_TRUE(writer.try_lock()) << "nothing is left of the dead";
    writer.unlock();
    const auto again = semaphore->attach();
    const auto and_again = semaphore->attach();
    EXPECT_TRUE(again.has_value() && and_again.has_value());
    return WIFSIGNALED(status);
}

void die_at_every_step(void (*act)(DyingSemaphore::Holder&), uint64_t steps_min) {
    void* const memory =
        mmap(nullptr, semaphore_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    uint64_t step = 1;
    while (die_at(step, memory, act)) {
        ASSERT_FALSE(testing::Test::HasFailure()) << "dying before step " << step;
        ++step;
    }
    EXPECT_GT(step, steps_min);
    munmap(memory, semaphore_bytes);
}

TEST(SharedRwSemaphoreKill, AWriterMayDieAtEveryStepOfUnlock) {
    die_at_every_step([](DyingSemaphore::Holder& holder) { holder.unlock(); }, 10);
}

TEST(SharedRwSemaphoreKill, AHolderMayDieAtEveryStepOfChangingItsHold) {
    die_at_every_step(
        [](DyingSemaphore::Holder& holder) {
            holder.downgrade();
            holder.unlock_shared();
            if (!holder.try_lock_upgrade_for(std::chrono::milliseconds(20))) return;
            if (holder.try_unlock_upgrade_and_lock_for(std::chrono::milliseconds(20))) {
                return holder.unlock();
            }
            holder.unlock_upgrade();
        },
        20);
}

}  // namespace
}  // namespace braidway::sync
