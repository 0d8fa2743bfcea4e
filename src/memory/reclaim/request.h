// SPDX-License-Identifier: Apache-2.0
// What one run is asked to do, and what it answers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "memory/reclaim/kinds.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {

/// The two readings of the amount.
enum class Goal : uint8_t {
    free_more,   ///< Free this much more of the kinds.
    until_free,  ///< Free until this much of the node's memory is free.
};

/// One wish for one or more nodes. The amount is meant per node.
struct Request {
    Goal goal = Goal::free_more;
    uint64_t bytes = 0;
    /// Each at most once, the one to take from first in front. Shares are planned in this order;
    /// what is freed first is anonymous memory all the same (see Kind).
    std::vector<Kind> kinds{};

    bool writeback = false;  ///< Write dirty pages back first.
    /// Only the filesystems of these paths are written back; empty: all that are mounted.
    std::vector<std::string> writeback_paths{};
    bool allow_global = false;  ///< Also means that free on every node, such as drop_caches.
    bool allow_sysctl = false;  ///< Reclaim's sysctls may be changed for the moment of a call.
    /// Files and trees whose pages may be dropped file by file where no call frees by node.
    std::vector<std::string> files{};
    /// Files and trees whose cached pages stay.
    std::vector<std::string> protect{};
    std::vector<std::string> mechanisms{};  ///< Only these; empty: all that the machine has.

    Duration budget = limits::reclaim_budget_default;
    uint64_t keep_free = limits::reclaim_keep_free_default;  ///< Stops below this much free memory.
    uint64_t keep_cache = 0;  ///< Page cache that is left on the node in any case.
    double pressure_percent_max =
        0;  ///< Stops when memory pressure (PSI some avg10) is above; 0 = never.
    uint64_t bytes_per_second_max = 0;  ///< 0 = as fast as it goes.

    KindSet kind_set() const;
    /// Of what a process has mapped, nothing may go.
    bool spares_mapped() const;
};

/// Why less was freed than was asked for, or that it was not.
enum class Shortfall : uint8_t {
    none,          ///< All that was asked for was freed.
    nothing_left,  ///< Nothing of the kinds is left that can be freed.
    dirty,         ///< What is left waits for writeback.
    mlocked,       ///< What is left is locked by processes.
    mapped,        ///< What is left is mapped by processes, and that was not asked for.
    shmem,         ///< What is left is tmpfs or shared memory, which is no page cache.
    no_swap,       ///< Anonymous memory has no room to go to.
    gate,          ///< The kernel keeps its minimum of page cache on the node.
    active,        ///< The kernel does not give what was used a moment ago.
    busy,          ///< Another reclaimer, or another run, held the node.
    is_protected,  ///< Protected by memory.min or memory.low of cgroups, or by the request.
    refilled,      ///< It was freed, but others filled it again meanwhile.
    demoted,       ///< The kernel moves it to a slower tier of memory instead of freeing it.
    privilege,     ///< The mechanism needs a privilege that this process lacks.
    no_mechanism,  ///< Nothing on this machine frees this kind by node.
    consent,       ///< Only a global means or a sysctl would do it, and that was not allowed.
    floor,         ///< Stopped by keep_free or keep_cache.
    pressure,      ///< Stopped by memory pressure.
    budget,        ///< Stopped by the time budget.
    cancelled,     ///< Stopped by a signal or the caller.
    failed,        ///< Something else; the text says what.
};

/// "dirty", "no-swap", ...: for JSON and logs.
std::string_view name_of(Shortfall reason);
/// Whether it means that safety, consent or privilege said no, rather than that memory was short.
bool is_refusal(Shortfall reason);

/// What there is to take, before anything is done. Bytes.
struct Plan {
    uint64_t goal = 0;  ///< What will be asked for; less than the request where it is until_free.
    KindBytes available{};  ///< An estimate of what could be freed of each kind.
    KindBytes share{};      ///< How much of the goal is taken from each kind.
    uint64_t clean = 0;     ///< Page cache that needs no writeback.
    uint64_t dirty = 0;
    uint64_t writeback = 0;
    uint64_t mapped = 0;
    uint64_t mlocked = 0;
    uint64_t shmem = 0;
    uint64_t swap_free = 0;
    /// The mechanisms for each kind, in the order in which they would be tried.
    std::vector<std::pair<Kind, std::vector<std::string>>> chains{};
    /// What stands in the way, one sentence each.
    std::vector<std::string> blockers{};
};

/// One call or series of calls of one mechanism.
struct Step {
    std::string mechanism;  ///< "node-reclaim", "drop-caches", ...; also "writeback", "wait".
    std::string kind;       ///< Of memory; may name two.
    uint64_t asked = 0;
    Difference change{};
    uint32_t calls = 0;
    Duration length{};
    std::string outcome;  ///< "done", or why it ended, in words.
};

/// What happened on one node.
struct NodeReport {
    uint32_t node = 0;
    uint64_t asked = 0;      ///< As requested.
    uint64_t goal = 0;       ///< Bytes that were to be freed: `asked`, or what lacked until it.
    KindBytes freed{};       ///< Of the kinds that were asked for.
    KindBytes collateral{};  ///< Of those that were not.
    uint64_t collateral_shmem = 0;  ///< tmpfs that went to swap.
    uint64_t demoted = 0;           ///< Moved to a slower tier: not freed.
    int64_t net_free = 0;           ///< Change of the node's free memory, of whatever cause.
    Duration length{};
    Shortfall shortfall = Shortfall::none;
    std::string reason;  ///< In words; empty when nothing is short.
    Plan plan{};
    NodeState before{};
    NodeState after{};
    std::vector<Step> steps{};
};

/// What happened on all of them.
struct Report {
    std::vector<NodeReport> nodes{};
    Duration length{};
};

}  // namespace braidway::memory
