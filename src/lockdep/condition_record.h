// SPDX-License-Identifier: Apache-2.0
// Who waits at a condition and holds something, and what those need who notify it.
#pragma once

#include <array>
#include <cstddef>

#include "lockdep/taken_locks.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A thread that notified a condition.
struct Notifier {
    static constexpr size_t needs_max = 16;

    ThreadNumber thread = 0;
    size_t count = 0;
    std::array<Taken, needs_max> needs;  ///< Locks that it had to take before it could notify.

    bool needs_lock(LockId id) const {
        for (size_t at = 0; at < count; ++at)
            if (needs[at].id == id) return true;
        return false;
    }

    void add(const Taken& taken) {
        if (count < needs_max && !needs_lock(taken.id)) needs[count++] = taken;
    }
};

/// What is remembered of a condition at which somebody has waited who held something else.
///
/// Shapes:  some waiters and notifiers; a waiter too many is not remembered, and a notifier too
///          many means that nothing is certain any more (`uncertain`).
/// Threads: one at a time.
struct ConditionRecord {
    static constexpr size_t waiters_max = 4;
    static constexpr size_t notifiers_max = 4;

    ConditionRecord* next_idle = nullptr;
    LockId mutex = 0;
    size_t waiter_count = 0;
    size_t notifier_count = 0;
    bool uncertain = false;
    std::array<ThreadNumber, waiters_max> waiters = {};
    std::array<Notifier, notifiers_max> notifiers;

    void add_waiter(ThreadNumber thread) {
        for (size_t at = 0; at < waiter_count; ++at)
            if (waiters[at] == thread) return;
        if (waiter_count < waiters_max) waiters[waiter_count++] = thread;
    }

    /// Has another thread than `thread` waited, that was made when no more than `threads` were?
    bool has_waiter(ThreadNumber thread, ThreadNumber threads) const {
        for (size_t at = 0; at < waiter_count; ++at)
            if (waiters[at] != thread && waiters[at] <= threads) return true;
        return false;
    }

    /// The entry of `thread`, emptied; nullptr: too many.
    Notifier* notifier(ThreadNumber thread) {
        size_t at = 0;
        while (at < notifier_count && notifiers[at].thread != thread) ++at;
        if (at == notifiers_max) {
            uncertain = true;
            return nullptr;
        }
        if (at == notifier_count) ++notifier_count;
        notifiers[at].thread = thread;
        notifiers[at].count = 0;
        return &notifiers[at];
    }

    /// Does every notifier need this lock?
    bool all_need(LockId id) const {
        for (size_t at = 0; at < notifier_count; ++at)
            if (!notifiers[at].needs_lock(id)) return false;
        return !uncertain;
    }
};

}  // namespace braidway::lockdep
