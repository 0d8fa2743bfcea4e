// SPDX-License-Identifier: Apache-2.0
// Stacks, kept once each.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/arena.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// Keeps stacks as a tree whose root is below the outermost frames, so that stacks share what they
/// have in common. A StackId is the node of the innermost frame.
///
/// Shapes:  up to nodes_max frames of 16 bytes, and 256 KiB of hash table, touched on demand.
/// Errors:  add() returns 0 when it is full.
/// Threads: add() one at a time; get() any.
class StackStore {
  public:
    static constexpr size_t frames_max = limits::lockdep_stack_frames_max;  ///< Of one stack.
    static constexpr size_t nodes_max = limits::lockdep_stack_nodes_max;

    explicit StackStore(Arena& arena) : arena_(arena) {}

    /// Takes the hash table's memory; false: there is none.
    bool start();

    /// Innermost frame first.
    StackId add(std::span<const uintptr_t> frames);

    /// The stack, innermost frame first, in `room`; cut off there.
    std::span<const uintptr_t> get(StackId id, std::span<uintptr_t> room) const;

  private:
    static constexpr size_t buckets = 65'536;
    static constexpr size_t chunk_nodes = 4'096;

    struct Node {
        uintptr_t frame;
        StackId parent;
        StackId next_in_bucket;
    };

    const Node& node(StackId id) const {
        return chunks_[id / chunk_nodes].load(std::memory_order_acquire)[id % chunk_nodes];
    }
    StackId child(StackId parent, uintptr_t frame);

    Arena& arena_;
    StackId* by_hash_ = nullptr;
    std::atomic<Node*> chunks_[nodes_max / chunk_nodes] = {};
    StackId used_ = 1;  ///< Node 0 is none.
};

}  // namespace braidway::lockdep
