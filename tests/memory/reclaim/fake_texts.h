// SPDX-License-Identifier: Apache-2.0
// The scripted kernel's files as text, in the format of the real ones.
#pragma once

#include <string>

#include "memory/reclaim/fake_world.h"

namespace braidway::memory::fake {

/// Counts of one node as they are, in pages.
Counters node_counters(const World& world, uint32_t node);
/// Brings what vmstat shows up to date, all of it or but for what the CPUs hold back.
void publish(World& world, bool exact);

std::string node_vmstat(const World& world, uint32_t node);
std::string node_meminfo(const World& world, uint32_t node);
std::string machine_vmstat(const World& world);
std::string machine_meminfo(const World& world);
std::string swaps(const World& world);
std::string memory_pressure(const World& world);
std::string lru_gen(const World& world);
std::string shrinker_count(const World& world, const Shrinker& shrinker);
/// Node lists of /sys/devices/system/node: "online", "possible", "has_memory".
std::string node_list(const World& world, const std::string& name);
std::string memory_stat(const World& world, size_t cgroup);
std::string memory_numa_stat(const World& world, size_t cgroup);

}  // namespace braidway::memory::fake
