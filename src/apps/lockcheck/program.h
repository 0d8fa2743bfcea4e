// SPDX-License-Identifier: Apache-2.0
// The command line of `lockcheck`.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "apps/lockcheck/program_file.h"
#include "apps/lockcheck/settings.h"

namespace braidway::lockcheck {

/// What lockcheck itself ends with when it starts nothing; part of the interface (its manual page).
/// Once the program runs, the status is the program's, or --exit-status.
enum LockcheckExit : int {
    lockcheck_done = 0,              ///< --help or --version.
    lockcheck_failed = 1,            ///< Standard output could not be written.
    lockcheck_usage = 2,             ///< A bad option or value, or a program it cannot watch.
    lockcheck_not_executable = 126,  ///< The program is there, but cannot be executed.
    lockcheck_not_found = 127        ///< There is no such program.
};

/// A program to be executed in place of this one.
struct Start {
    std::string path;
    std::vector<std::string> arguments;  ///< With the program's own word first.
    std::vector<Variable> variables;     ///< Changes of the environment.
};

/// What the program works with; tests put their own in place.
struct LockcheckContext {
    std::ostream& out;
    std::ostream& error;
    std::string folder;  ///< The current one.
    std::string self;    ///< This program's file, absolute.
    int64_t pid = 0;
    int64_t parent = 0;
    std::string state_folder;
    /// A variable of the environment, or null.
    std::function<const char*(const char*)> value_of;
    /// Executes it. Returns only when that fails: an errno value.
    std::function<int(const Start&)> start;
};

/// Runs the command line without its first word. Returns the exit code, or does not return.
int run_lockcheck(const std::vector<std::string>& words, const LockcheckContext& context);

/// Where the runtime is: what `override` says, else beside the program `self` as it was installed
/// or built. Status 2 when it is nowhere.
std::expected<std::string, Refusal> find_library(const std::string& self, const char* override);

}  // namespace braidway::lockcheck
