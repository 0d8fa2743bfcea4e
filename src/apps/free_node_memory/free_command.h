// SPDX-License-Identifier: Apache-2.0
// The main command: free, or say what would be freed.
#pragma once

#include "apps/free_node_memory/program.h"
#include "memory/reclaim/settings.h"

namespace braidway::apps {

/// How it is to be done and shown.
struct FreeCommand {
    memory::Settings settings{};
    bool dry_run = false;
    bool json = false;
    bool quiet = false;
    std::string root{};
};

/// Frees, shows progress on stderr and the report on stdout. Returns the exit code.
int run_free(const FreeCommand& command, const NodeMemoryContext& context);

/// The nodes that `settings` names; "all" are those with memory.
Result<memory::NodeList> resolve_nodes(const memory::Machine& machine,
                                       const memory::Settings& settings);

/// What there is to take, as text for people.
std::string plan_text(const memory::Report& report, const memory::Request& request);

/// What was freed, as text for people.
std::string freed_text(const memory::Report& report, const memory::Request& request);

}  // namespace braidway::apps
