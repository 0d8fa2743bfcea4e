// SPDX-License-Identifier: Apache-2.0
// A mutex and a condition variable of four bytes each, which clang's thread-safety analysis
// understands.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <type_traits>

#include "braidway/sync/annotations.h"
#include "braidway/sync/policy.h"

namespace braidway::sync {

/// A mutex: one thread at a time. Not recursive, and not fair: who comes may pass who sleeps.
///
/// Meets the named requirement TimedMutex, so std::lock_guard and std::unique_lock work. It may be
/// destroyed as soon as nobody holds it, also while another thread's unlock() has not returned.
///
/// Shapes:  4 bytes; all zero is a free mutex.
/// Errors:  unlocking what is not locked ends the process with a line that says so.
/// Threads: any, of one process.
/// Source:  the third mutex of Ulrich Drepper, "Futexes Are Tricky" (2011).
template <typename Policy>
class BRAIDWAY_CAPABILITY("mutex") BasicMutex {
  public:
    constexpr BasicMutex() noexcept = default;
    BasicMutex(const BasicMutex&) = delete;
    BasicMutex& operator=(const BasicMutex&) = delete;
    ~BasicMutex()
        requires(!Policy::is_watched)
    = default;
    constexpr ~BasicMutex()
        requires(Policy::is_watched)
    {
        observe(LockEvent::gone);
    }

    void lock() BRAIDWAY_ACQUIRE() {
        observe(LockEvent::asked);
        uint32_t expected = free;
        if (!word_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                           std::memory_order_relaxed)) [[unlikely]] {
            lock_slowly(Deadline::never());
            return;
        }
        observe(LockEvent::acquired);
    }

    bool try_lock() BRAIDWAY_TRY_ACQUIRE(true) {
        uint32_t expected = free;
        if (!word_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
            return false;
        }
        observe(LockEvent::acquired);
        return true;
    }

    /// The deadline's own clock decides; false when it has passed. A free mutex is taken also at a
    /// deadline that has passed.
    bool try_lock_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE(true) {
        return try_lock() || lock_slowly(deadline);
    }
    template <typename Rep, typename Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE(true) {
        return try_lock() || lock_slowly(Deadline::after(duration));
    }

    void unlock() BRAIDWAY_RELEASE() {
        observe(LockEvent::released);
        // After the exchange the mutex may be gone: only its address is used.
        const uint32_t before = word_.exchange(free, std::memory_order_release);
        if (before == held) [[likely]]
            return;
        if (before == free) lock_misused("unlock() of a mutex that is not locked", this);
        Policy::futex_wake(&word_, 1, FutexScope::process_private);
    }

  private:
    static constexpr uint32_t free = 0;
    static constexpr uint32_t held = 1;
    static constexpr uint32_t awaited = 2;  ///< Held, and somebody may sleep.

    bool lock_slowly(const Deadline& deadline) BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS {
        observe(LockEvent::wanted);
        for (unsigned turn = Policy::spin_turns(); turn > 0; --turn) {
            Policy::spin_hint();
            if (word_.load(std::memory_order_relaxed) == free && try_lock()) return true;
        }
        // Whoever slept takes it as `awaited`: others may sleep, too.
        while (word_.exchange(awaited, std::memory_order_acquire) != free) {
            if (Policy::futex_wait(word_, awaited, FutexScope::process_private, deadline) ==
                FutexOutcome::timed_out) {
                observe(LockEvent::given_up);
                return false;
            }
        }
        observe(LockEvent::acquired);
        return true;
    }

    constexpr void observe(LockEvent event) {
        if (!std::is_constant_evaluated())
            Policy::observe(event, LockMode::exclusive, this, LockKind::mutex);
    }

    typename Policy::FutexWord word_ = free;
};

/// Where threads wait for a state that a mutex guards.
///
/// It may be destroyed when nobody is in wait() any more. That everybody was notified is not
/// enough, unlike for std::condition_variable: who was notified on the way to sleep still looks at
/// the word once, and would sleep if a new one stood there with the same value.
///
/// Shapes:  4 bytes. The lowest bit says that somebody may sleep, the others count notifications; a
///          waiter would miss one only if 2^31 came between its look and its sleep.
/// Threads: any, of one process.
template <typename Policy>
class BasicCondVar {
  public:
    constexpr BasicCondVar() noexcept = default;
    BasicCondVar(const BasicCondVar&) = delete;
    BasicCondVar& operator=(const BasicCondVar&) = delete;
    ~BasicCondVar() = default;

    /// Gives `mutex` up, sleeps until notified (or for no reason), takes it again. Call it in a
    /// loop over the awaited state.
    void wait(BasicMutex<Policy>& mutex) BRAIDWAY_REQUIRES(mutex) {
        wait_until(mutex, Deadline::never());
    }

    /// As wait(), but false when the deadline passed first.
    bool wait_until(BasicMutex<Policy>& mutex, const Deadline& deadline) BRAIDWAY_REQUIRES(mutex) {
        const uint32_t seen = word_.fetch_or(sleepers, std::memory_order_relaxed) | sleepers;
        mutex.unlock();
        const FutexOutcome outcome =
            Policy::futex_wait(word_, seen, FutexScope::process_private, deadline);
        mutex.lock();
        return outcome != FutexOutcome::timed_out;
    }
    /// As wait(), but false when `duration` passed first. In a loop use wait_until(): each call of
    /// this one waits for the whole duration anew.
    template <typename Rep, typename Period>
    bool wait_for(BasicMutex<Policy>& mutex, const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_REQUIRES(mutex) {
        return wait_until(mutex, Deadline::after(duration));
    }

    void notify_one() {
        const uint32_t before = word_.fetch_add(notification, std::memory_order_relaxed);
        if ((before & sleepers) == 0) return;
        Policy::futex_wake(&word_, 1, FutexScope::process_private);
    }

    void notify_all() {
        uint32_t before = word_.load(std::memory_order_relaxed);
        while (!word_.compare_exchange_weak(before, (before + notification) & ~sleepers,
                                            std::memory_order_relaxed)) {}
        if ((before & sleepers) == 0) return;
        Policy::futex_wake(&word_, UINT32_MAX, FutexScope::process_private);
    }

  private:
    static constexpr uint32_t sleepers = 1;
    static constexpr uint32_t notification = 2;

    typename Policy::FutexWord word_ = 0;
};

/// Holds a mutex until the end of the block.
class BRAIDWAY_SCOPED_CAPABILITY MutexLock {
  public:
    explicit MutexLock(BasicMutex<SystemPolicy>& mutex) BRAIDWAY_ACQUIRE(mutex) : mutex_(mutex) {
        mutex_.lock();
    }
    ~MutexLock() BRAIDWAY_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    BasicMutex<SystemPolicy>& mutex_;
};

using Mutex = BasicMutex<SystemPolicy>;
using CondVar = BasicCondVar<SystemPolicy>;

}  // namespace braidway::sync
