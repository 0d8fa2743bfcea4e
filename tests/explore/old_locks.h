// SPDX-License-Identifier: Apache-2.0
// Small locks with mistakes that were made in the world, each beside its cure.
#pragma once

#include <atomic>
#include <cstdint>

#include "braidway/sync/deadline.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {

/// A mutex whose word counts those who want it; who finds zero holds it.
///
/// The mistake: the counter overflows when waiters come again and again; the next one finds zero
/// while somebody is inside. The step makes that four of them instead of 2^32.
/// Source:  the first mutex of Ulrich Drepper, "Futexes Are Tricky" (2011), section 4.
template <typename Policy>
class CountingMutex {
  public:
    void lock() {
        uint32_t before = 0;
        while ((before = word_.fetch_add(one)) != 0) {
            Policy::futex_wait(word_, before + one, sync::FutexScope::process_private);
        }
    }
    void unlock() {
        word_.store(0);
        Policy::futex_wake(&word_, 1, sync::FutexScope::process_private);
    }

  private:
    static constexpr uint32_t one = 1U << 30;
    typename Policy::FutexWord word_ = 0;
};

/// A mutex of three states, as sync::BasicMutex.
///
/// The mistake: who has slept takes it as held, not as awaited. Another one may sleep still, and
/// nobody wakes it.
/// Source:  musl, commit e7655ed37bc9 ("internal locks: new owner of contended lock must set
///          waiters flag").
template <typename Policy, bool mistaken>
class WaitersFlagMutex {
  public:
    void lock() {
        uint32_t seen = 0;
        if (word_.compare_exchange_strong(seen, held)) return;
        while (true) {
            seen = held;
            if (word_.compare_exchange_strong(seen, awaited) || seen == awaited) {
                Policy::futex_wait(word_, awaited, sync::FutexScope::process_private);
            }
            seen = 0;
            if (word_.compare_exchange_strong(seen, mistaken ? held : awaited)) return;
        }
    }
    void unlock() {
        if (word_.exchange(0) == awaited) {
            Policy::futex_wake(&word_, 1, sync::FutexScope::process_private);
        }
    }

  private:
    static constexpr uint32_t held = 1;
    static constexpr uint32_t awaited = 2;
    typename Policy::FutexWord word_ = 0;
};

/// The mistakes of CountedRwLock.
struct RwMistakes {
    /// Readers that queue behind a writer count as readers: he waits for them, and they for him.
    bool queued_readers_count = false;
    /// A writer that leaves wakes one reader; a second one that waits sleeps on.
    bool wakes_one_reader = false;
};

/// A reader/writer lock in which a writer keeps new readers out and waits until the count of
/// readers is zero. One writer at a time: the caller's mutex.
///
/// Source:  in the spirit of tinygo issue #5692 ("RWMutex can deadlock when readers queue behind a
///          writer", and a released reader that loses its wake-up) and of its pull request #2407
///          (two readers wait, one is resumed).
template <typename Policy, RwMistakes mistakes = RwMistakes{}>
class CountedRwLock {
  public:
    void lock_shared() {
        readers_.fetch_add(1);
        while (writer_.load() != 0) {
            if (!mistakes.queued_readers_count) unlock_shared();
            Policy::futex_wait(writer_, 1, sync::FutexScope::process_private);
            if (!mistakes.queued_readers_count) readers_.fetch_add(1);
        }
    }
    void unlock_shared() {
        if (readers_.fetch_sub(1) == 1) {
            Policy::futex_wake(&readers_, 1, sync::FutexScope::process_private);
        }
    }
    void lock() {
        writer_.store(1);
        for (uint32_t left = readers_.load(); left != 0; left = readers_.load()) {
            Policy::futex_wait(readers_, left, sync::FutexScope::process_private);
        }
    }
    void unlock() {
        writer_.store(0);
        Policy::futex_wake(&writer_, mistakes.wakes_one_reader ? 1 : UINT32_MAX,
                           sync::FutexScope::process_private);
    }

  private:
    typename Policy::FutexWord readers_ = 0;
    typename Policy::FutexWord writer_ = 0;
};

/// The mistakes of HandoffLock.
struct HandoffMistakes {
    /// A waiter that gives up does not look whether the lock was handed to it meanwhile.
    bool ignores_late_grant = false;
    /// The last waiter that gives up leaves the mark of a queue behind.
    bool leaves_mark = false;
};

/// An exclusive lock that its holder hands to the head of a queue, whose waiters may give up.
///
/// Source:  in the spirit of the kernel's rwsem, whose hand-off, time-out and cancellation met in
///          several mended bugs: commit d257cc8cb8d5 ("Make handoff bit handling more consistent":
///          the bit could stay with an empty queue) and its followers.
template <typename Policy, HandoffMistakes mistakes = HandoffMistakes{}>
class HandoffLock {
  public:
    bool lock(const sync::Deadline& deadline = sync::Deadline::never()) {
        uint32_t seen = 0;
        if (word_.compare_exchange_strong(seen, held)) return true;
        Waiter self;
        if (!enqueue(self)) return true;
        while (self.granted.load() == 0) {
            if (Policy::futex_wait(self.granted, 0, sync::FutexScope::process_private, deadline) ==
                sync::FutexOutcome::timed_out) {
                return leave(self);
            }
        }
        return true;
    }

    void unlock() {
        uint32_t seen = held;
        if (word_.compare_exchange_strong(seen, 0)) return;
        queue_lock_.lock();
        Waiter* const next = first_;
        if (next == nullptr) {
            word_.fetch_and(~held);
        } else {
            // It stays held: `next` holds it from now on.
            remove(*next);
            if (first_ == nullptr) word_.fetch_and(~queue);
            next->granted.store(1);
            Policy::futex_wake(&next->granted, 1, sync::FutexScope::process_private);
        }
        queue_lock_.unlock();
    }

  private:
    static constexpr uint32_t held = 1;
    static constexpr uint32_t queue = 2;  ///< Somebody waits: it is handed over, never free.

    struct Waiter {
        Waiter* next = nullptr;
        typename Policy::FutexWord granted = 0;
    };

    /// False when the lock was free: it is held now.
    bool enqueue(Waiter& self) {
        queue_lock_.lock();
        const uint32_t before = word_.fetch_or(queue);
        if ((before & held) == 0 && (before & queue) == 0) {
            word_.store(held);
            queue_lock_.unlock();
            return false;
        }
        Waiter** end = &first_;
        while (*end != nullptr) end = &(*end)->next;
        *end = &self;
        queue_lock_.unlock();
        return true;
    }

    bool remove(Waiter& waiter) {
        for (Waiter** link = &first_; *link != nullptr; link = &(*link)->next) {
            if (*link != &waiter) continue;
            *link = waiter.next;
            return true;
        }
        return false;
    }

    /// Gives up; true when it holds the lock after all.
    bool leave(Waiter& self) {
        queue_lock_.lock();
        const bool granted = !remove(self);
        if (!granted && first_ == nullptr && !mistakes.leaves_mark) word_.fetch_and(~queue);
        queue_lock_.unlock();
        return granted && !mistakes.ignores_late_grant;
    }

    typename Policy::FutexWord word_ = 0;
    sync::BasicMutex<Policy> queue_lock_;
    Waiter* first_ = nullptr;
};

}  // namespace braidway::explore
