// SPDX-License-Identifier: Apache-2.0
// The semaphore under random use by 2 to 64 threads. BRAIDWAY_STRESS=N does N times as much, with
// other seeds; each seed is printed before its round.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "braidway/sync/rw_semaphore.h"

namespace braidway::sync {

/// The real machine, which tells the thread itself when it begins to wait in a semaphore.
struct OvertakenPolicy : SystemPolicy {
    inline static thread_local void (*on_wait)() = nullptr;

    static FutexOutcome futex_wait(const FutexWord& word, uint32_t expected, FutexScope scope,
                                   const Deadline& deadline = Deadline::never()) {
        if (on_wait != nullptr) on_wait();
        return SystemPolicy::futex_wait(word, expected, scope, deadline);
    }
    static void spin_hint() noexcept {
        if (on_wait != nullptr) on_wait();
        SystemPolicy::spin_hint();
    }
};
/// Who waits for the lock inside the queue is not in the queue.
template <>
struct Unobserved<OvertakenPolicy> : SystemPolicy {};

namespace {

constexpr std::array thread_counts{2u, 3u, 8u, 24u, 64u};
/// No thread may stand still for longer; with 64 threads on two processors under a sanitizer a turn
/// takes well below one second.
constexpr auto stall_max = std::chrono::seconds(10);

unsigned effort() {
    const char* const text = std::getenv("BRAIDWAY_STRESS");
    const int times = text == nullptr ? 1 : std::atoi(text);
    return times < 1 ? 1 : static_cast<unsigned>(times);
}

/// The seed of one round; printed, because it is all that a failure needs to be tried again.
uint64_t seed_of(const char* what, unsigned round, unsigned threads) {
    const uint64_t seed = 0x5EED0000 + round * 1000ULL + threads;
    std::printf("%s: %u threads, seed %llu\n", what, threads,
                static_cast<unsigned long long>(seed));
    return seed;
}

/// Runs `turn(thread, random)` `turns` times on each of `threads` threads; ends the process when
/// one of them stands still.
template <typename Turn>
void run(unsigned threads, unsigned turns, uint64_t seed, const Turn& turn) {
    std::vector<std::atomic<unsigned>> done(threads);
    std::atomic<unsigned> started = 0;
    std::vector<std::thread> running;
    for (unsigned thread = 0; thread < threads; ++thread) {
        running.emplace_back([&, thread] {
            Random random(seed * 1000 + thread);
            started.fetch_add(1);
            while (started.load() < threads) std::this_thread::yield();
            for (unsigned count = 0; count < turns; ++count) {
                turn(thread, random);
                done[thread].store(count + 1, std::memory_order_relaxed);
            }
        });
    }
    std::vector<unsigned> seen(threads);
    std::vector<Instant> moved(threads, monotonic_now());
    for (unsigned finished = 0; finished < threads;) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        finished = 0;
        const Instant now = monotonic_now();
        for (unsigned thread = 0; thread < threads; ++thread) {
            const unsigned count = done[thread].load(std::memory_order_relaxed);
            if (count == turns) ++finished;
            if (count != seen[thread] || count == turns) moved[thread] = now;
            seen[thread] = count;
            if (now > moved[thread] + stall_max) {
                std::printf("thread %u stands still in turn %u\n", thread, count);
                std::fflush(stdout);
                std::abort();
            }
        }
    }
    for (std::thread& thread : running) thread.join();
}

/// Data that is never half written where the semaphore does its work.
class Guarded {
  public:
    void turn(Random& random) {
        switch (random.below(8)) {
            case 0:
            case 1:
                if (enter(random, &RwSemaphore::lock, &RwSemaphore::try_lock,
                          &RwSemaphore::try_lock_until)) {
                    write(random);
                    leave_writing(random);
                }
                break;
            case 2:
                if (enter(random, &RwSemaphore::lock_upgrade, &RwSemaphore::try_lock_upgrade,
                          &RwSemaphore::try_lock_upgrade_until)) {
                    perhaps_write(random);
                }
                break;
            default:
                if (enter(random, &RwSemaphore::lock_shared, &RwSemaphore::try_lock_shared,
                          &RwSemaphore::try_lock_shared_until)) {
                    read(random);
                    semaphore_.unlock_shared();
                }
                break;
        }
    }

    void expect_free_and_complete() BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        ASSERT_TRUE(semaphore_.try_lock()) << "a holder or a waiter was left behind";
        EXPECT_EQ(words_[0], writes_.load());
        semaphore_.unlock();
    }

  private:
    using Lock = void (RwSemaphore::*)();
    using Try = bool (RwSemaphore::*)();
    using TryUntil = bool (RwSemaphore::*)(const Deadline&);

    static Deadline soon(Random& random) {
        return Deadline::after(std::chrono::microseconds(random.below(200)));
    }

    bool enter(Random& random, Lock lock, Try try_lock,
               TryUntil try_until) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        switch (random.below(4)) {
            case 0:
                return (semaphore_.*try_lock)();
            case 1:
                return (semaphore_.*try_until)(soon(random));
            default:
                (semaphore_.*lock)();
                return true;
        }
    }

    static void linger(Random& random) {
        if (random.below(16) == 0) std::this_thread::yield();
    }

    uint64_t read(Random& random) {
        const uint64_t first = words_[0];
        linger(random);
        for (const uint64_t word : words_) EXPECT_EQ(word, first);
        return first;
    }
    void write(Random& random) {
        const uint64_t next = read(random) + 1;
        for (uint64_t& word : words_) {
            word = next;
            linger(random);
        }
        writes_.fetch_add(1, std::memory_order_relaxed);
    }

    void leave_writing(Random& random) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        const uint64_t written = words_[0];
        switch (random.below(4)) {
            case 0:
                semaphore_.downgrade();
                EXPECT_EQ(read(random), written) << "a writer came in between";
                semaphore_.unlock_shared();
                break;
            case 1:
                semaphore_.unlock_and_lock_upgrade();
                EXPECT_EQ(read(random), written) << "a writer came in between";
                perhaps_write(random);
                break;
            default:
                semaphore_.unlock();
                break;
        }
    }

    /// An upgradable reader that writes, or not, and leaves.
    void perhaps_write(Random& random) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        const uint64_t before = read(random);
        bool writes = true;
        switch (random.below(4)) {
            case 0:
                writes = semaphore_.try_unlock_upgrade_and_lock();
                break;
            case 1:
                writes = semaphore_.try_unlock_upgrade_and_lock_until(soon(random));
                break;
            case 2:
                semaphore_.unlock_upgrade_and_lock();
                break;
            default:
                semaphore_.unlock_upgrade_and_lock_shared();
                EXPECT_EQ(read(random), before) << "a writer came in between";
                semaphore_.unlock_shared();
                return;
        }
        EXPECT_EQ(read(random), before) << "a writer came in between";
        if (writes) {
            write(random);
            leave_writing(random);
        } else {
            semaphore_.unlock_upgrade();
        }
    }

    RwSemaphore semaphore_;
    std::array<uint64_t, 4> words_{};
    std::atomic<uint64_t> writes_ = 0;
};

TEST(RwSemaphoreStress, LosesNothingAndLetsNobodyStandStill) {
    for (unsigned round = 0; round < effort(); ++round) {
        for (const unsigned threads : thread_counts) {
            Guarded guarded;
            run(threads, 60'000 / threads, seed_of("mixed use", round, threads),
                [&guarded](unsigned /*thread*/, Random& random) { guarded.turn(random); });
            guarded.expect_free_and_complete();
            if (HasFailure()) return;
        }
    }
}

/// How often each thread entered, and how often to write.
class Entries {
  public:
    explicit Entries(unsigned threads) : all_(threads), writes_(threads) {}

    void count(unsigned thread, bool writes) {
        all_[thread].fetch_add(1, std::memory_order_relaxed);
        if (writes) writes_[thread].fetch_add(1, std::memory_order_relaxed);
    }
    std::vector<unsigned> now(bool only_writes) const {
        std::vector<unsigned> counts;
        for (const std::atomic<unsigned>& entries : only_writes ? writes_ : all_) {
            counts.push_back(entries.load(std::memory_order_relaxed));
        }
        return counts;
    }

  private:
    std::vector<std::atomic<unsigned>> all_;
    std::vector<std::atomic<unsigned>> writes_;
};

/// One thread on its way in: who entered since it began to wait?
struct Wait {
    const Entries* entries;
    bool to_write;
    std::vector<unsigned> before{};

    static thread_local Wait* current;
    static void begins() {
        OvertakenPolicy::on_wait = nullptr;
        current->before = current->entries->now(!current->to_write);
    }
};
thread_local Wait* Wait::current = nullptr;

TEST(RwSemaphoreStress, NobodyEntersTwiceBeforeOneThatWaits) {
    // The stated bound: whoever waits behind k others enters after k + 1 phases. So each of the
    // others enters at most once before a waiting writer: because it is inside or ahead. A waiting
    // reader may be inside before it notices, beside readers that come and go; so it counts
    // writers.
    std::atomic<uint64_t> waits = 0;
    for (const unsigned threads : thread_counts) {
        BasicRwSemaphore<OvertakenPolicy> semaphore;
        Entries entries(threads);
        const auto enter_and_leave = [&](unsigned self,
                                         Random& random) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
            Wait wait{&entries, random.below(3) == 0};
            Wait::current = &wait;
            OvertakenPolicy::on_wait = Wait::begins;
            if (wait.to_write) {
                semaphore.lock();
            } else {
                semaphore.lock_shared();
            }
            OvertakenPolicy::on_wait = nullptr;
            const std::vector<unsigned> after = entries.now(!wait.to_write);
            entries.count(self, wait.to_write);
            if (random.below(8) == 0) std::this_thread::yield();
            if (wait.to_write) {
                semaphore.unlock();
            } else {
                semaphore.unlock_shared();
            }
            if (wait.before.empty()) return;
            waits.fetch_add(1, std::memory_order_relaxed);
            for (unsigned other = 0; other < threads; ++other) {
                EXPECT_LE(after[other] - wait.before[other], 1u) << "it has overtaken who waits";
            }
        };
        run(threads, 30'000 / threads, seed_of("bound", 0, threads), enter_and_leave);
        if (HasFailure()) return;
    }
    EXPECT_GT(waits, 0u) << "nobody ever waited: nothing was tested";
}

}  // namespace
}  // namespace braidway::sync
