// SPDX-License-Identifier: Apache-2.0
// What locks stand on when the explorer runs them: the counterpart of sync::SystemPolicy.
#pragma once

#include <cstdint>
#include <span>

#include "braidway/explore/atomic.h"
#include "braidway/sync/policy.h"

namespace braidway::explore {

/// The explored machine: every access to an Atomic and every futex call is a visible step.
///
/// A futex is exact: comparing and falling asleep are one step; which of several sleepers a wake
/// wakes is explored. A wait with a deadline may time out at any time and needs no clock. Waits
/// that return for no reason, or interrupted, see Options::spurious_wakes_max. private and shared
/// are the same. In finally() nobody is left: a wait returns `changed` or `timed_out`, or ends the
/// execution as failed. A wake wakes nobody there.
///
/// Threads: of one exploration.
struct Policy {
    template <typename T>
    using Atomic = explore::Atomic<T>;
    using FutexWord = Atomic<uint32_t>;

    static sync::FutexOutcome futex_wait(const FutexWord& word, uint32_t expected,
                                         sync::FutexScope /*scope*/,
                                         const sync::Deadline& deadline = sync::Deadline::never()) {
        detail::Operation operation;
        operation.kind = StepKind::futex_sleep;
        operation.size_bytes = sizeof(uint32_t);
        operation.address = &word;
        operation.expected = expected;
        operation.timed = !deadline.is_never();
        detail::perform(operation);
        return operation.outcome;
    }
    static unsigned futex_wake(const FutexWord* word, unsigned count, sync::FutexScope /*scope*/) {
        detail::Operation operation;
        operation.kind = StepKind::futex_wake;
        operation.address = word;
        operation.operand = count;
        detail::perform(operation);
        return static_cast<unsigned>(operation.after);
    }
    static sync::FutexAnyOutcome futex_wait_any(
        std::span<const sync::FutexWait<FutexWord>> waits,
        const sync::Deadline& deadline = sync::Deadline::never()) {
        detail::Operation operation;
        operation.kind = StepKind::futex_sleep;
        operation.size_bytes = sizeof(uint32_t);
        operation.timed = !deadline.is_never();
        operation.waits = waits;
        detail::perform(operation);
        return {operation.outcome, operation.index};
    }

    /// Options::spin_turns: each turn multiplies the interleavings and shows nothing new.
    static unsigned spin_turns() noexcept { return detail::spin_turns(); }
    /// Nothing that anybody sees.
    static void spin_hint() noexcept {}
    /// Rests until another thread writes something that this one read since its last spin_wait().
    static void spin_wait() noexcept { detail::spin_wait(); }

    static constexpr bool is_watched = false;

    /// Becomes part of the trace, and of the table of holders and waiters. That a lock is asked for
    /// is no news: `wanted` or `acquired` follows.
    static void observe(sync::LockEvent event, sync::LockMode mode, const void* lock,
                        sync::LockKind /*kind*/ = sync::LockKind::other) noexcept {
        if (event != sync::LockEvent::asked && event != sync::LockEvent::upgrading)
            detail::observe(event, mode, lock);
    }
};

}  // namespace braidway::explore
