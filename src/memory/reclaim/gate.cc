// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/gate.h"

#include <algorithm>
#include <charconv>

namespace braidway::memory {
namespace {

constexpr uint64_t mode_unmap = 4;

uint64_t read_number(const Machine& machine, const char* path) {
    const auto text = machine.read(path);
    uint64_t number = 0;
    if (text) (void)std::from_chars(text->data(), text->data() + text->size(), number);
    return number;
}

uint64_t percent_of(uint64_t total, uint64_t percent) {
    return total / 100 * std::min<uint64_t>(percent, 100);
}

}  // namespace

uint64_t Gate::counted(const NodeState& state) const {
    const uint64_t cache = counts_mapped                     ? state.file_pages
                           : state.file_lru() > state.mapped ? state.file_lru() - state.mapped
                                                             : 0;
    return cache - std::min(cache, state.dirty);
}

bool Gate::closed(const NodeState& state) const {
    return counted(state) <= unmapped_min && state.slab_reclaimable <= slab_min;
}

Gate read_gate(const Machine& machine, uint64_t total) {
    return {.unmapped_min = percent_of(total, read_number(machine, sysctl_min_unmapped)),
            .slab_min = percent_of(total, read_number(machine, sysctl_min_slab)),
            .counts_mapped = (read_number(machine, sysctl_zone_reclaim) & mode_unmap) != 0};
}

}  // namespace braidway::memory
