// SPDX-License-Identifier: Apache-2.0
// The chains of locks that have been validated, by key.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/arena.h"
#include "lockdep/mixing.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// Remembers that a chain (what is held, and what is wanted where) has been validated.
///
/// Shapes:  1 MiB, touched on demand; room for chains_max and as many again. It forgets: where too
///          many chains meet, one of them is validated again when it comes back.
/// Threads: find() and variants() any, without a lock; the others one at a time.
class ChainSet {
  public:
    static constexpr size_t chains_max = limits::lockdep_chains_max;
    static constexpr uint32_t variants_max = limits::lockdep_chain_variants_max;

    /// A chain that is known.
    struct Known {
        bool known = false;
        StackId stack = 0;
    };

    explicit ChainSet(Arena& arena) : arena_(arena) {}

    /// Takes the memory; false: there is none.
    bool start();

    Known find(uint64_t key) const;

    /// How many variants of the chain `key` have been added, up to variants_max.
    uint32_t variants(uint64_t key) const;

    /// Remembers `key`, and as a variant of the chain `base` if that is another key.
    void add(uint64_t key, uint64_t base, StackId stack);

  private:
    static constexpr size_t slots = 2 * chains_max;
    static constexpr size_t window = 8;  ///< Slots in which a key may be: one cache line.

    /// One word: 42 bits of the mixed key besides those that choose the window, the stack, and how
    /// many variants. 0: empty.
    using Slot = std::atomic<uint64_t>;
    static constexpr unsigned stack_bits = 18;
    static constexpr unsigned variants_bits = 4;
    static constexpr uint64_t tag_mask = ~uint64_t{0} << (stack_bits + variants_bits);
    static constexpr uint64_t stack_mask = (uint64_t{1} << stack_bits) - 1;

    static uint64_t tag_of(uint64_t key) {
        const uint64_t tag = mixed(key) & tag_mask;
        return tag != 0 ? tag : tag_mask;
    }
    static uint64_t variants_in(uint64_t word) {
        return word >> stack_bits & ((1u << variants_bits) - 1);
    }
    Slot* window_of(uint64_t key) const { return slots_ + (mixed(key) % slots & ~(window - 1)); }
    Slot* slot_of(uint64_t key) const;
    Slot& put(uint64_t key, StackId stack);

    Arena& arena_;
    Slot* slots_ = nullptr;
    uint32_t turn_ = 0;
};

}  // namespace braidway::lockdep
