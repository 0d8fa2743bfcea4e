// SPDX-License-Identifier: Apache-2.0
// The word and the queue of the fair reader/writer semaphore. Users include rw_semaphore.h.
//
// Everybody who holds the semaphore is in the word, and everybody who waits is in the queue, but
// for two who wait with a place in the word already: readers that came while a writer held it and
// nobody waited (their count keeps the next writer out), and the upgradable reader that becomes the
// writer.
//
// While the queue is not empty the word says `waiting`, and nobody enters but the head of the
// queue, who watches the word. Who leaves touches nothing but the word, in one step: after it the
// semaphore may be gone, and a wake needs the word's address only. The head, once inside, takes the
// readers behind it along and makes the next waiter the head.
//
// `sleeping` says that somebody may sleep on the word: the head, the upgrader, or readers with a
// place. Whoever changes the word so that one of them may go on wakes all of them. Writers and the
// upgradable reader clear the bit in the step in which they leave; a reader leaves by subtraction
// and cannot, so the head clears it when it enters: the upgrader and readers with a place would
// have kept it out.
#pragma once

#include <atomic>
#include <cstdint>

#include "braidway/sync/inner_mutex.h"
#include "braidway/sync/policy.h"
#include "braidway/sync/rw_word.h"

namespace braidway::sync {

/// A thread in the queue; lives on its stack. Links and `queued` are guarded by the queue's lock.
template <typename Policy>
struct RwWaiter {
    enum Turn : uint32_t {
        behind,   ///< Others are ahead; the thread spins.
        asleep,   ///< Others are ahead; the thread may sleep on `turn`.
        head,     ///< It is the first: it watches the word.
        granted,  ///< A reader ahead took it along: it is inside.
    };

    explicit RwWaiter(LockMode wanted) : mode(wanted) {}

    RwWaiter* next = nullptr;
    RwWaiter* previous = nullptr;
    const LockMode mode;
    bool queued = false;
    bool near = false;  ///< Only the head was ahead when it came.
    typename Policy::FutexWord turn = behind;
};

/// What BasicRwSemaphore does, without telling who watches. See there.
///
/// Threads: any.
template <typename Policy>
class RwQueue {
  public:
    bool try_write_free() {
        uint32_t word = 0;
        return word_.compare_exchange_strong(word, RwWord::writer, std::memory_order_acquire,
                                             std::memory_order_relaxed);
    }
    bool try_write() { return try_enter(LockMode::exclusive); }
    bool try_read() { return try_enter(LockMode::shared); }
    bool try_upgradable() { return try_enter(LockMode::upgrade); }

    /// Counts this thread as a reader, right or wrong; returns the word as it was before.
    uint32_t add_reader() { return word_.fetch_add(RwWord::reader, std::memory_order_acquire); }
    static bool keeps_readers_out(uint32_t word) {
        return (word & (RwWord::writer | RwWord::upgrading | RwWord::waiting)) != 0;
    }
    /// A reader that counted itself in a word that keeps readers out.
    void read_after_all(uint32_t before) {
        if (has_place(before)) {
            wait_for_writer(Deadline::never());
        } else {
            leave_reading();
            wait_in_queue(LockMode::shared, Deadline::never());
        }
    }
    /// A reader that may give up. It counts itself only where it may stay, so that one that asks
    /// again and again keeps no writer out.
    bool read_until(const Deadline& deadline) {
        uint32_t word = word_.load(std::memory_order_relaxed);
        while (has_place(word)) {
            if (word_.compare_exchange_weak(word, word + RwWord::reader, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
                return wait_for_writer(deadline);
            }
        }
        return wait_in_queue(LockMode::shared, deadline);
    }

    /// Waits for this thread's turn; false at the deadline.
    bool wait_in_queue(LockMode mode, const Deadline& deadline) {
        Waiter self(mode);
        if (!enqueue(self)) {
            switch (wait_for_turn(self, deadline)) {
                case Waiter::head:
                    break;
                case Waiter::granted:
                    return true;
                default:
                    return leave_queue(self);
            }
        }
        while (true) {
            uint32_t word = word_.load(std::memory_order_relaxed);
            if (RwWord::admits(word, mode)) {
                if (enter_with_followers(self)) return true;
            } else if (!wait_for_change(word, deadline)) {
                word = word_.load(std::memory_order_relaxed);
                if (!RwWord::admits(word, mode)) return leave_queue(self);
            }
        }
    }

    bool try_upgrade() {
        uint32_t word = word_.load(std::memory_order_relaxed);
        while (true) {
            if ((word & RwWord::upgradable) == 0)
                not_held("an upgrade by who is no upgradable reader");
            if (RwWord::readers_of(word) != 0) return false;
            const uint32_t after =
                (word & ~(RwWord::upgradable | RwWord::upgrading)) | RwWord::writer;
            if (word_.compare_exchange_weak(word, after, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
                return true;
            }
        }
    }
    bool upgrade(const Deadline& deadline) {
        word_.fetch_or(RwWord::upgrading, std::memory_order_relaxed);
        while (!try_upgrade()) {
            const uint32_t word = word_.load(std::memory_order_relaxed);
            if (RwWord::readers_of(word) == 0) continue;
            if (!wait_for_change(word, deadline)) {
                if (try_upgrade()) return true;
                change_and_wake(RwWord::upgrading, 0);
                return false;
            }
        }
        return true;
    }

    void leave_reading() {
        const uint32_t before = word_.fetch_sub(RwWord::reader, std::memory_order_release);
        if (before < RwWord::reader) [[unlikely]]
            not_held("unlock_shared() without a reader");
        if ((before & RwWord::sleeping) != 0 && RwWord::readers_of(before) == 1) wake_all();
    }
    /// `stay`: what the writer is from now on: nothing, reader, upgradable.
    void leave_writing(uint32_t stay) {
        uint32_t word = RwWord::writer;
        if (word_.compare_exchange_strong(word, stay, std::memory_order_release,
                                          std::memory_order_relaxed)) [[likely]] {
            return;
        }
        if ((word & RwWord::writer) == 0) not_held("unlock() without a writer");
        change_and_wake(RwWord::writer, stay);
    }
    void leave_upgradable(uint32_t stay) {
        if ((word_.load(std::memory_order_relaxed) & RwWord::upgradable) == 0) {
            not_held("unlock_upgrade() without an upgradable reader");
        }
        change_and_wake(RwWord::upgradable, stay);
    }

  private:
    using Waiter = RwWaiter<Policy>;

    /// A reader may count itself and stay: it may have to wait for the writer that is inside.
    static bool has_place(uint32_t word) {
        return (word & (RwWord::upgrading | RwWord::waiting)) == 0;
    }

    bool try_enter(LockMode mode) {
        uint32_t word = word_.load(std::memory_order_relaxed);
        while ((word & RwWord::waiting) == 0 && RwWord::admits(word, mode)) {
            if (word_.compare_exchange_weak(word, word + RwWord::gain(mode),
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
                return true;
            }
        }
        return false;
    }

    /// Takes `gone` and `sleeping` out, puts `come` in, and wakes who slept. The semaphore may be
    /// gone before the wake.
    void change_and_wake(uint32_t gone, uint32_t come) {
        uint32_t word = word_.load(std::memory_order_relaxed);
        while (!word_.compare_exchange_weak(word, (word & ~(gone | RwWord::sleeping)) + come,
                                            std::memory_order_release, std::memory_order_relaxed)) {
        }
        if ((word & RwWord::sleeping) != 0) wake_all();
    }

    void wake_all() { Policy::futex_wake(&word_, UINT32_MAX, FutexScope::process_private); }

    /// Spins, then sleeps, until the word is no longer `word`, or for no reason; false at the
    /// deadline.
    bool wait_for_change(uint32_t word, const Deadline& deadline) {
        for (unsigned turn = Policy::spin_turns(); turn > 0; --turn) {
            Policy::spin_hint();
            if (word_.load(std::memory_order_relaxed) != word) return true;
        }
        const uint32_t marked = word | RwWord::sleeping;
        if (word != marked &&
            !word_.compare_exchange_strong(word, marked, std::memory_order_relaxed)) {
            return true;
        }
        return Policy::futex_wait(word_, marked, FutexScope::process_private, deadline) !=
               FutexOutcome::timed_out;
    }

    /// A reader that is counted waits until the writer leaves; at the deadline it is counted out.
    bool wait_for_writer(const Deadline& deadline) {
        while (true) {
            uint32_t word = word_.load(std::memory_order_acquire);
            if ((word & RwWord::writer) == 0) return true;
            if (wait_for_change(word, deadline)) continue;
            word = word_.load(std::memory_order_acquire);
            if ((word & RwWord::writer) == 0) return true;
            leave_reading();
            return false;
        }
    }

    /// True when `self` is the head already.
    bool enqueue(Waiter& self) {
        queue_lock_.lock();
        self.queued = true;
        const bool first = last_ == nullptr;
        if (first) {
            self.next = self.previous = &self;
            self.turn.store(Waiter::head, std::memory_order_relaxed);
            word_.fetch_or(RwWord::waiting, std::memory_order_relaxed);
        } else {
            self.near = last_->next == last_;
            self.next = last_->next;
            self.previous = last_;
            self.next->previous = &self;
            last_->next = &self;
        }
        last_ = &self;
        queue_lock_.unlock();
        return first;
    }

    /// Out of the ring; the queue's lock is held.
    void remove(Waiter& waiter) {
        waiter.queued = false;
        if (waiter.next == &waiter) {
            last_ = nullptr;
            return;
        }
        waiter.previous->next = waiter.next;
        waiter.next->previous = waiter.previous;
        if (last_ == &waiter) last_ = waiter.previous;
    }

    /// Returns head or granted, or something else at the deadline.
    typename Waiter::Turn wait_for_turn(Waiter& self, const Deadline& deadline) {
        const auto look = [&self] {
            return static_cast<typename Waiter::Turn>(self.turn.load(std::memory_order_acquire));
        };
        // Who stands farther back waits for more than one wake-up, and takes a processor from them.
        const unsigned turns_most = self.near ? Policy::spin_turns() : Policy::spin_turns() / 8;
        for (unsigned turns = turns_most; turns > 0 && look() == Waiter::behind; --turns) {
            Policy::spin_hint();
        }
        uint32_t turn = Waiter::behind;
        self.turn.compare_exchange_strong(turn, Waiter::asleep, std::memory_order_acquire);
        while (look() == Waiter::asleep) {
            if (Policy::futex_wait(self.turn, Waiter::asleep, FutexScope::process_private,
                                   deadline) == FutexOutcome::timed_out) {
                break;
            }
        }
        return look();
    }

    /// Tells `waiter`, who may be gone as soon as it is told. Returns whom to wake, or nullptr.
    static const typename Policy::FutexWord* tell(Waiter& waiter, typename Waiter::Turn turn) {
        const typename Policy::FutexWord* const word = &waiter.turn;
        return waiter.turn.exchange(turn, std::memory_order_acq_rel) == Waiter::asleep ? word
                                                                                       : nullptr;
    }
    static void wake(const typename Policy::FutexWord* turn) {
        if (turn != nullptr) Policy::futex_wake(turn, 1, FutexScope::process_private);
    }

    /// The head enters, and when it reads, so do the readers next to it. False when the word does
    /// not admit it (any more).
    bool enter_with_followers(Waiter& self) {
        queue_lock_.lock();
        Waiter* last_in = &self;
        uint32_t gain = RwWord::gain(self.mode);
        while (self.mode == LockMode::shared && last_in != last_ &&
               last_in->next->mode == LockMode::shared) {
            last_in = last_in->next;
            gain += RwWord::reader;
        }
        // Nobody else sleeps on the word when the head may enter. Left behind, the bit would cost
        // the last reader a wake for nobody, again and again until a writer comes.
        const uint32_t gone = RwWord::sleeping | (last_in == last_ ? RwWord::waiting : 0);
        uint32_t word = word_.load(std::memory_order_relaxed);
        do {
            if (!RwWord::admits(word, self.mode)) {
                queue_lock_.unlock();
                return false;
            }
        } while (!word_.compare_exchange_weak(
            word, (word & ~gone) + gain, std::memory_order_acquire, std::memory_order_relaxed));
        Waiter* const next_head = cut_off(self, *last_in);
        const auto* const asleep = next_head == nullptr ? nullptr : tell(*next_head, Waiter::head);
        queue_lock_.unlock();
        wake(asleep);
        // Those who are taken along stay where they are until they are told.
        for (Waiter* waiter = self.next; waiter != nullptr;) {
            Waiter* const behind = waiter->next;
            wake(tell(*waiter, Waiter::granted));
            waiter = behind;
        }
        return true;
    }

    /// Takes the queue's beginning, up to `last_out`, out as a chain that ends with nullptr.
    /// Returns the new head. The queue's lock is held.
    Waiter* cut_off(Waiter& first, Waiter& last_out) {
        Waiter* const next_head = &last_out == last_ ? nullptr : last_out.next;
        last_out.next = nullptr;
        for (Waiter* waiter = &first; waiter != nullptr; waiter = waiter->next) {
            waiter->queued = false;
        }
        if (next_head == nullptr) {
            last_ = nullptr;
        } else {
            next_head->previous = last_;
            last_->next = next_head;
        }
        return next_head;
    }

    /// Gives up; true when a reader ahead has taken this one along meanwhile.
    bool leave_queue(Waiter& self) {
        queue_lock_.lock();
        if (!self.queued) {
            queue_lock_.unlock();
            wait_for_turn(self, Deadline::never());
            return true;
        }
        const bool was_head = last_->next == &self;
        Waiter* const next = self.next;
        remove(self);
        const typename Policy::FutexWord* next_head = nullptr;
        if (last_ == nullptr) {
            forget_queue();
        } else if (was_head) {
            next_head = tell(*next, Waiter::head);
        }
        queue_lock_.unlock();
        wake(next_head);
        return false;
    }

    /// The queue is empty. Its head may have left `sleeping` behind; it stays where others may
    /// sleep: readers with a place while a writer is inside, and the upgrader.
    void forget_queue() {
        uint32_t word = word_.load(std::memory_order_relaxed);
        uint32_t gone = 0;
        do {
            gone = RwWord::waiting;
            if ((word & (RwWord::writer | RwWord::upgrading)) == 0) gone |= RwWord::sleeping;
        } while (!word_.compare_exchange_weak(word, word & ~gone, std::memory_order_relaxed));
    }

    [[noreturn]] void not_held(const char* what) const { lock_misused(what, this); }

    typename Policy::FutexWord word_ = 0;
    typename InnerMutexOf<Policy>::Type queue_lock_;
    Waiter* last_ = nullptr;  ///< A ring: behind the last one comes the head.
};

}  // namespace braidway::sync
