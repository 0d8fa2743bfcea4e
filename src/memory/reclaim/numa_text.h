// SPDX-License-Identifier: Apache-2.0
// The kernel's texts that split memory by node: numa_maps of processes, memory.numa_stat of
// cgroups.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

namespace braidway::memory {

/// Pages by node.
using NodePages = std::map<uint32_t, uint64_t>;

/// One line of /proc/PID/numa_maps.
struct NumaMapping {
    uint64_t begin = 0;     ///< Address.
    bool file = false;      ///< Of a file; shared memory and tmpfs too.
    std::string_view path;  ///< In the text; blanks are written \040.
    uint64_t anon = 0;      ///< Private pages, also copies of a file's pages.
    NodePages nodes;        ///< All pages in memory.

    uint64_t pages() const;
    /// Of the pages on `node` those that are private; spread evenly where nodes are mixed.
    uint64_t anon_on(uint32_t node) const;
};

/// Parses a whole text; what is not understood is passed over.
std::vector<NumaMapping> parse_numa_maps(std::string_view text);

/// Bytes of a cgroup, with its children, on one node.
struct CgroupBytes {
    uint64_t anon = 0;   ///< cgroup v1 counts shared memory here.
    uint64_t file = 0;   ///< Page cache without shared memory.
    uint64_t shmem = 0;  ///< cgroup v2 only.
    uint64_t slab = 0;   ///< cgroup v2 only.
    uint64_t total() const { return anon + file + shmem + slab; }
};

/// Parses memory.numa_stat of cgroup v1 ("hierarchical_anon=5 N0=5", pages) or v2 ("anon N0=4096",
/// bytes).
std::map<uint32_t, CgroupBytes> parse_numa_stat(std::string_view text, uint64_t page_bytes);

}  // namespace braidway::memory
