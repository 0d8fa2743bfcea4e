// SPDX-License-Identifier: Apache-2.0
// Sets of locks that were held while a step was taken, each kept once.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/growing_hash.h"
#include "lockdep/step.h"

namespace braidway::lockdep {

/// A set of gates to look at: locks in rising order, with one bit each that says "exclusively".
/// Valid as long as what it was taken from.
struct GateView {
    static constexpr uint32_t gates_max = limits::lockdep_gates_max;

    uint32_t count = 0;
    uint32_t exclusive = 0;         ///< Bit i: lock(i) is held exclusively.
    LockId only = 0;                ///< The lock of a set of one that is kept nowhere else.
    const LockId* locks = nullptr;  ///< nullptr: see `only`.

    LockId lock(uint32_t i) const { return locks == nullptr ? only : locks[i]; }
    bool is_exclusive(uint32_t i) const { return (exclusive >> i & 1) != 0; }
};

/// Can both be held at once, by two threads? No, if a lock is in both, in one of them exclusively.
bool compatible(const GateView& left, const GateView& right);

/// Does who holds `more` hold all of `less`, each at least as strongly?
bool covers(const GateView& more, const GateView& less);

/// Gates as told, put into order: each lock once, as strongly as it is held.
///
/// Shapes:  of more than gates_max gates the locks with the lowest numbers stay: the oldest, which
///          are the likeliest to be held elsewhere, too.
class GateList {
  public:
    explicit GateList(std::span<const Gate> gates);

    GateView view() const { return {count_, exclusive_, 0, locks_.data()}; }

  private:
    void insert(const Gate& gate);

    uint32_t count_ = 0;
    uint32_t exclusive_ = 0;
    std::array<LockId, GateView::gates_max> locks_;
};

/// The name of a kept set: 0 is the empty one; a set of one lock is its own name.
using GateSetId = uint32_t;

/// All sets of gates that ways and writers need, shared and counted.
///
/// Shapes:  words_max words, which is about 700,000 sets of three locks.
/// Errors:  keep() is false when there is no room.
/// Threads: one at a time.
class GateSets {
  public:
    static constexpr uint32_t words_max = limits::lockdep_gate_words_max;

    explicit GateSets(Arena& arena) : words_(arena), hash_(arena) {}

    /// Finds or makes the set, and counts one more user of it.
    bool keep(const GateView& gates, GateSetId& id);
    /// One user less; the memory of an unused set is used again.
    void release(GateSetId id);

    /// Valid until the set has no user.
    GateView view(GateSetId id) const {
        if (id == 0) return {};
        if ((id & is_single) != 0) return {1, id >> 30 & 1, id & single_mask, nullptr};
        const uint32_t* const set = &words_[id];
        return {(set[1] & count_mask) + 1, set[1] >> exclusive_shift & 0xffff, 0,
                set + header_words};
    }

    // For GrowingHash.
    uint32_t& next_of(uint32_t set) { return words_[set]; }
    uint32_t hash_of(uint32_t set) const { return hash(view(set)); }

  private:
    static constexpr uint32_t is_single = uint32_t{1} << 31;
    static constexpr uint32_t single_exclusive = uint32_t{1} << 30;
    static constexpr uint32_t single_mask = single_exclusive - 1;
    static constexpr uint32_t page_words = 4096;
    /// A set in words: the next of its hash chain; users (12 bits; a set that ever had all of them
    /// stays), exclusive bits (16) and count - 1 (4); then the locks.
    static constexpr uint32_t header_words = 2;
    static constexpr uint32_t one_user = 1 << 20;
    static constexpr uint32_t users_max = 0xfff;
    static constexpr uint32_t exclusive_shift = 4;
    static constexpr uint32_t count_mask = 0xf;

    static uint32_t hash(const GateView& gates);
    uint32_t room_for(uint32_t count);

    PagedArray<uint32_t, page_words, words_max> words_;
    GrowingHash<1 << 18, 2> hash_;
    uint32_t used_words_ = 1;
    std::array<uint32_t, GateView::gates_max + 1> free_ = {};  ///< By count of locks.
};

}  // namespace braidway::lockdep
