// SPDX-License-Identifier: Apache-2.0
// The commands beside freeing: what there is, who holds it, and known states.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "apps/free_node_memory/free_command.h"
#include "apps/free_node_memory/program.h"

namespace CLI {
class App;
}

namespace braidway::apps {

/// Adds the subcommands; the one that is named sets `command`. `free` has the options that stand
/// before it.
void add_commands(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
                  std::optional<std::function<int()>>& command);

/// Reads a policy file. Errors: cannot be read, or a line is wrong ("FILE:3: ...").
Result<void> read_policy_file(memory::Settings& settings, const std::string& path);

/// Prints which mechanisms work here, and why the others do not.
int run_capabilities(const FreeCommand& free, const NodeMemoryContext& context);

}  // namespace braidway::apps
