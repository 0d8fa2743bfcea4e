// SPDX-License-Identifier: Apache-2.0
// The state of a program between two steps: all that decides what can follow.
#include <bit>

#include "explore/execution.h"

namespace braidway::explore {
namespace {

/// Looks also at what lies between the objects of a stack, which ASan forbids.
__attribute__((no_sanitize("address"))) void mix_memory(StateKey& key, const void* begin,
                                                        size_t size_bytes) {
    const auto* const words = static_cast<const uint64_t*>(begin);
    // Four at a time: each chain of multiplications waits for itself only.
    StateKey lanes[4];
    const size_t fours = size_bytes / 32 * 4;
    for (size_t i = 0; i < fours; i += 4) {
        for (size_t lane = 0; lane < 4; ++lane) lanes[lane].mix(words[i + lane]);
    }
    for (size_t i = fours; i < size_bytes / 8; ++i) lanes[0].mix(words[i]);
    for (const StateKey& lane : lanes) {
        key.mix(lane.low);
        key.mix(lane.high);
    }
    const auto* const bytes = static_cast<const unsigned char*>(begin);
    uint64_t last = 0;
    for (size_t i = size_bytes & ~size_t{7}; i < size_bytes; ++i) last = last << 8 | bytes[i];
    key.mix(last);
}

}  // namespace

StateKey Execution::state() const {
    StateKey key;
    key.mix(enabled_ | uint64_t{asleep_} << 32);
    key.mix(resting_ | uint64_t{locked_out_} << 32);
    key.mix(spurious_left_ | uint64_t{kills_left_} << 32);
    arena_.for_each_stretch(
        [&key](const void* begin, size_t size_bytes) { mix_memory(key, begin, size_bytes); });
    for (unsigned i = 0; i < processes_count_; ++i) {
        key.mix(processes_[i].killed | uint64_t{processes_[i].spent} << 32);
    }
    for (unsigned slot = 0; slot < threads_; ++slot) {
        const Slot& it = slots_[slot];
        key.mix(static_cast<uint64_t>(it.at));
        key.mix(it.buffer.size() | uint64_t{it.awaits_flush} << 32);
        for (const Store& store : it.buffer) {
            key.mix(std::bit_cast<uintptr_t>(store.address));
            key.mix(store.value);
            key.mix(store.size_bytes);
        }
        if (it.at == At::done || it.at == At::killed) continue;
        mix_memory(key, it.live_from, static_cast<size_t>(it.fiber->stack_end() - it.live_from));
        key.mix(it.reads.size());
        for (const Read& read : it.reads) {
            key.mix(std::bit_cast<uintptr_t>(read.address));
            key.mix(read.writes > 0 ? 1 : 0);
        }
    }
    return key;
}

}  // namespace braidway::explore
