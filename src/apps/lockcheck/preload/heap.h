// SPDX-License-Identifier: Apache-2.0
// The allocator's functions, which are wrapped to know where blocks are and when they go: malloc()
// and its family in heap.cc, operator new and delete in heap_operators.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/heap_map.h"

namespace braidway::lockcheck {

/// Makes the map ready before the program allocates much: where the address space is limited
/// (RLIMIT_AS), blocks are not written down, for the program may need all of it. Call it once at
/// start; without it, the first allocation does.
void prepare_heap();

/// The long ways of the two below. The first returns `block`, or nullptr for that.
void* block_made_slowly(void* block, size_t bytes, uintptr_t site);
void block_with_locks_goes(void* block);

/// A block was handed out to who returns to `site`; returns it. For any thread, also one that is
/// not watched.
inline void* block_made(void* block, size_t bytes, uintptr_t site) {
    if (heap_map.made_quickly(block, bytes, site)) [[likely]]
        return block;
    return block_made_slowly(block, bytes, site);
}

/// A block is about to be given back: locks in it are forgotten (and reported, if held).
inline void block_goes(void* block) {
    if (!heap_map.gone_without_locks(block)) [[unlikely]]
        block_with_locks_goes(block);
}

}  // namespace braidway::lockcheck
