// SPDX-License-Identifier: Apache-2.0
// exec and posix_spawn: what is started is watched, too, whatever environment it is given.
#include <alloca.h>

#include <cerrno>
#include <cstdarg>

#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/type_merging.h"
#include "apps/lockcheck/preload/watch.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// Calls `start` with `environment`, completed if it must be. Inline in each function: the memory
/// is its frame's.
template <typename Start>
[[gnu::always_inline]] inline int with_kept_environment(char* const* environment,
                                                        const Start& start) {
    if (!make_ready() || settings.preload == nullptr || keeps_watch(environment))
        return start(environment);
    const EnvironmentRoom room = room_for(environment);
    if (room.entries * sizeof(char*) + room.bytes > limits::lockcheck_arguments_bytes_max)
        return start(environment);
    auto** const entries = static_cast<char**>(alloca(room.entries * sizeof(char*)));
    auto* const text = static_cast<char*>(alloca(room.bytes));
    kept_environment(environment, entries, text);
    return start(entries);
}

/// Runs `start`, which becomes another program if it does not fail. Not in a child of vfork() this
/// process's document is complete then, as far as this program goes.
template <typename Start>
int become(const Start& start) {
    ThreadRecord* const self = watched();
    if (self == nullptr || !in_own_process()) return start();
    in_validator(*self, [] {
        merge_by_type();
        program_goes();
    });
    const int failed = start();
    in_validator(*self, [] { program_stays(); });
    return failed;
}

int execute(const char* path, char* const* arguments, char* const* environment) {
    return with_kept_environment(environment, [&](char* const* kept) {
        return become([&] { return real.execve(path, arguments, kept); });
    });
}

int execute_by_name(const char* file, char* const* arguments, char* const* environment) {
    return with_kept_environment(environment, [&](char* const* kept) {
        return become([&] { return real.execvpe(file, arguments, kept); });
    });
}

size_t count_of(va_list words) {
    size_t count = 0;
    while (va_arg(words, char*) != nullptr) ++count;
    return count;
}

/// The words of execl() and its kin as a list, and what follows them.
char* const* collect(const char* first, va_list words, char** list, bool with_environment) {
    char** at = list;
    *at = const_cast<char*>(first);
    while (*at != nullptr) *++at = va_arg(words, char*);
    return with_environment ? va_arg(words, char* const*) : environ;
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int execve(const char* path, char* const* arguments,
                            char* const* environment) noexcept {
    return execute(path, arguments, environment);
}

LOCKCHECK_EXPORT int execv(const char* path, char* const* arguments) noexcept {
    return execute(path, arguments, environ);
}

LOCKCHECK_EXPORT int execvp(const char* file, char* const* arguments) noexcept {
    return execute_by_name(file, arguments, environ);
}

LOCKCHECK_EXPORT int execvpe(const char* file, char* const* arguments,
                             char* const* environment) noexcept {
    return execute_by_name(file, arguments, environment);
}

LOCKCHECK_EXPORT int fexecve(int fd, char* const* arguments, char* const* environment) noexcept {
    return with_kept_environment(environment, [&](char* const* kept) {
        return become([&] { return real.fexecve(fd, arguments, kept); });
    });
}

LOCKCHECK_EXPORT int execveat(int folder, const char* path, char* const* arguments,
                              char* const* environment, int flags) noexcept {
    return with_kept_environment(environment, [&](char* const* kept) {
        return become([&] { return real.execveat(folder, path, arguments, kept, flags); });
    });
}

#define LOCKCHECK_EXECL(name, run, with_environment)                                    \
    LOCKCHECK_EXPORT int name(const char* path, const char* first, ...) noexcept {      \
        va_list words;                                                                  \
        va_start(words, first);                                                         \
        const size_t count = count_of(words) + 1;                                       \
        va_end(words);                                                                  \
        auto** const list = static_cast<char**>(alloca((count + 1) * sizeof(char*)));   \
        va_start(words, first);                                                         \
        char* const* const environment = collect(first, words, list, with_environment); \
        va_end(words);                                                                  \
        return run(path, list, environment);                                            \
    }
LOCKCHECK_EXECL(execl, execute, false)
LOCKCHECK_EXECL(execlp, execute_by_name, false)
LOCKCHECK_EXECL(execle, execute, true)
#undef LOCKCHECK_EXECL

LOCKCHECK_EXPORT int posix_spawn(pid_t* __restrict child, const char* __restrict path,
                                 const posix_spawn_file_actions_t* __restrict actions,
                                 const posix_spawnattr_t* __restrict attributes,
                                 char* const* __restrict arguments,
                                 char* const* __restrict environment) {
    return with_kept_environment(environment, [&](char* const* kept) {
        return real.posix_spawn(child, path, actions, attributes, arguments, kept);
    });
}

LOCKCHECK_EXPORT int posix_spawnp(pid_t* __restrict child, const char* __restrict file,
                                  const posix_spawn_file_actions_t* __restrict actions,
                                  const posix_spawnattr_t* __restrict attributes,
                                  char* const* __restrict arguments,
                                  char* const* __restrict environment) {
    return with_kept_environment(environment, [&](char* const* kept) {
        return real.posix_spawnp(child, file, actions, attributes, arguments, kept);
    });
}
