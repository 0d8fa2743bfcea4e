// SPDX-License-Identifier: Apache-2.0
// A whole run: nodes in parallel, each behind its lock.
#pragma once

#include "base/error.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// Hears how a run goes on. Threads: called from the threads of the nodes, one call at a time.
class ReclaimObserver {
  public:
    virtual ~ReclaimObserver() = default;
    virtual void progressed(uint32_t node, uint64_t freed, uint64_t goal) = 0;
    /// "waiting for the lock of node 0", ...
    virtual void waiting(uint32_t node, std::string_view why) = 0;
};

/// Frees on each of `nodes` what `request` asks for and says what came of it. A shortfall, also a
/// refusal, is in the report of its node.
/// Errors: before anything was done: a node that is not there, an empty set of kinds.
/// Threads: starts one for each further node; they are gone when it returns.
Result<Report> free_nodes(Machine& machine, const NodeList& nodes, const Request& request,
                          ReclaimObserver* observer = nullptr);

/// Like free_nodes(), up to the plan: nothing is freed and nothing is locked.
Result<Report> plan_nodes(Machine& machine, const NodeList& nodes, const Request& request);

/// How a run ended, as the exit code of the program and the answer of the C interface.
enum class Outcome : int {
    done = 0,
    usage = 2,
    fell_short = 3,  ///< Less than asked; the reason is in the report.
    refused = 4,     ///< By safety, or for want of privilege or consent.
};
/// Of all nodes: the worst.
Outcome outcome_of(const Report& report);

}  // namespace braidway::memory
