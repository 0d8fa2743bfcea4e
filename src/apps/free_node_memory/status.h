// SPDX-License-Identifier: Apache-2.0
// `free-node-memory status`: what lies on each node, by kind.
#pragma once

#include <string>
#include <vector>

#include "apps/free_node_memory/free_command.h"
#include "apps/free_node_memory/program.h"
#include "memory/reclaim/node_state.h"

namespace braidway::apps {

/// One node as a table with bars, and the same as JSON.
struct NodeStatus {
    uint32_t node = 0;
    memory::NodeState state{};
};
std::string status_text(const std::vector<NodeStatus>& nodes, const memory::SwapState& swap);
std::string status_json(const std::vector<NodeStatus>& nodes, const memory::SwapState& swap);

/// Prints the nodes that were named, or all.
int run_status(const FreeCommand& free, const NodeMemoryContext& context);

}  // namespace braidway::apps
