// SPDX-License-Identifier: Apache-2.0
// How a process-shared reader/writer semaphore lies in memory: a header, then the holders' slots.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "braidway/sync/policy.h"
#include "braidway/sync/processes.h"

namespace braidway::sync {

/// The most slots a table may have.
inline constexpr unsigned shared_rw_slots_max = 1024;

inline constexpr uint32_t shared_rw_magic = 0x57525242;  ///< "BRRW" on little-endian machines.
inline constexpr uint16_t shared_rw_version = 1;

/// What the owner of a slot does with the semaphore. Written by one store, so that whoever dies
/// leaves one state or the next and nothing between.
enum class SlotState : uint32_t {
    idle,             ///< Attached, and neither holds nor waits. A free slot is idle, too.
    shared,           ///< Reads. Given up by its owner.
    upgrade,          ///< Reads, and is the one that may become the writer.
    exclusive,        ///< Writes.
    waiting_shared,   ///< Queued. Becomes `shared` by whoever lets it in, `idle` when it gives up.
    waiting_upgrade,  ///< Queued. Becomes `upgrade` by whoever lets it in.
    waiting_exclusive,  ///< Queued. Becomes `exclusive` by whoever lets it in; keeps readers out.
    waiting_promotion,  ///< Reads as `upgrade`, waits for the other readers to leave, keeps new
                        ///< ones out. Becomes `exclusive`, or `upgrade` when it gives up.
};

constexpr bool holds(SlotState state) {
    return state == SlotState::shared || state == SlotState::upgrade ||
           state == SlotState::exclusive || state == SlotState::waiting_promotion;
}

constexpr bool is_queued(SlotState state) {
    return state == SlotState::waiting_shared || state == SlotState::waiting_upgrade ||
           state == SlotState::waiting_exclusive;
}

constexpr SlotState held_state(LockMode mode) {
    if (mode == LockMode::exclusive) return SlotState::exclusive;
    return mode == LockMode::upgrade ? SlotState::upgrade : SlotState::shared;
}

constexpr SlotState queued_state(LockMode mode) {
    if (mode == LockMode::exclusive) return SlotState::waiting_exclusive;
    return mode == LockMode::upgrade ? SlotState::waiting_upgrade : SlotState::waiting_shared;
}

/// The mark beside the owner of a slot that was taken away from a living process. The slot keeps
/// its owner until the process ends or its holder is gone, for that holder may be on its way into
/// the guard under the number of the slot, which nobody else has till then.
inline constexpr ProcessIdentity shared_rw_released = uint64_t{1} << 63;

/// One attached thread. The slots are the truth; everything in the header but the ticket counter
/// and the inconsistent mark can be computed from them.
///
/// Shapes:  32 bytes, no pointers.
template <typename Policy>
struct SharedRwSlot {
    typename Policy::FutexWord state = 0;                  ///< SlotState; the owner sleeps on it.
    uint32_t reserved = 0;                                 ///< 0.
    typename Policy::template Atomic<uint64_t> ticket{0};  ///< Of the last wait: the order of them.
    /// ProcessIdentity; 0: the slot is free. Its topmost bit: shared_rw_released.
    typename Policy::template Atomic<uint64_t> owner{0};
    uint64_t reserved_too = 0;  ///< 0.
};

/// The header.
///
/// `guard` has the number of the slot whose owner is inside, plus 1, in bits 0 to 10 (0: nobody);
/// the number of the turn in bits 11 to 30, so that who takes the guard over from a dead owner
/// takes it from that turn and no later one; and in bit 31 that somebody may sleep.
///
/// Shapes:  64 bytes, no pointers.
template <typename Policy>
struct alignas(64) SharedRwHeader {
    typename Policy::template Atomic<uint32_t> magic{0};  ///< Written last.
    uint16_t version = shared_rw_version;
    uint16_t slot_size_bytes = sizeof(SharedRwSlot<Policy>);
    uint32_t slots = 0;  ///< Without the visitors' slot, which is the one behind the last.
    typename Policy::FutexWord guard = 0;
    typename Policy::template Atomic<uint64_t> summary{0};  ///< SharedRwSummary; under the guard.
    typename Policy::template Atomic<uint64_t> tickets{0};  ///< The next one; under the guard.
    uint64_t place = 0;                                     ///< Processes::place() of the creator.
    typename Policy::template Atomic<uint32_t> inconsistent{0};  ///< A writer died; 1 or 0.
    typename Policy::template Atomic<uint32_t> recoveries{0};  ///< Guards taken over from the dead.
    /// When a waiter last looked for the dead: nanoseconds of the monotonic clock. See
    /// SystemProcesses::next_turn_look().
    typename Policy::template Atomic<uint64_t> looked{0};
    uint64_t reserved = 0;
};

static_assert(sizeof(SharedRwSlot<SystemPolicy>) == 32);
static_assert(sizeof(SharedRwHeader<SystemPolicy>) == 64);
static_assert(SystemPolicy::Atomic<uint64_t>::is_always_lock_free);

/// Who holds and who waits, counted, in one word.
///
/// Shapes:  numbers of slots are one more than their index; 0 is nobody.
struct SharedRwSummary {
    uint32_t readers = 0;            ///< Slots in `shared`.
    uint32_t waiting_exclusive = 0;  ///< Slots in `waiting_exclusive`.
    uint32_t waiting_others = 0;     ///< Slots in `waiting_shared` and `waiting_upgrade`.
    uint32_t writer = 0;             ///< The slot in `exclusive`.
    uint32_t upgrader = 0;           ///< The slot in `upgrade` or `waiting_promotion`.
    bool is_promoting = false;       ///< The upgrader is in `waiting_promotion`.

    constexpr uint64_t packed() const {
        return at(readers, 0) | at(waiting_exclusive, 1) | at(waiting_others, 2) | at(writer, 3) |
               at(upgrader, 4) | at(is_promoting ? 1 : 0, 5);
    }

    static constexpr SharedRwSummary unpacked(uint64_t word) {
        return {.readers = field(word, 0),
                .waiting_exclusive = field(word, 1),
                .waiting_others = field(word, 2),
                .writer = field(word, 3),
                .upgrader = field(word, 4),
                .is_promoting = (field(word, 5) & 1) != 0};
    }

    /// Whether somebody who comes now may hold it so at once. A waiting writer keeps everybody out;
    /// a reader passes who waits for the upgrade, for it does not delay him.
    constexpr bool admits(LockMode mode) const {
        if (writer != 0 || is_promoting || waiting_exclusive != 0) return false;
        if (mode == LockMode::shared) return true;
        if (upgrader != 0) return false;
        return mode == LockMode::upgrade || (readers == 0 && waiting_others == 0);
    }

    /// Counts a slot of this state and number in (`sign` 1) or out (-1).
    constexpr void count(SlotState state, uint32_t number, int sign) {
        const uint32_t who = sign > 0 ? number : 0;
        const uint32_t step = static_cast<uint32_t>(sign);
        switch (state) {
            case SlotState::idle:
                return;
            case SlotState::shared:
                readers += step;
                return;
            case SlotState::waiting_shared:
            case SlotState::waiting_upgrade:
                waiting_others += step;
                return;
            case SlotState::waiting_exclusive:
                waiting_exclusive += step;
                return;
            case SlotState::exclusive:
                writer = who;
                return;
            case SlotState::upgrade:
                upgrader = who;
                return;
            case SlotState::waiting_promotion:
                upgrader = who;
                is_promoting = sign > 0;
                return;
        }
    }

  private:
    static constexpr unsigned field_bits = 11;
    static constexpr uint64_t field_mask = (1U << field_bits) - 1;

    static constexpr uint64_t at(uint64_t value, unsigned number) {
        return (value & field_mask) << (number * field_bits);
    }
    static constexpr uint32_t field(uint64_t word, unsigned number) {
        return static_cast<uint32_t>((word >> (number * field_bits)) & field_mask);
    }
};

/// A set of slots, for the sleepers to wake after the guard was left.
///
/// Threads: one.
class SharedRwSlotSet {
  public:
    void add(unsigned slot) {
        if (!is_used_) words_.fill(0);
        is_used_ = true;
        words_[slot / 64] |= uint64_t{1} << (slot % 64);
    }

    template <typename Visit>
    void for_each(Visit&& visit) const {
        if (!is_used_) return;
        for (unsigned word = 0; word < words_.size(); ++word) {
            for (uint64_t rest = words_[word]; rest != 0; rest &= rest - 1) {
                visit(word * 64 + static_cast<unsigned>(std::countr_zero(rest)));
            }
        }
    }

  private:
    std::array<uint64_t, shared_rw_slots_max / 64> words_;  ///< Cleared by the first add().
    bool is_used_ = false;
};

}  // namespace braidway::sync
