// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/exits.h"

#include <dlfcn.h>

#include <cstdlib>

#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/settings.h"
#include "apps/lockcheck/preload/signals.h"
#include "apps/lockcheck/preload/type_merging.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {
namespace {

/// As the program would have: where that is forbidden, it dies of it.
[[noreturn]] void leave(int status) {
    kernel_call(SYS_exit_group, status);
    __builtin_unreachable();
}

/// The status that the process is to end with, after its document was written.
int finish(int status) {
    if (!make_ready() || !in_own_process()) return status;
    const KeptErrno kept;
    validator().process_exits();
    ThreadRecord* const self = current_record;
    bool found = false;
    const auto work = [&] {
        merge_by_type();
        found = finish_reports(ProcessEnd::exited);
    };
    if (self != nullptr) {
        in_validator(*self, [&] { work(); });
    } else {
        uint64_t old_mask = 0;
        block_all_signals(old_mask);
        work();
        restore_signals(old_mask);
    }
    const bool changes = found && settings.root == process_id() && settings.exit_status != 0;
    return changes ? settings.exit_status : status;
}

/// Static objects are destroyed from here on, in whatever state they are.
void exit_begins() {
    if (make_ready() && in_own_process()) validator().process_exits();
}

using Main = int(int, char**, char**);
constinit Main* program_main = nullptr;

/// The C library calls its own exit() when main() returns.
int run_main(int argument_count, char** arguments, char** environment) {
    if (current_record != nullptr)
        current_record->first_frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const int status = program_main(argument_count, arguments, environment);
    exit_begins();
    return status;
}

/// Registered before all others, so that it runs after them, and after the destructors of every
/// library. What is left to exit() is to flush the streams: calling it again goes on with that.
void last_exit_handler(int status, void* /*nothing*/) {
    const int changed = finish(status);
    if (changed != status) std::exit(changed);
}

void last_quick_exit_handler() {
    if (make_ready() && in_own_process()) {
        constexpr int unchanged = -1;
        const int changed = finish(unchanged);
        if (changed != unchanged) leave(changed);
    }
}

}  // namespace

void watch_exits() {
    on_exit(last_exit_handler, nullptr);
    std::at_quick_exit(last_quick_exit_handler);
}

int status_at_end(int status) {
    return finish(status);
}

void end_after_hang() {
    ThreadRecord* const self = current_record;
    if (self != nullptr) in_validator(*self, [] { finish_reports(ProcessEnd::ended); });
    // There is no status of the program's own.
    constexpr int status_of_hang = 66;
    leave(settings.exit_status != 0 ? settings.exit_status : status_of_hang);
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

// NOLINTNEXTLINE(readability-identifier-naming): the C library's name.
LOCKCHECK_EXPORT int __libc_start_main(Main* main, int argument_count, char** arguments,
                                       void (*begin)(), void (*end)(), void (*linker_end)(),
                                       void* stack_end) {
    using StartMain = decltype(__libc_start_main);
    program_main = main;
    auto* const start = reinterpret_cast<StartMain*>(dlsym(RTLD_NEXT, "__libc_start_main"));
    return start(run_main, argument_count, arguments, begin, end, linker_end, stack_end);
}

LOCKCHECK_EXPORT void exit(int status) noexcept {
    exit_begins();
    if (real.exit == nullptr) find_real_functions();
    real.exit(status);
    __builtin_unreachable();
}

LOCKCHECK_EXPORT void _exit(int status) {
    leave(finish(status));
}

LOCKCHECK_EXPORT void _Exit(int status) noexcept {
    leave(finish(status));
}
