// SPDX-License-Identifier: Apache-2.0
// MGLRU's view of memory: how much of each node is how old. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/reclaim/kinds.h"

namespace braidway::memory {

/// Pages that were last used at about the same time.
struct LruGeneration {
    uint64_t number = 0;      ///< Grows with time: the smallest is the oldest.
    uint64_t age_ms = 0;      ///< Since it was made.
    uint64_t anon_pages = 0;  ///< tmpfs too.
    uint64_t file_pages = 0;
};

/// The generations of one cgroup on one node, oldest first.
struct LruGenerations {
    uint64_t cgroup = 0;  ///< The number by which MGLRU's commands name it.
    std::string path;     ///< "/" or "/system.slice"; empty where the kernel has no cgroups.
    uint32_t node = 0;
    std::vector<LruGeneration> generations;

    uint64_t youngest() const { return generations.empty() ? 0 : generations.back().number; }
    /// Whether a generation can be evicted now: the kernel keeps the two youngest.
    bool evictable(const LruGeneration& generation) const {
        return generation.number + 2 <= youngest();
    }
    /// Pages of the kind in all generations. Page cache, mapped or not, is one kind here; slab has
    /// none.
    uint64_t pages(Kind kind) const;
    /// Of those, what can be evicted now without anything else. Of anonymous memory that is what
    /// is as old as the oldest page cache: where the oldest generation has no anonymous pages (any
    /// more), the kernel takes its page cache, whatever the swappiness.
    uint64_t evictable_pages(Kind kind) const;
};

/// Parses /sys/kernel/debug/lru_gen. Lines that it does not know are skipped.
std::vector<LruGenerations> parse_lru_generations(std::string_view text);

}  // namespace braidway::memory
