// SPDX-License-Identifier: Apache-2.0
// What lies on one NUMA node at one moment, by kind.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "memory/reclaim/kinds.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"

namespace braidway::memory {

/// Bytes on one node, as its vmstat counts them.
struct NodeState {
    uint64_t total = 0;  ///< MemTotal of the node.
    uint64_t free = 0;
    uint64_t file_active = 0;    ///< Page cache on the active list; tmpfs is not on it.
    uint64_t file_inactive = 0;  ///< On the inactive list.
    uint64_t file_pages = 0;     ///< Page cache, tmpfs and the swap cache.
    uint64_t swap_cache = 0;
    uint64_t mapped = 0;  ///< Pages of files, tmpfs too, that a process has mapped.
    uint64_t anon_pages = 0;
    uint64_t anon_lru = 0;  ///< Anonymous memory and tmpfs that could be swapped out.
    uint64_t shmem = 0;     ///< tmpfs, /dev/shm, shared anonymous memory.
    uint64_t dirty = 0;
    uint64_t writeback = 0;
    uint64_t mlocked = 0;
    uint64_t unevictable = 0;
    uint64_t slab_reclaimable = 0;
    uint64_t slab_unreclaimable = 0;
    uint64_t demoted = 0;      ///< Moved to a slower tier since boot: moved, not freed.
    uint64_t swapped_out = 0;  ///< Since boot, of the whole machine.

    /// All page cache, also what is mlocked; never tmpfs.
    uint64_t page_cache() const;
    /// Of the page cache, what processes have mapped. `mapped` counts tmpfs too, so this is an
    /// upper bound where mapped tmpfs lies on the node.
    uint64_t mapped_page_cache() const;
    /// On the lists from which the kernel reclaims page cache.
    uint64_t file_lru() const { return file_active + file_inactive; }
};

/// The machine's swap.
struct SwapState {
    uint64_t total = 0;
    uint64_t free = 0;
};

/// Parses the texts of nodeN/vmstat, nodeN/meminfo and /proc/vmstat. Counters that a kernel does
/// not have stay 0.
NodeState parse_node_state(std::string_view vmstat, std::string_view meminfo,
                           std::string_view machine_vmstat, uint64_t page_bytes);
SwapState parse_swap_state(std::string_view meminfo);

/// Whether counts are made exact first. Each CPU holds back up to some hundred pages of each count.
enum class Refresh : uint8_t {
    no,
    yes,  ///< Reads vm.stat_refresh, which only root may; for others counts stay a little behind.
};

/// Errors: the node's files cannot be read.
Result<NodeState> read_node_state(const Machine& machine, uint32_t node, Refresh refresh);
Result<SwapState> read_swap_state(const Machine& machine);

/// "/sys/devices/system/node/node0/NAME".
std::string node_file_path(uint32_t node, std::string_view name);

/// Nodes of this machine that have memory, by the kernel's lists.
/// Errors: no NUMA information in /sys.
Result<NodeList> nodes_with_memory(const Machine& machine);

/// Whether `node` can be worked on. Errors: unknown, offline or without memory, each in its words.
Result<void> check_node(const Machine& machine, uint32_t node);

/// What became of each kind between two states. Nothing is negative: growth counts as 0.
struct Difference {
    KindBytes freed;
    uint64_t shmem = 0;    ///< tmpfs that went to swap.
    uint64_t demoted = 0;  ///< Moved to a slower tier; not counted as freed.
    uint64_t swapped_out = 0;
    int64_t net_free = 0;  ///< Change of free memory, of whatever cause.
};
Difference difference(const NodeState& before, const NodeState& after);

}  // namespace braidway::memory
