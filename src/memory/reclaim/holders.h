// SPDX-License-Identifier: Apache-2.0
// Who holds the memory of a node: processes, cgroups and files.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/numa_text.h"

namespace braidway::memory {

/// What is looked for.
struct HoldersOptions {
    NodeList nodes{};  ///< Empty: all that have memory.
    std::vector<std::string>
        paths{};      ///< Files and trees to count, besides what is open or mapped.
    size_t top = 10;  ///< Of each sort on each node.
    uint64_t files_max = limits::holders_files_max;
    Duration budget = limits::holders_budget;
};

/// Bytes that a process has on one node. Pages that several processes have mapped count in each.
struct ProcessHolder {
    pid_t process = 0;
    std::string name{};
    uint64_t anon = 0;
    uint64_t file = 0;   ///< Mapped page cache.
    uint64_t shmem = 0;  ///< tmpfs and shared memory.
    uint64_t total() const { return anon + file + shmem; }
};

/// A cgroup with its children.
struct CgroupHolder {
    std::string path{};  ///< Below the root of the cgroups; "/" is the root.
    CgroupBytes bytes{};
    uint64_t total() const { return bytes.total(); }
};

/// Page cache of one file on one node.
struct FileHolder {
    std::string path{};
    uint64_t bytes = 0;   ///< Where there are several nodes: by a sample of its pages.
    uint64_t dirty = 0;   ///< Of the whole file, on all nodes.
    bool in_use = false;  ///< Some process has it open or mapped.
    uint64_t total() const { return bytes; }
};

/// What is known of one node; the largest first in each list.
struct NodeHolders {
    uint32_t node = 0;
    NodeState state{};
    std::vector<ProcessHolder> processes{};
    std::vector<CgroupHolder> cgroups{};
    std::vector<FileHolder> files{};
    uint64_t files_bytes = 0;  ///< Of all files that were counted, not only those in the list.
};

/// The answer to "who".
struct Holders {
    std::vector<NodeHolders> nodes{};
    uint64_t processes_seen = 0;
    uint64_t cgroups_seen = 0;
    uint64_t files_seen = 0;
    std::vector<std::string> notes{};  ///< What could not be seen, and limits that were reached.
};

/// Looks at processes (numa_maps), cgroups (memory.numa_stat) and files (cachestat, and the nodes
/// of a sample of their pages). Frees and changes nothing, and works without privilege; then it
/// says what it could not see. Ends early when the machine is cancelled, or by options.budget.
/// Errors: a node that is not there; no NUMA information at all.
Result<Holders> find_holders(const Machine& machine, const HoldersOptions& options);

/// Which paths are on tmpfs and the like, by the text of /proc/self/mounts.
class MemoryPaths {
  public:
    explicit MemoryPaths(std::string_view mounts);
    /// Also true of shared memory that has a name but no path, such as "/memfd:x".
    bool holds(std::string_view path) const;

  private:
    std::map<std::string, bool, std::less<>> mounts_;  ///< Mount point: whether in memory.
};

/// Adds up what a process has on `node`.
ProcessHolder count_process(const std::vector<NumaMapping>& mappings, uint32_t node,
                            const MemoryPaths& in_memory, uint64_t page_bytes);

/// Keeps the `top` largest, the largest first.
template <typename Holder>
void keep_top(std::vector<Holder>& holders, size_t top) {
    std::ranges::stable_sort(holders, std::ranges::greater(), &Holder::total);
    if (holders.size() > top) holders.resize(top);
}

}  // namespace braidway::memory
