// SPDX-License-Identifier: Apache-2.0
// The command line of `free-node-memory`.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "memory/reclaim/cancel.h"
#include "memory/reclaim/machine.h"

namespace braidway::apps {

/// What the process ends with; part of the interface (docs/node-memory.md).
enum NodeMemoryExit : int {
    node_memory_done = 0,
    node_memory_failed = 1,  ///< Something outside of the request: output could not be written.
    node_memory_usage = 2,   ///< A bad option or value; nothing was done.
    node_memory_short = 3,   ///< Less was freed than asked, and --strict was given; or cancelled.
    node_memory_refused = 4  ///< By safety, or for want of privilege or consent.
};

/// What the program works with; tests put their own in place.
struct NodeMemoryContext {
    std::ostream& out;
    std::ostream& error;
    memory::Cancel& cancel;
    bool progress_bar = false;  ///< stderr is a terminal.
    /// The machine whose /sys and /proc are below `root` ("" is this one).
    std::function<std::unique_ptr<memory::Machine>(const std::string& root)> machine;
};

/// Runs the command line without its first word. Returns the exit code.
int run_free_node_memory(const std::vector<std::string>& words, const NodeMemoryContext& context);

/// Writes "free-node-memory: MESSAGE" as one line to stderr and returns `code`.
int complain(const NodeMemoryContext& context, const std::string& message, int code);

/// Writes `text` to stdout. Returns `code`, or node_memory_failed when it could not be written.
int answer(const NodeMemoryContext& context, const std::string& text, int code);

}  // namespace braidway::apps
