// SPDX-License-Identifier: Apache-2.0
// The process-shared reader/writer semaphore's inside: the guard, which survives the death of its
// owner, and what is done under it.
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
    ProcessIdentity owner(unsigned index) const {
        return slots_[index].owner.load(std::memory_order_acquire);
    }

    /// What is known inside the guard.
    struct Inside {
        Inside(unsigned my_slot, const SharedRwSummary& found) : me(my_slot), summary(found) {}

        unsigned me;
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
    /// Errors:  false when the deadline passed first.
    bool enter(unsigned me, const Deadline& deadline, Patience patience) const {
        const uint32_t mine = me + 1;
        bool has_slept = false;
        unsigned spins = Policy::spin_turns();
        uint32_t seen = header_->guard.load(std::memory_order_relaxed);
        for (;;) {
            const uint32_t inside = seen & guard_owner;
            if (inside == 0) {
                if (take_guard(seen, mine, has_slept)) return true;
                continue;
            }
            // My own number, though I am outside: a visitor before me died inside, or scribbling.
            if (inside == mine || inside > visitors_slot() + 1) {
                if (take_over(seen, mine, has_slept, 0)) return true;
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
                if ((process == 0 || processes_.ended(process)) &&
                    take_over(seen, mine, has_slept, process)) {
                    return true;
                }
                if (look.is_last || patience == Patience::one_look) return false;
            }
            seen = header_->guard.load(std::memory_order_relaxed);
        }
    }

    Inside look_around(unsigned me) const {
        return Inside(me,
                      SharedRwSummary::unpacked(header_->summary.load(std::memory_order_relaxed)));
    }

    /// Leaves the guard with what changed, and wakes those who were let in.
    void leave(const Inside& inside) const {
        header_->summary.store(inside.summary.packed(), std::memory_order_relaxed);
        uint32_t seen = header_->guard.load(std::memory_order_relaxed);
        // Only scribbling makes it another's.
        while ((seen & guard_owner) == inside.me + 1) {
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
            if (owner(index) == 0) continue;
            inside.summary.count(state(index), index + 1, 1);
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

    /// Gives up what slot `index` holds or waits for, and the slot, if it still is of `process`.
    /// The caller, who owns slot `me` and is outside, knows that `process` has ended.
    bool release(unsigned me, unsigned index, ProcessIdentity process) const {
        enter(me, Deadline::never(), Patience::until_deadline);
        Inside inside = look_around(me);
        const bool is_its = index < count_ && process != 0 && owner(index) == process;
        if (is_its) {
            strip(inside, index, false);
            slots_[index].owner.store(0, std::memory_order_release);
            grant(inside);
        }
        leave(inside);
        return is_its;
    }

    /// Gives up what slot `me` holds, as if its owner, who calls, had died.
    void strip_own(unsigned me, ProcessIdentity process) const {
        enter(me, Deadline::never(), Patience::until_deadline);
        Inside inside = look_around(me);
        if (owner(me) == process) {
            strip(inside, me, false);
            grant(inside);
        }
        leave(inside);
    }

    /// Releases whoever is dead and in the way of slot `me`, which waits; then counts everybody and
    /// lets in who may be let in, so that whatever a death left undone is done now.
    void clear_the_way(unsigned me) const {
        const uint64_t ticket = slots_[me].ticket.load(std::memory_order_relaxed);
        release_where_dead(me, [this, me, ticket](unsigned index) {
            if (index == me) return false;
            const SlotState its = state(index);
            return holds(its) || (is_queued(its) &&
                                  slots_[index].ticket.load(std::memory_order_relaxed) < ticket);
        });
        enter(me, Deadline::never(), Patience::until_deadline);
        Inside inside = look_around(me);
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
            if (!processes_.ended(process)) {
                living = process;
                continue;
            }
            if (release(me, index, process)) ++released;
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

    static uint32_t next_turn(uint32_t seen) { return (seen + guard_one_turn) & guard_turn; }

    /// The guard for the slot of number `mine`. Who has slept leaves word that others may sleep.
    static uint32_t taken(uint32_t seen, uint32_t mine, bool has_slept) {
        return mine | next_turn(seen) | (seen & guard_awaited) | (has_slept ? guard_awaited : 0);
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
    bool take_over(uint32_t& seen, uint32_t mine, bool has_slept, ProcessIdentity process) const {
        const uint32_t before = seen & guard_owner;
        if (!take_guard(seen, mine, has_slept)) return false;
        Inside inside = look_around(mine - 1);
        if (before <= count_ && process != 0 && owner(before - 1) == process) {
            strip(inside, before - 1, false);
            slots_[before - 1].owner.store(0, std::memory_order_release);
        }
        recount(inside);
        grant(inside);
        header_->summary.store(inside.summary.packed(), std::memory_order_relaxed);
        header_->recoveries.fetch_add(1, std::memory_order_relaxed);
        for (unsigned index = 0; index < count_; ++index) {
            if (!holds(state(index))) continue;
            Policy::futex_wake(&slots_[index].state, 1, FutexScope::process_shared);
        }
        return true;
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
