// SPDX-License-Identifier: Apache-2.0
// What the locks stand on, so that the code that ships also runs under the explorer.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "braidway/sync/futex.h"

/// 1: the locks tell the lock validator what happens to them. For builds of this project itself,
/// library and users alike; an installed library was built without it.
#ifndef BRAIDWAY_SYNC_WATCHED
#define BRAIDWAY_SYNC_WATCHED 0
#endif

namespace braidway::sync {

/// How a lock is held or wanted.
enum class LockMode : uint8_t {
    exclusive,  ///< By a writer, alone.
    shared,     ///< By a reader, beside other readers.
    upgrade,    ///< By the one reader that may become the writer, beside other readers.
};

/// Which lock speaks.
enum class LockKind : uint8_t {
    other,                ///< One of a user's own: held for reading, it is taken for a fair one.
    mutex,                ///< BasicMutex.
    rw_semaphore,         ///< BasicRwSemaphore.
    shared_rw_semaphore,  ///< BasicSharedRwHolder; it lives in memory of several processes.
};

/// What happens to a lock, for those who watch: the explorer's table of holders and waiters, and
/// the lock validator.
enum class LockEvent : uint8_t {
    asked,      ///< This thread takes the lock now, at once or after a wait without end: `wanted`
                ///< may follow, and `acquired` does. Not for a try or a wait with a deadline.
    upgrading,  ///< As `asked`, by the upgradable reader, which becomes the writer: `released`
                ///< (upgrade) and `acquired` (exclusive) follow.
    wanted,     ///< This thread is about to wait for the lock; `acquired` or `given_up` follows.
    acquired,   ///< This thread holds the lock now, also by a try.
    given_up,   ///< The wait ended without the lock: a deadline.
    released,   ///< This thread is about to give the lock up.
    gone,       ///< The lock is destroyed. Only for a policy that is_watched.
};

}  // namespace braidway::sync

#if BRAIDWAY_SYNC_WATCHED
namespace braidway::watch {
/// Tell the validator; see LockEvent. A finding ends the process with a report.
void lock_asked(sync::LockMode mode, sync::LockKind kind, const void* lock) noexcept;
void lock_acquired(sync::LockMode mode, sync::LockKind kind, const void* lock) noexcept;
void lock_released(sync::LockMode mode, sync::LockKind kind, const void* lock) noexcept;
void lock_event(sync::LockEvent event, sync::LockMode mode, sync::LockKind kind,
                const void* lock) noexcept;

/// As sync::futex_wait() without a deadline; a thread that waits for a lock looks now and then
/// whether it hangs, and a deadlock ends the process with a report.
sync::FutexOutcome futex_wait(const std::atomic<uint32_t>& word, uint32_t expected,
                              sync::FutexScope scope) noexcept;
}  // namespace braidway::watch
#endif

namespace braidway::sync {

/// The real machine: std::atomic, the kernel's futex, the processor's pause.
///
/// A policy is a struct with exactly these members; explore::Policy is the other one. A lock that
/// takes a policy touches what threads share through Atomic and sleeps through futex_wait() only.
/// Plain members of a lock are touched by one thread at a time, and the explorer does not see them.
///
/// Threads: any.
struct SystemPolicy {
    template <typename T>
    using Atomic = std::atomic<T>;
    using FutexWord = Atomic<uint32_t>;

    static FutexOutcome futex_wait(const FutexWord& word, uint32_t expected, FutexScope scope,
                                   const Deadline& deadline = Deadline::never()) {
#if BRAIDWAY_SYNC_WATCHED
        if (deadline.is_never()) return watch::futex_wait(word, expected, scope);
#endif
        return sync::futex_wait(word, expected, scope, deadline);
    }
    static unsigned futex_wake(const FutexWord* word, unsigned count, FutexScope scope) {
        return sync::futex_wake(word, count, scope);
    }
    static FutexAnyOutcome futex_wait_any(std::span<const FutexWait<FutexWord>> waits,
                                          const Deadline& deadline = Deadline::never()) {
        return sync::futex_wait_any(waits, deadline);
    }

    /// How often a waiter looks again before it sleeps: a hand-over between running threads takes
    /// less than a sleep. 0 where the program was started on one processor only.
    static unsigned spin_turns() noexcept;

    /// Between two looks of a bounded spin.
    static void spin_hint() noexcept {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("isb" ::: "memory");
#endif
    }

    /// Between two looks of a spin that ends only when another thread writes what was read. The
    /// explorer lets such a thread rest until then; here it gives its processor up.
    static void spin_wait() noexcept;

    /// Whether observe() does anything; locks tell their end only then, and have no destructor
    /// otherwise.
    static constexpr bool is_watched = BRAIDWAY_SYNC_WATCHED != 0;

    /// Nobody watches, except in a build with the validator in it.
    static void observe([[maybe_unused]] LockEvent event, [[maybe_unused]] LockMode mode,
                        [[maybe_unused]] const void* lock,
                        [[maybe_unused]] LockKind kind = LockKind::other) noexcept {
#if BRAIDWAY_SYNC_WATCHED
        // The event is a constant where this is called.
        if (event == LockEvent::asked) return watch::lock_asked(mode, kind, lock);
        if (event == LockEvent::acquired) return watch::lock_acquired(mode, kind, lock);
        if (event == LockEvent::released) return watch::lock_released(mode, kind, lock);
        if (event == LockEvent::upgrading || event == LockEvent::gone)
            watch::lock_event(event, mode, kind, lock);
#endif
    }
};

/// Ends the process with one line: `what` was done wrong with the lock at `lock`.
[[noreturn]] void lock_misused(const char* what, const void* lock) noexcept;

}  // namespace braidway::sync
