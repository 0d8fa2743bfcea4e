// SPDX-License-Identifier: Apache-2.0
// One thread's place at a process-shared reader/writer semaphore.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

#include "braidway/sync/annotations.h"
#include "braidway/sync/shared_rw_table.h"

namespace braidway::sync {

/// What a thread holds a process-shared reader/writer semaphore by: one slot of its table.
///
/// Meets SharedTimedMutex, so std::unique_lock and std::shared_lock of a holder work. A holder
/// holds the semaphore in one mode at a time; the semaphore is fair: who waits is let in in order
/// of arrival, and once a writer waits no new reader enters.
///
/// After a holder died while it wrote, lock functions succeed as always and inconsistent() is true
/// until somebody who has put the data right calls make_consistent() (as EOWNERDEAD of a robust
/// mutex, but for readers, too).
///
/// Bounds:  a waiter is let in no later than 150 ms after the death of those that were in its way
///          (it looks every 100 ms, and waits 10 ms at a time for the guard), on a machine that
///          lets it run. A try takes at most 10 ms more than usual, when somebody died or was
///          stopped inside the guard. A timed lock that fails has looked for the dead; a try has
///          not: those who only try call release_dead(). While a living process is stopped inside
///          the guard nothing is bounded but a try, and a timed lock that has not begun to wait
///          for its turn: one that has, and unlocking, must get inside, and return only when the
///          stopped one goes on or dies.
/// Errors:  unlocking what this holder does not hold, or locking what it does, ends the process
///          with a line that says so. When a supervisor has released the slot of a living process,
///          try and timed functions are false for ever, unlocking does nothing, and functions that
///          cannot fail end the process.
/// Threads: one at a time; not moved while it waits. Held beyond fork() by the parent alone: the
///          child's copy does nothing when it is destroyed and is not to be used.
template <typename Policy, typename Processes>
class BRAIDWAY_CAPABILITY("shared reader/writer semaphore") SharedRwHolder {
  public:
    using Table = SharedRwTable<Policy, Processes>;

    /// For attach() only: slot `slot` has just become that of `process`.
    SharedRwHolder(const Table& table, unsigned slot, ProcessIdentity process)
        : table_(table), slot_(slot), process_(process) {}

    SharedRwHolder(const SharedRwHolder&) = delete;
    SharedRwHolder& operator=(const SharedRwHolder&) = delete;
    SharedRwHolder(SharedRwHolder&& other) noexcept
        : table_(other.table_),
          slot_(other.slot_),
          process_(std::exchange(other.process_, 0)),
          held_(std::exchange(other.held_, SlotState::idle)) {}
    SharedRwHolder& operator=(SharedRwHolder&& other) noexcept {
        if (this == &other) return *this;
        detach();
        table_ = other.table_;
        slot_ = other.slot_;
        process_ = std::exchange(other.process_, 0);
        held_ = std::exchange(other.held_, SlotState::idle);
        return *this;
    }

    /// Gives the slot back. What it still holds is released as if its owner had died.
    ~SharedRwHolder() { detach(); }

    /// The number of the slot, for a supervisor.
    unsigned slot() const { return slot_; }
    /// False when somebody has released this slot, or it was moved away.
    bool is_attached() const { return process_ != 0 && table_.owner(slot_) == process_; }

    void lock() BRAIDWAY_ACQUIRE() { demand(LockMode::exclusive); }
    bool try_lock() BRAIDWAY_TRY_ACQUIRE(true) { return attempt(LockMode::exclusive); }
    bool try_lock_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE(true) {
        return acquire(LockMode::exclusive, deadline);
    }
    template <typename Clock, typename Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time)
        BRAIDWAY_TRY_ACQUIRE(true) {
        return acquire(LockMode::exclusive, Deadline(time));
    }
    template <typename Rep, typename Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE(true) {
        return acquire(LockMode::exclusive, Deadline::after(duration));
    }
    void unlock() BRAIDWAY_RELEASE() {
        convert(SlotState::exclusive, SlotState::idle, "unlock() of what is not held for writing");
    }

    void lock_shared() BRAIDWAY_ACQUIRE_SHARED() { demand(LockMode::shared); }
    bool try_lock_shared() BRAIDWAY_TRY_ACQUIRE_SHARED(true) { return attempt(LockMode::shared); }
    bool try_lock_shared_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return acquire(LockMode::shared, deadline);
    }
    template <typename Clock, typename Duration>
    bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& time)
        BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return acquire(LockMode::shared, Deadline(time));
    }
    template <typename Rep, typename Period>
    bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return acquire(LockMode::shared, Deadline::after(duration));
    }
    void unlock_shared() BRAIDWAY_RELEASE_SHARED() {
        convert(SlotState::shared, SlotState::idle,
                "unlock_shared() of what is not held for reading");
    }

    /// Upgradable: beside readers, but only one at a time.
    void lock_upgrade() BRAIDWAY_ACQUIRE_SHARED() { demand(LockMode::upgrade); }
    bool try_lock_upgrade() BRAIDWAY_TRY_ACQUIRE_SHARED(true) { return attempt(LockMode::upgrade); }
    bool try_lock_upgrade_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return acquire(LockMode::upgrade, deadline);
    }
    template <typename Rep, typename Period>
    bool try_lock_upgrade_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return acquire(LockMode::upgrade, Deadline::after(duration));
    }
    void unlock_upgrade() BRAIDWAY_RELEASE_SHARED() {
        convert(SlotState::upgrade, SlotState::idle,
                "unlock_upgrade() of what is not held upgradable");
    }

    /// The upgradable reader becomes the writer, before all who wait, when the readers have left.
    /// No other writer comes between.
    void unlock_upgrade_and_lock() BRAIDWAY_RELEASE_SHARED() BRAIDWAY_ACQUIRE() {
        if (!promote(Deadline::never(), true)) fail_released();
    }
    /// The same, if there is no other reader. (Clang's analysis has no words for this one and the
    /// next: it goes on thinking that the holder reads.)
    bool try_unlock_upgrade_and_lock() { return promote(Deadline::never(), false); }
    /// The same, if the readers have left by then; otherwise still the upgradable reader.
    bool try_unlock_upgrade_and_lock_until(const Deadline& deadline) {
        return promote(deadline, true);
    }
    template <typename Rep, typename Period>
    bool try_unlock_upgrade_and_lock_for(const std::chrono::duration<Rep, Period>& duration) {
        return promote(Deadline::after(duration), true);
    }

    /// The writer becomes a reader; nobody writes between. Readers who wait before the first
    /// writer come in.
    void unlock_and_lock_shared() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() {
        convert(SlotState::exclusive, SlotState::shared,
                "downgrade() of what is not held for writing");
    }
    /// Another name for unlock_and_lock_shared().
    void downgrade() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() { unlock_and_lock_shared(); }
    void unlock_and_lock_upgrade() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() {
        convert(SlotState::exclusive, SlotState::upgrade,
                "unlock_and_lock_upgrade() of what is not held for writing");
    }
    void unlock_upgrade_and_lock_shared() {
        convert(SlotState::upgrade, SlotState::shared,
                "unlock_upgrade_and_lock_shared() of what is not held upgradable");
    }

    /// Whether a writer has died and nobody has called make_consistent() since.
    bool inconsistent() const {
        return table_.header().inconsistent.load(std::memory_order_acquire) != 0;
    }
    /// The writer says that the data is whole again.
    void make_consistent() {
        if (held_ != SlotState::exclusive) {
            lock_misused("make_consistent() of what is not held for writing", &table_.header());
        }
        table_.header().inconsistent.store(0, std::memory_order_release);
    }

  private:
    using Patience = typename Table::Patience;
    using Turn = typename Table::Turn;
    using Inside = typename Table::Inside;

    void demand(LockMode mode) {
        if (!acquire(mode, Deadline::never())) fail_released();
    }

    bool attempt(LockMode mode) {
        expect(SlotState::idle, "locking what this holder holds already");
        const Turn turn = table_.enter(slot_, Deadline::never(), Patience::one_look);
        if (!turn) return false;
        Inside inside = table_.look_around(turn);
        const bool is_mine = is_attached() && inside.summary.admits(mode);
        if (is_mine) table_.change(inside, slot_, SlotState::idle, held_state(mode));
        table_.leave(inside);
        if (is_mine) now_held(mode);
        return is_mine;
    }

    bool acquire(LockMode mode, const Deadline& deadline) {
        expect(SlotState::idle, "locking what this holder holds already");
        const Turn turn = table_.enter(slot_, deadline, Patience::until_deadline);
        if (!turn) return false;
        Inside inside = table_.look_around(turn);
        if (!is_attached()) {
            table_.leave(inside);
            return false;
        }
        if (inside.summary.admits(mode)) {
            table_.change(inside, slot_, SlotState::idle, held_state(mode));
            table_.leave(inside);
            now_held(mode);
            return true;
        }
        observe(LockEvent::wanted, mode);
        table_.enqueue(inside, slot_, queued_state(mode));
        table_.leave(inside);
        if (!await(queued_state(mode), held_state(mode), SlotState::idle, deadline)) {
            observe(LockEvent::given_up, mode);
            return false;
        }
        now_held(mode);
        return true;
    }

    bool promote(const Deadline& deadline, bool may_wait) {
        expect(SlotState::upgrade, "upgrading what is not held upgradable");
        const Patience patience = may_wait ? Patience::until_deadline : Patience::one_look;
        const Turn turn = table_.enter(slot_, deadline, patience);
        if (!turn) return false;
        Inside inside = table_.look_around(turn);
        const bool is_free = inside.summary.readers == 0;
        if (!is_attached() || (!is_free && !may_wait)) {
            table_.leave(inside);
            return false;
        }
        if (!is_free) observe(LockEvent::wanted, LockMode::exclusive);
        table_.change(inside, slot_, SlotState::upgrade,
                      is_free ? SlotState::exclusive : SlotState::waiting_promotion);
        table_.leave(inside);
        if (!is_free && !await(SlotState::waiting_promotion, SlotState::exclusive,
                               SlotState::upgrade, deadline)) {
            observe(LockEvent::given_up, LockMode::exclusive);
            return false;
        }
        observe(LockEvent::released, LockMode::upgrade);
        now_held(LockMode::exclusive);
        return true;
    }

    /// Sleeps in the state `waiting` until somebody makes it `granted`; at the deadline it becomes
    /// `given_up`.
    ///
    /// Errors:  false at the deadline, and when the slot was released.
    bool await(SlotState waiting, SlotState granted, SlotState given_up, const Deadline& deadline) {
        for (;;) {
            const SlotState state = table_.state(slot_);
            if (state == granted && is_attached()) return true;
            if (!is_attached()) return false;
            if (state != waiting) {
                // Scribbling: nobody else makes it anything but `granted`.
                if (withdraw(state, waiting, granted)) return true;
                continue;
            }
            const Look look = table_.processes().next_turn_look(deadline, table_.header().looked);
            const FutexOutcome outcome =
                Policy::futex_wait(table_.slot(slot_).state, static_cast<uint32_t>(waiting),
                                   FutexScope::process_shared, look.until);
            if (outcome != FutexOutcome::timed_out) continue;
            // One looks for all who wait: each for itself would cost the square of their number.
            if (table_.processes().begin_look(table_.header().looked) || look.is_last) {
                table_.clear_the_way(slot_);
            }
            if (look.is_last) return withdraw(waiting, given_up, granted);
        }
    }

    /// Ends waiting: from `waiting` to `given_up`, which lets others in. True if it was granted
    /// meanwhile, after all.
    bool withdraw(SlotState waiting, SlotState given_up, SlotState granted) {
        Inside inside =
            table_.look_around(table_.enter(slot_, Deadline::never(), Patience::until_deadline));
        const bool is_attached_still = is_attached();
        const bool is_granted = is_attached_still && table_.state(slot_) == granted;
        if (is_attached_still && !is_granted) {
            table_.change(inside, slot_, waiting, given_up);
            table_.grant(inside);
        }
        table_.leave(inside);
        return is_granted;
    }

    /// From one way of holding to a lesser one, or to none.
    void convert(SlotState from, SlotState to, const char* misuse) {
        expect(from, misuse);
        observe(LockEvent::released, mode_of(from));
        Inside inside =
            table_.look_around(table_.enter(slot_, Deadline::never(), Patience::until_deadline));
        if (is_attached()) {
            table_.change(inside, slot_, from, to);
            table_.grant(inside);
        }
        table_.leave(inside);
        held_ = to;
        if (to != SlotState::idle) observe(LockEvent::acquired, mode_of(to));
    }

    void detach() noexcept {
        // A child of fork() has a copy of the holder, but the slot is its parent's.
        if (process_ == 0 || process_ != table_.processes().self()) return;
        if (held_ != SlotState::idle || !is_attached()) table_.strip_own(slot_, process_);
        // Outside the guard: a free slot never owns it.
        table_.free(slot_, process_);
        process_ = 0;
        held_ = SlotState::idle;
    }

    static LockMode mode_of(SlotState held) {
        if (held == SlotState::exclusive) return LockMode::exclusive;
        return held == SlotState::upgrade ? LockMode::upgrade : LockMode::shared;
    }

    void now_held(LockMode mode) {
        held_ = held_state(mode);
        observe(LockEvent::acquired, mode);
    }

    void expect(SlotState held, const char* misuse) const {
        if (held_ != held || process_ == 0) lock_misused(misuse, &table_.header());
    }

    [[noreturn]] void fail_released() const {
        lock_misused("the slot of this holder was released while its process lives",
                     &table_.header());
    }

    void observe(LockEvent event, LockMode mode) const {
        Policy::observe(event, mode, &table_.header(), LockKind::shared_rw_semaphore);
    }

    Table table_;
    unsigned slot_;
    ProcessIdentity process_;           ///< 0 after it was moved away.
    SlotState held_ = SlotState::idle;  ///< What the table should say, if nobody scribbles there.
};

}  // namespace braidway::sync
