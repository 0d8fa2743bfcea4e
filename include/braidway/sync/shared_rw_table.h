// SPDX-License-Identifier: Apache-2.0
// The process-shared reader/writer semaphore's inside: the guard, which survives the death of its
// owner, and what is done under it.
// Long because: all that changes the table, and what each change may leave undone, is one idea.
#pragma once

#include <cstddef>
#include <cstdint>

#include "braidway/sync/processes.h"
#include "braidway/sync/shared_rw_layout.h"

namespace braidway::sync {

/// A view of the header and the slots in this process's memory.
///
/// All changes are made by whoever is inside the guard: enter(), change(), leave(). Each slot is
/// changed by one store, and what is in the header can be computed again from the slots; so when
/// the owner of the guard dies at any instruction, the next one takes the guard over, counts the
/// slots, lets in who may be let in, and goes on.
///
/// What is read from shared memory is checked before it is an index, and no loop under the guard
/// is longer than the table, whatever others write there.
///
/// Shapes:  as the header says; one slot more than the holders have, for visitors: those who
///          release the dead without being attached.
/// Threads: any, of any process that has mapped the memory.
template <typename Policy, typename Processes>
class SharedRwTable {
  public:
    using Header = SharedRwHeader<Policy>;
    using Slot = SharedRwSlot<Policy>;

    SharedRwTable(Header* header, Slot* slots, unsigned count, Processes processes)
        : header_(header), slots_(slots), count_(count), processes_(processes) {}

    Header& header() const { return *header_; }
    Slot& slot(unsigned index) const { return slots_[index]; }
    unsigned count() const { return count_; }
    const Processes& processes() const { return processes_; }
    unsigned visitors_slot() const { return count_; }

    SlotState state(unsigned index) const {
        return SlotState{slots_[index].state.load(std::memory_order_acquire)};
    }
    /// With the mark shared_rw_released, where it is.
    ProcessIdentity owner(unsigned index) const {
        return slots_[index].owner.load(std::memory_order_acquire);
    }
    bool ended(ProcessIdentity owner) const {
        return processes_.ended(owner & ~shared_rw_released);
    }

    /// One stay inside the guard.
    struct Turn {
        uint32_t guard = 0;  ///< The guard, without guard_awaited; 0: not inside.
        /// Whose slot `buried_slot` was freed, as he had died in the guard that was taken over.
        ProcessIdentity buried = 0;
        unsigned buried_slot = 0;

        explicit operator bool() const { return guard != 0; }
    };

    /// What is known inside the guard.
    struct Inside {
        Inside(uint32_t my_guard, const SharedRwSummary& found) : guard(my_guard), summary(found) {}

        uint32_t guard;  ///< As in Turn.
        SharedRwSummary summary;
        SharedRwSlotSet woken;  ///< Let in; woken after leaving.
    };

    /// How long somebody waits for the guard.
    enum class Patience : uint8_t {
        until_deadline,
        one_look,  ///< As long as its owner is a running process: at most one look period.
    };

    /// Waits until the owner of slot `me` is inside. When the owner of the guard is found dead, the
    /// guard is taken over and everything is put in order first.
    ///
    /// Errors:  an empty turn when the deadline passed first.
    Turn enter(unsigned me, const Deadline& deadline, Patience patience) const {
        const uint32_t mine = me + 1;
        bool has_slept = false;
        unsigned spins = Policy::spin_turns();
        uint32_t seen = header_->guard.load(std::memory_order_relaxed);
        for (;;) {
            const uint32_t inside = seen & guard_owner;
            if (inside == 0) {
                const uint32_t before = seen;
                if (take_guard(seen, mine, has_slept)) return {turn_of(before, mine), 0, 0};
                continue;
            }
            // The visitors' own number, though I am outside: a visitor before me died inside.
            // (Another slot has one owner for as long as he lives, who is not inside twice.)
            const bool is_visitors = inside == mine && me == visitors_slot();
            if (is_visitors || inside > visitors_slot() + 1) {
                if (const Turn turn = take_over(seen, mine, has_slept, 0)) return turn;
                continue;
            }
            if (spins > 0) {
                --spins;
                Policy::spin_hint();
                seen = header_->guard.load(std::memory_order_relaxed);
                continue;
            }
            if ((seen & guard_awaited) == 0 && !mark_awaited(seen)) continue;
            const Look look = processes_.next_look(deadline, LookAt::guard);
            const FutexOutcome outcome =
                Policy::futex_wait(header_->guard, seen, FutexScope::process_shared, look.until);
            has_slept = true;
            if (outcome == FutexOutcome::timed_out) {
                const ProcessIdentity process = owner(inside - 1);
                if (process == 0 || ended(process)) {
                    const Turn turn = take_over(seen, mine, has_slept, process);
                    if (turn) return turn;
                }
                if (look.is_last || patience == Patience::one_look) return {};
            }
            seen = header_->guard.load(std::memory_order_relaxed);
        }
    }

    Inside look_around(const Turn& turn) const {
        return Inside(turn.guard,
                      SharedRwSummary::unpacked(header_->summary.load(std::memory_order_relaxed)));
    }

    /// Leaves the guard with what changed, and wakes those who were let in.
    void leave(const Inside& inside) const {
        uint32_t seen = header_->guard.load(std::memory_order_relaxed);
        // Only scribbling makes it another's, who then needs no summary of ours.
        if ((seen & ~guard_awaited) == inside.guard) {
            header_->summary.store(inside.summary.packed(), std::memory_order_relaxed);
        }
        while ((seen & ~guard_awaited) == inside.guard) {
            if (header_->guard.compare_exchange_strong(seen, seen & guard_turn,
                                                       std::memory_order_release,
                                                       std::memory_order_relaxed)) {
                break;
            }
        }
        if ((seen & guard_awaited) != 0) {
            Policy::futex_wake(&header_->guard, 1, FutexScope::process_shared);
        }
        inside.woken.for_each([this](unsigned index) {
            Policy::futex_wake(&slots_[index].state, 1, FutexScope::process_shared);
        });
    }

    /// Inside: moves a slot from its state to another, and counts it.
    void change(Inside& inside, unsigned index, SlotState from, SlotState to) const {
        inside.summary.count(from, index + 1, -1);
        inside.summary.count(to, index + 1, 1);
        slots_[index].state.store(static_cast<uint32_t>(to), std::memory_order_release);
    }

    /// Inside: puts slot `index`, which is idle, behind everybody else who waits.
    void enqueue(Inside& inside, unsigned index, SlotState queued) const {
        const uint64_t ticket = header_->tickets.load(std::memory_order_relaxed);
        header_->tickets.store(ticket + 1, std::memory_order_relaxed);
        slots_[index].ticket.store(ticket, std::memory_order_relaxed);
        change(inside, index, SlotState::idle, queued);
    }

    /// Inside: lets in, in the order of tickets, whoever may be let in: the upgrader who waits for
    /// the last reader, the first writer, or all readers (and one upgrade) before the first writer.
    void grant(Inside& inside) const {
        SharedRwSummary& summary = inside.summary;
        if (summary.writer != 0) return;
        if (summary.is_promoting) {
            const unsigned index = summary.upgrader - 1;
            if (summary.readers != 0 || index >= count_) return;
            change(inside, index, SlotState::waiting_promotion, SlotState::exclusive);
            inside.woken.add(index);
            return;
        }
        if (summary.waiting_exclusive == 0 && summary.waiting_others == 0) return;
        const Heads heads = queue_heads();
        if (heads.has_readers) admit_readers(inside, heads.exclusive_ticket);
        if (summary.upgrader == 0 && heads.upgrade_ticket < heads.exclusive_ticket) {
            admit(inside, heads.upgrade, SlotState::waiting_upgrade, SlotState::upgrade);
        }
        if (summary.readers == 0 && summary.upgrader == 0 && heads.exclusive_ticket != no_ticket) {
            admit(inside, heads.exclusive, SlotState::waiting_exclusive, SlotState::exclusive);
        }
    }

    /// Inside: counts the slots again. What scribbling made wrong in the header is right then.
    void recount(Inside& inside) const {
        inside.summary = {};
        for (unsigned index = 0; index < count_; ++index) {
            const ProcessIdentity its = owner(index);
            if (its == 0) continue;
            inside.summary.count(state(index), index + 1, 1);
            // Whoever put the mark there has died before he had done the rest.
            if ((its & shared_rw_released) != 0) strip(inside, index, false);
        }
    }

    /// Inside: takes from slot `index` what it holds or waits for. `is_orderly`: its owner has said
    /// so; otherwise what a writer was writing may be half written, and the next owners are told.
    void strip(Inside& inside, unsigned index, bool is_orderly) const {
        const SlotState before = state(index);
        if (before == SlotState::exclusive && !is_orderly) {
            header_->inconsistent.store(1, std::memory_order_relaxed);
        }
        change(inside, index, before, SlotState::idle);
    }

    /// What release() has done.
    struct Released {
        bool is_its = false;          ///< The slot that was asked for.
        ProcessIdentity another = 0;  ///< Who died inside the guard, if his is another slot.
    };

    /// Gives up what slot `index` holds or waits for, if it still is of `process`. If that has
    /// ended the slot is free then; otherwise it is marked as shared_rw_released.
    ///
    /// Threads: the owner of slot `me`, who is outside.
    Released release(unsigned me, unsigned index, ProcessIdentity process, bool has_ended) const {
        const Turn turn = enter(me, Deadline::never(), Patience::until_deadline);
        Inside inside = look_around(turn);
        Released released;
        if (turn.buried != 0) {
            released.is_its = turn.buried_slot == index && turn.buried == process;
            if (!released.is_its) released.another = turn.buried;
        }
        if (process != 0 && (has_ended ? owner(index) == process : mark(index, process))) {
            if (is_queued(state(index))) inside.woken.add(index);
            strip(inside, index, false);
            if (has_ended) slots_[index].owner.store(0, std::memory_order_release);
            grant(inside);
            released.is_its = true;
        }
        leave(inside);
        return released;
    }

    /// Outside the guard: frees slot `index`, which holds nothing, whether it is marked or not.
    void free(unsigned index, ProcessIdentity process) const {
        ProcessIdentity expected = process;
        auto& its = slots_[index].owner;
        if (its.compare_exchange_strong(expected, 0, std::memory_order_release,
                                        std::memory_order_relaxed)) {
            return;
        }
        expected = process | shared_rw_released;
        its.compare_exchange_strong(expected, 0, std::memory_order_release,
                                    std::memory_order_relaxed);
    }

    /// Gives up what slot `me` holds, as if its owner, who calls, had died. When it was released,
    /// whoever has done that is through with it afterwards.
    void strip_own(unsigned me, ProcessIdentity process) const {
        Inside inside = look_around(enter(me, Deadline::never(), Patience::until_deadline));
        if (owner(me) == process) {
            strip(inside, me, false);
            grant(inside);
        }
        leave(inside);
    }

    /// Releases whoever is dead and holds or waits; then counts everybody and lets in who may be
    /// let in, so that whatever a death left undone is done now. For slot `me`, which waits, and
    /// for all others who do.
    void clear_the_way(unsigned me) const {
        release_where_dead(me, [this](unsigned index) {
            const SlotState its = state(index);
            return holds(its) || is_queued(its);
        });
        Inside inside = look_around(enter(me, Deadline::never(), Patience::until_deadline));
        recount(inside);
        grant(inside);
        leave(inside);
    }

    /// Releases the slots of dead processes for which `is_wanted(index)`; returns how many.
    template <typename IsWanted>
    unsigned release_where_dead(unsigned me, IsWanted&& is_wanted) const {
        unsigned released = 0;
        ProcessIdentity living = 0;
        for (unsigned index = 0; index < count_; ++index) {
            const ProcessIdentity process = owner(index);
            // Threads of one process often have slots side by side.
            if (process == 0 || process == living || !is_wanted(index)) continue;
            if (!ended(process)) {
                living = process;
                continue;
            }
            const Released its = release(me, index, process, true);
            released += (its.is_its ? 1U : 0U) + (its.another != 0 ? 1U : 0U);
        }
        return released;
    }

    /// Takes the visitors' slot for this process, waiting while another visitor has it.
    void come_as_visitor(ProcessIdentity me) const {
        Slot& visitors = slots_[visitors_slot()];
        for (;;) {
            const uint32_t visits = visitors.state.load(std::memory_order_acquire);
            ProcessIdentity expected = 0;
            if (visitors.owner.compare_exchange_strong(expected, me, std::memory_order_acquire,
                                                       std::memory_order_acquire)) {
                return;
            }
            // A dead process never comes back, so this is still the one that was found dead.
            if (processes_.ended(expected) &&
                visitors.owner.compare_exchange_strong(expected, me, std::memory_order_acquire,
                                                       std::memory_order_relaxed)) {
                return;
            }
            const Look look = processes_.next_look(Deadline::never(), LookAt::guard);
            Policy::futex_wait(visitors.state, visits, FutexScope::process_shared, look.until);
        }
    }

    void leave_as_visitor() const {
        Slot& visitors = slots_[visitors_slot()];
        visitors.owner.store(0, std::memory_order_release);
        visitors.state.fetch_add(1, std::memory_order_release);
        Policy::futex_wake(&visitors.state, 1, FutexScope::process_shared);
    }

  private:
    static constexpr uint32_t guard_owner = 0x7ff;
    static constexpr uint32_t guard_turn = 0x7fff'f800;
    static constexpr uint32_t guard_one_turn = 0x800;
    static constexpr uint32_t guard_awaited = 0x8000'0000;
    static constexpr uint64_t no_ticket = UINT64_MAX;

    /// Those who are first among their kind.
    struct Heads {
        uint64_t exclusive_ticket = no_ticket;
        uint64_t upgrade_ticket = no_ticket;
        unsigned exclusive = 0;
        unsigned upgrade = 0;
        bool has_readers = false;
    };

    /// The guard as taken() makes it, without guard_awaited.
    static uint32_t turn_of(uint32_t seen, uint32_t mine) { return mine | next_turn(seen); }

    static uint32_t next_turn(uint32_t seen) { return (seen + guard_one_turn) & guard_turn; }

    /// The guard for the slot of number `mine`. Who has slept leaves word that others may sleep.
    static uint32_t taken(uint32_t seen, uint32_t mine, bool has_slept) {
        return turn_of(seen, mine) | (seen & guard_awaited) | (has_slept ? guard_awaited : 0);
    }

    /// Takes the free guard that was `seen`, or sees it again.
    bool take_guard(uint32_t& seen, uint32_t mine, bool has_slept) const {
        return header_->guard.compare_exchange_strong(seen, taken(seen, mine, has_slept),
                                                      std::memory_order_acquire,
                                                      std::memory_order_relaxed);
    }

    bool mark_awaited(uint32_t& seen) const {
        if (!header_->guard.compare_exchange_strong(
                seen, seen | guard_awaited, std::memory_order_relaxed, std::memory_order_relaxed)) {
            return false;
        }
        seen |= guard_awaited;
        return true;
    }

    /// Takes the guard from an owner of the dead `process` (0: from nobody that exists), in the
    /// very turn that was `seen`, and does what it may have left undone. Whoever was let in is
    /// woken again: the dead one may not have.
    Turn take_over(uint32_t& seen, uint32_t mine, bool has_slept, ProcessIdentity process) const {
        const uint32_t before = seen & guard_owner;
        Turn turn{turn_of(seen, mine), 0, 0};
        if (!take_guard(seen, mine, has_slept)) return {};
        Inside inside = look_around(turn);
        if (before <= count_ && process != 0 && owner(before - 1) == process) {
            strip(inside, before - 1, false);
            slots_[before - 1].owner.store(0, std::memory_order_release);
            turn.buried = process;
            turn.buried_slot = before - 1;
        }
        recount(inside);
        grant(inside);
        header_->summary.store(inside.summary.packed(), std::memory_order_relaxed);
        header_->recoveries.fetch_add(1, std::memory_order_relaxed);
        for (unsigned index = 0; index < count_; ++index) {
            if (!holds(state(index))) continue;
            Policy::futex_wake(&slots_[index].state, 1, FutexScope::process_shared);
        }
        return turn;
    }

    /// Takes the slot from its living owner; false when he has given it back himself.
    bool mark(unsigned index, ProcessIdentity process) const {
        return slots_[index].owner.compare_exchange_strong(process, process | shared_rw_released,
                                                           std::memory_order_release,
                                                           std::memory_order_relaxed);
    }

    Heads queue_heads() const {
        Heads heads;
        for (unsigned index = 0; index < count_; ++index) {
            const SlotState its = state(index);
            if (!is_queued(its) || owner(index) == 0) continue;
            const uint64_t ticket = slots_[index].ticket.load(std::memory_order_relaxed);
            if (its == SlotState::waiting_shared) {
                heads.has_readers = true;
            } else if (its == SlotState::waiting_exclusive) {
                if (ticket < heads.exclusive_ticket) {
                    heads.exclusive_ticket = ticket;
                    heads.exclusive = index;
                }
            } else if (ticket < heads.upgrade_ticket) {
                heads.upgrade_ticket = ticket;
                heads.upgrade = index;
            }
        }
        return heads;
    }

    void admit_readers(Inside& inside, uint64_t before_ticket) const {
        for (unsigned index = 0; index < count_; ++index) {
            if (state(index) != SlotState::waiting_shared || owner(index) == 0) continue;
            if (slots_[index].ticket.load(std::memory_order_relaxed) >= before_ticket) continue;
            admit(inside, index, SlotState::waiting_shared, SlotState::shared);
        }
    }

    void admit(Inside& inside, unsigned index, SlotState from, SlotState to) const {
        change(inside, index, from, to);
        inside.woken.add(index);
    }

    Header* header_;
    Slot* slots_;
    unsigned count_;
    Processes processes_;
};

}  // namespace braidway::sync
