// SPDX-License-Identifier: Apache-2.0
// What a scripted kernel knows: nodes, what lies on them, swap, cgroups, knobs. Plain data, set up
// by a test before and during a run. Amounts are pages of 4 KiB unless a name says otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"

namespace braidway::memory::fake {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

inline constexpr uint64_t page_size = 4096;
inline constexpr uint64_t mib = 256;  ///< Pages of one MiB.

/// What a run of pages holds.
enum class What : uint8_t {
    file,       ///< Page cache.
    tmpfs,      ///< /dev/shm and the like: on the lists of anonymous memory.
    anonymous,  ///< Private memory of a process.
};

/// Pages that were filled together; they share all that reclaim looks at.
struct Pages {
    What what = What::file;
    uint64_t pages = 0;
    uint64_t folio = 1;  ///< Pages of a folio: they go together or not at all.
    bool active = false;
    bool dirty = false;
    bool mapped = false;
    bool mlocked = false;
    uint32_t cgroup = 1;      ///< FakeCgroup::id.
    uint64_t generation = 0;  ///< Of MGLRU; set by fill().
    Instant filled{};         ///< Set by fill().
};

/// Pages in the swap cache: they are written to the swap file and freed then.
struct SwapCache {
    uint64_t pages = 0;
    Instant freed_at{};
};

/// The generations of one cgroup on one node.
struct Generations {
    uint64_t oldest = 0;
    uint64_t youngest = 3;
};

/// Counters by their names in vmstat.
using Counters = std::map<std::string, uint64_t>;

struct Node {
    bool online = true;
    bool has_memory = true;
    bool reclaim_file = true;  ///< nodeN/reclaim, of kernel 6.17.
    uint64_t total = 1024 * mib;
    uint64_t kernel = 16 * mib;     ///< Used by what is on no list: page tables, stacks, zram, ...
    uint64_t slab_reclaimable = 0;  ///< Besides that of the shrinkers.
    uint64_t slab_unreclaimable = 4 * mib;
    std::vector<Pages> lru{};  ///< Oldest first.
    std::vector<SwapCache> swap_cache{};
    std::map<uint32_t, Generations> generations{};  ///< By cgroup.
    int demotes_to = -1;    ///< The node of a slower tier: pages go there and are not freed.
    Instant busy_until{};   ///< Another reclaimer holds the node.
    Instant stats_since{};  ///< The kernel's view of what is hot was made at this time.
    uint64_t refill_per_second = 0;  ///< Page cache that others read meanwhile.
    double refill_rest = 0;          ///< Parts of pages that are still to come.
    uint64_t demoted = 0;
    uint64_t stolen = 0;
    Counters published{};  ///< What vmstat shows: behind by what the CPUs hold back.
};

enum class SwapKind : uint8_t { none, file, zram };

struct Swap {
    SwapKind kind = SwapKind::none;
    uint64_t total = 0;
    uint64_t used = 0;
    Duration write_time = 0ms;   ///< How long pages stay in the swap cache (swap file).
    unsigned zram_percent = 40;  ///< What compressed pages still take; 84 is poor.
    uint32_t zram_node = 0;      ///< Where they lie.
    uint64_t out = 0;            ///< pswpout.
};

/// A cgroup. Number 1 is the root and always there.
struct Cgroup {
    uint32_t id = 0;
    std::string path = "/";    ///< Below the mount.
    uint64_t protection = 0;   ///< memory.min.
    std::string mems{};        ///< cpuset.mems.effective; empty: no cpuset controller there.
    bool reclaim_file = true;  ///< memory.reclaim.
};

/// Objects of one shrinker on each node, that of the root cgroup or of one that knows no cgroups.
struct Shrinker {
    std::string name{};
    bool by_cgroup = false;
    std::map<std::pair<uint64_t, uint32_t>, uint64_t> objects{};  ///< By (cgroup, node).
    uint64_t objects_per_page = 20;
    unsigned pinned_percent = 0;          ///< Pages that stay although their objects are gone.
    bool skips_cached = false;            ///< Inodes: those with cached pages stay.
    std::map<uint32_t, uint64_t> held{};  ///< Pages by node that pinned objects hold.
};

struct World {
    std::vector<Node> nodes{};
    std::set<uint32_t> offline{};  ///< Possible nodes that are not there.
    Swap swap{};
    std::vector<Cgroup> cgroups{};
    std::string cgroup_mount = "/sys/fs/cgroup";  ///< Of version 2; empty: only version 1.
    std::vector<Shrinker> shrinkers{};
    unsigned cpus = 2;
    bool privileged = true;
    bool debugfs = true;

    // Knobs of /proc/sys/vm.
    unsigned min_unmapped_ratio = 1;
    unsigned min_slab_ratio = 5;
    unsigned zone_reclaim_mode = 0;
    unsigned swappiness = 60;

    bool mglru = false;          ///< Built.
    bool mglru_enabled = false;  ///< Switched on.
    bool shrinker_debugfs = false;
    bool reclaim_takes_swappiness = true;  ///< memory.reclaim "swappiness=", of kernel 6.9.
    bool reclaim_takes_max = true;         ///< memory.reclaim "swappiness=max", of kernel 6.16.

    // How this kernel behaves.
    /// "swappiness=max" without swap takes page cache, as 6.17 does; else nothing.
    bool max_without_swap_takes_file = true;
    Duration stats_age = 2200ms;        ///< How old its view of what is hot may be.
    bool memory_stat_refreshes = true;  ///< Reading a memory.stat brings it up to date.
    uint64_t held_back = 0;             ///< Pages of each count that vmstat may be behind.
    unsigned slab_percent = 0;          ///< Slab that goes with each 100 pages from the lists.
    uint64_t high_watermark = 0;  ///< File pages and free ones below: file is "tiny", anon goes.
    Duration page_time = 30ns;    ///< To free one page.
    Duration swap_time = 2000ns;  ///< To swap one out.
    double pressure_some_avg10 = 0;
    uint64_t drops = 0;

    Instant now{1'000'000'000};
};

/// Pages of a node that nothing uses.
uint64_t free_pages(const World& world, uint32_t node);
/// Of one cgroup on one node, or on all (node = any_node).
inline constexpr uint32_t any_node = UINT32_MAX;
uint64_t cgroup_pages(const World& world, uint32_t cgroup, uint32_t node = any_node);
/// Pages of the shrinkers' objects on one node.
uint64_t shrinker_pages(const World& world, uint32_t node);
/// Adds to the young end of the node's lists. Errors: more than is free is a mistake of the test.
void fill(World& world, uint32_t node, Pages pages);
/// Time goes by: swap is written, others read files in.
void pass_time(World& world, Duration length);

}  // namespace braidway::memory::fake
