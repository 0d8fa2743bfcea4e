// SPDX-License-Identifier: Apache-2.0
// The kernel's gate before node reclaim.
#pragma once

#include <cstdint>

#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {

/// Node reclaim refuses a node at once, whatever it is asked for, while its unmapped clean page
/// cache is at or under min_unmapped_ratio percent of the node and its reclaimable slab at or
/// under min_slab_ratio percent.
/// Source: node_pagecache_reclaimable() and __node_reclaim() of Linux 6.17, as described there.
struct Gate {
    uint64_t unmapped_min = 0;  ///< Bytes of page cache that stay.
    uint64_t slab_min = 0;
    bool counts_mapped = false;  ///< zone_reclaim_mode has bit 4: mapped page cache counts, too.

    bool closed(const NodeState& state) const;
    /// What of the node's page cache counts for the gate.
    uint64_t counted(const NodeState& state) const;
};

inline constexpr const char* sysctl_min_unmapped = "/proc/sys/vm/min_unmapped_ratio";
inline constexpr const char* sysctl_min_slab = "/proc/sys/vm/min_slab_ratio";
inline constexpr const char* sysctl_zone_reclaim = "/proc/sys/vm/zone_reclaim_mode";

/// The gate of a node of `total` bytes under the sysctls of now. A kernel without them has none.
Gate read_gate(const Machine& machine, uint64_t total);

}  // namespace braidway::memory
