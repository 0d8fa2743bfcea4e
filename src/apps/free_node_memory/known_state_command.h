// SPDX-License-Identifier: Apache-2.0
// `free-node-memory known-state`: the same machine before every benchmark, and proof of it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "apps/free_node_memory/free_command.h"
#include "apps/free_node_memory/program.h"
#include "memory/reclaim/known_state.h"

namespace CLI {
class App;
}

namespace braidway::apps {

/// Options of the command.
struct KnownStateCommand {
    bool no_compact = false;
    bool check_only = false;    ///< Changes nothing.
    std::string save{};         ///< Where the fingerprint goes; empty: nowhere.
    std::string expectation{};  ///< A saved fingerprint to compare with; empty: none.
};

/// Brings the machine to a known state (or only looks), prints what was done and the fingerprint,
/// saves and compares. `free` has the options that stand before the command. Returns the exit code:
/// node_memory_short when something differs or it was cancelled.
int run_known_state(const KnownStateCommand& command, const FreeCommand& free,
                    const NodeMemoryContext& context);

/// Adds the command; `command` is set when it is named. `free` has the options before it.
void add_known_state(CLI::App& app, const NodeMemoryContext& context, FreeCommand& free,
                     std::optional<std::function<int()>>& command);

/// What was done and found, for people.
std::string known_state_text(const memory::KnownState& state);

}  // namespace braidway::apps
