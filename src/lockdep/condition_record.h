// SPDX-License-Identifier: Apache-2.0
// Who waits at a condition and holds something, and what those need who notify it.
#pragma once

#include <array>
#include <cstddef>

#include "base/limits.h"
#include "lockdep/taken_locks.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A thread that notified a condition.
struct Notifier {
    static constexpr size_t needs_max = limits::lockdep_notifier_needs_max;

    ThreadNumber thread = 0;
    bool known = false;      ///< What it needs is known.
    bool looked_at = false;  ///< Since the turn `since` it is seen with all that it takes.
    uint32_t since = 0;      ///< Only what it has taken after this one of its turns counts.
    size_t count = 0;
    size_t held = 0;                     ///< The first ones of them it held when it notified last.
    std::array<Taken, needs_max> needs;  ///< Locks that it had to take each time to notify.

    bool needs_lock(LockId id) const {
        for (size_t at = 0; at < count; ++at)
            if (needs[at].id == id) return true;
        return false;
    }

    void add(const Taken& taken) {
        if (count < needs_max && !needs_lock(taken.id)) needs[count++] = taken;
    }

    /// It has notified, and needed those of `fresh` for that: it keeps what it has needed each
    /// time.
    void learn(const Notifier& fresh) {
        size_t kept = 0;
        const Notifier& before = known ? *this : fresh;
        for (size_t at = 0; at < before.count; ++at)
            if (fresh.needs_lock(before.needs[at].id)) needs[kept++] = before.needs[at];
        count = kept;
        known = true;
    }
};

/// A thread that waited and held something else.
struct Waiter {
    static constexpr size_t ancestors_max = limits::lockdep_ancestors_max;

    ThreadNumber thread = 0;
    /// Who made it, who made that one, and so on.
    std::array<ThreadNumber, ancestors_max> ancestors = {};

    /// Can what `other` did when there were only `threads` come after the begin of this thread, if
    /// not in this run, then in another one?
    bool may_be_before(ThreadNumber other, ThreadNumber threads) const {
        if (thread <= threads) return true;
        for (const ThreadNumber each : ancestors)
            if (each == other) return false;
        return ancestors.back() == 0;  // Else there are more of them.
    }
};

/// Where somebody waits with locks held besides.
struct WaitPlace {
    static constexpr size_t holds_max = limits::lockdep_wait_holds_max;

    uintptr_t place = 0;
    ThreadNumber thread = 0;
    std::array<LockId, holds_max> holds = {};

    bool has(LockId id) const {
        for (const LockId each : holds)
            if (each == id) return true;
        return false;
    }
};

/// What is remembered of a condition at which somebody has waited who held something else.
///
/// Shapes:  some waiters and notifiers; a waiter too many is not remembered, and a notifier too
///          many means that nothing is certain any more (`uncertain`).
/// Threads: one at a time.
struct ConditionRecord {
    static constexpr size_t waiters_max = limits::lockdep_waiters_max;
    static constexpr size_t notifiers_max = limits::lockdep_notifiers_max;

    ConditionRecord* next_idle = nullptr;
    LockId mutex = 0;
    size_t waiter_count = 0;
    size_t notifier_count = 0;
    bool uncertain = false;
    bool answers = false;  ///< Who notifies it with a lock held waits with it for the answer.
    std::array<Waiter, waiters_max> waiters = {};
    static constexpr size_t places_max = limits::lockdep_wait_places_max;
    size_t place_count = 0;
    std::array<WaitPlace, places_max> places = {};  ///< The last ones.
    std::array<Notifier, notifiers_max> notifiers;

    void add_waiter(const Waiter& waiter) {
        for (size_t at = 0; at < waiter_count; ++at)
            if (waiters[at].thread == waiter.thread) return;
        if (waiter_count < waiters_max) waiters[waiter_count++] = waiter;
    }

    /// Has another thread than `thread` waited that may have been there when `thread` did what it
    /// did when `threads` had been made?
    bool has_waiter(ThreadNumber thread, ThreadNumber threads) const {
        for (size_t at = 0; at < waiter_count; ++at)
            if (waiters[at].thread != thread && waiters[at].may_be_before(thread, threads))
                return true;
        return false;
    }

    void add_place(const WaitPlace& place) {
        size_t at = 0;
        while (at < places_max &&
               !(places[at].place == place.place && places[at].thread == place.thread))
            ++at;
        if (at == places_max) at = place_count++ % places_max;
        places[at] = place;
    }

    /// The entry of `thread`; nullptr: too many.
    Notifier* notifier(ThreadNumber thread) {
        size_t at = 0;
        while (at < notifier_count && notifiers[at].thread != thread) ++at;
        if (at == notifiers_max) {
            uncertain = true;
            return nullptr;
        }
        if (at == notifier_count) ++notifier_count;
        notifiers[at].thread = thread;
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
