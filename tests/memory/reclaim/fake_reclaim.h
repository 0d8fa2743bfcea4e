// SPDX-License-Identifier: Apache-2.0
// The scripted kernel's reclaim: what each of its interfaces frees, and what it answers.
#pragma once

#include <functional>
#include <string_view>

#include "memory/reclaim/fake_world.h"

namespace braidway::memory::fake {

// Each takes the text that was written and returns 0 or an errno, as the kernel's file does.

/// nodeN/reclaim: one errno for everything.
int write_node_reclaim(World& world, uint32_t node, std::string_view text);
/// memory.reclaim of the cgroup at this index: takes from every node, as the pages lie.
int write_memory_reclaim(World& world, size_t cgroup, std::string_view text);
/// /sys/kernel/debug/lru_gen: commands to age and to evict, separated by , ; or newline.
int write_lru_gen(World& world, std::string_view text);
/// shrinker/NAME/scan: "CGROUP NODE OBJECTS".
int write_shrinker_scan(World& world, Shrinker& shrinker, std::string_view text);
/// /proc/sys/vm/drop_caches.
int write_drop_caches(World& world, std::string_view text);

/// Which pages a call may take.
using Filter = std::function<bool(const Pages&)>;
/// Frees, swaps out or demotes pages that pass `filter` and can go, oldest first, until `wanted`
/// are gone; a folio goes as a whole. Returns how many.
uint64_t take(World& world, uint32_t node, uint64_t wanted, const Filter& filter);

/// Whether the node has so much unmapped page cache or slab that node reclaim does anything.
bool gate_open(const World& world, uint32_t node);

}  // namespace braidway::memory::fake
