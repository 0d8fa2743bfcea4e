// SPDX-License-Identifier: Apache-2.0
// What the front end told the library, by the environment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::lockcheck {

/// The settings of this process. Texts live in memory of the library's own: programs overwrite
/// and shrink their environment.
struct Settings {
    int root = 0;                    ///< Process that the front end became; 0: none.
    const char* renderer = nullptr;  ///< The program that turns documents into reports.
    const char* json = nullptr;      ///< Where documents go; "%p" is the process id.
    const char* state = nullptr;     ///< The file that the whole tree of processes shares.
    int exit_status = 66;            ///< When something was found; 0: the program keeps its own.
    bool hang_exits = true;          ///< A hang ends the process, otherwise it is reported only.
    uint64_t hang_after_ms = 3000;
    bool assume_writers = false;
    bool quiet = false;  ///< Findings only: no last words.
    bool has_suppressions = false;
    char** environment = nullptr;   ///< All of it, as it was at start.
    const char* preload = nullptr;  ///< Path of this library, as in LD_PRELOAD.
    const char* program = nullptr;  ///< Absolute path of the program.
    char** arguments = nullptr;
    int argument_count = 0;
};
extern Settings settings;

/// Reads them. `environment` and the arguments are copied.
void read_settings(int argument_count, char** arguments, char** environment);

/// The value of NAME in a list of "NAME=value"; nullptr: it is not there.
const char* value_in(char* const* environment, const char* name);

/// Will a program that is started with `environment` be watched as this one is?
bool keeps_watch(char* const* environment);

/// How many entries, and how many bytes of text, kept_environment() needs at most.
struct EnvironmentRoom {
    size_t entries = 0;
    size_t bytes = 0;
};
EnvironmentRoom room_for(char* const* environment);

/// `environment` with what is missing for that, in `entries` and `text`, which are of room_for()'s
/// size. Signal-safe: children of vfork() start programs, too.
void kept_environment(char* const* environment, char** entries, char* text);

}  // namespace braidway::lockcheck
