// SPDX-License-Identifier: Apache-2.0
// The command line of `braidway`: what all commands share.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "daemon/running_daemon.h"

namespace CLI {
class App;
}

namespace braidway::apps {

/// What a process of ours ends with; part of the interface (docs/braidway.md).
enum ExitCode : int {
    exit_ok = 0,
    exit_failed = 1,     ///< The daemon said no, or failed.
    exit_usage = 2,      ///< Wrong words on the command line, or a wrong configuration.
    exit_no_daemon = 3,  ///< No daemon answers.
};

/// Where a command writes: stdout and stderr, but in tests.
struct Output {
    std::ostream& out;
    std::ostream& error;
};

/// The parsed command line: options of all commands, and what the chosen one does.
struct Program {
    Output output;
    daemon::StartDaemon start;       ///< How serve and demo get their daemon.
    std::optional<std::string> api;  ///< --api SOCKET.
    bool json = false;               ///< --json.
    std::function<int()> action;     ///< Set by the command that was named.
};

/// Runs the command line without its first word (the program's name). Returns the exit code.
int run(std::vector<std::string> words, Output output, daemon::StartDaemon start);

// One group of commands each: they add themselves to `app` and set program.action when named.
void add_serve(CLI::App& app, Program& program);
void add_demo(CLI::App& app, Program& program);
void add_show(CLI::App& app, Program& program);
void add_path_commands(CLI::App& app, Program& program);
void add_map_commands(CLI::App& app, Program& program);
void add_events(CLI::App& app, Program& program);
void add_dm_table(CLI::App& app, Program& program);

/// Writes "braidway: MESSAGE" as one line to stderr and returns `code`.
int complain(const Program& program, const std::string& message, int code);

}  // namespace braidway::apps
