// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/confinement.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unwind.h>

#include <span>

#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/renderer.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/seccomp_filter.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {
namespace {

constexpr uint64_t private_memory = MAP_PRIVATE | MAP_ANONYMOUS;
constexpr uint64_t no_file = UINT64_MAX;

/// What the library does in the process itself. Filters may ask for arguments: these are the real
/// ones, as far as they are the same each time.
constexpr FilteredCall calls_of_work[] = {
    {SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, private_memory, no_file, 0}},
    {SYS_munmap, {4096, 4096}},
    {SYS_mprotect, {4096, 4096, PROT_NONE}},
    {SYS_madvise, {4096, 4096, MADV_NOHUGEPAGE}},
    {SYS_rt_sigprocmask, {SIG_SETMASK, 4096, 4096, 8}},
    {SYS_rt_sigprocmask, {SIG_BLOCK, 0, 4096, 8}},
    {SYS_rt_sigpending, {4096, 8}},
    {SYS_rt_sigtimedwait, {4096, 0, 4096, 8}},
    {SYS_getpid},
    {SYS_getppid},
    {SYS_gettid},
    {SYS_futex, {4096, FUTEX_WAIT_PRIVATE, 2}},
    {SYS_futex, {4096, FUTEX_WAKE_PRIVATE, 1}},
    {SYS_newfstatat, {0}},
    {SYS_readlinkat, {0}},
    {SYS_prctl, {PR_GET_NAME, 4096}},
    {SYS_read, {3, 4096, 1}},
};
/// What a document needs that is written to its file.
constexpr FilteredCall calls_of_files[] = {
    {SYS_openat, {uint64_t(AT_FDCWD), 4096, O_RDWR | O_CREAT | O_NOCTTY | O_CLOEXEC, 0666}},
    {SYS_close, {3}},
    {SYS_fstat, {3, 4096}},
    {SYS_fcntl, {3, F_DUPFD_CLOEXEC, 500}},
    {SYS_fcntl, {3, F_SETLK, 4096}},
    {SYS_flock, {3, 6}},
    {SYS_ppoll, {0, 0, 4096}},
    {SYS_pread64, {3, 4096, 4096, 0}},
    {SYS_pwrite64, {3, 4096, 4096, 0}},
    {SYS_ftruncate, {3, 4096}},
    {SYS_prlimit64, {0, RLIMIT_FSIZE, 0, 4096}},
};
/// What starting the renderer needs, and what it does itself: it has the same filter.
constexpr FilteredCall calls_of_renderer[] = {
    {SYS_clone, {CLONE_VM | CLONE_VFORK}},
    {SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}},
    {SYS_execve},
    {SYS_wait4},
    {SYS_pipe2},
    {SYS_dup3},
    {SYS_exit_group},
    {SYS_rt_sigaction, {SIGXFSZ, 4096, 0, 8}},
    {SYS_write, {2}},
    {SYS_read, {0}},
    {SYS_openat, {uint64_t(AT_FDCWD), 4096, O_RDONLY | O_CLOEXEC}},
    {SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0}},
    {SYS_mprotect, {4096, 4096, PROT_READ}},
    {SYS_brk},
    {SYS_lseek},
    {SYS_ioctl},
    {SYS_set_tid_address},
    {SYS_set_robust_list},
    {SYS_getrandom},
};

std::atomic<bool> files_forbidden;
std::atomic<bool> programs_forbidden;

/// What was forbidden before the last step, which the kernel may refuse.
struct Before {
    uint64_t forbidden[Confined::numbers / 64] = {};
    bool files = false;
    bool programs = false;
};
constinit Before before;

void forbid(long number) {
    confined.forbidden[number / 64].fetch_or(uint64_t{1} << (number % 64));
}

/// Is there one that `allowed` says no to?
bool any_refused(std::span<const FilteredCall> calls, const auto& allowed) {
    for (const FilteredCall& call : calls)
        if (!allowed(call)) return true;
    return false;
}

void forbid_refused(std::span<const FilteredCall> calls, const auto& allowed) {
    for (const FilteredCall& call : calls)
        if (!allowed(call)) forbid(call.number);
}

/// Memory for what the validator and the reports will still need.
void make_pool() {
    if (confined.pool_at.load() != 0) return;
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    for (const long mib : {64, 16, 4}) {
        const long at = raw_call(SYS_mmap, 0, mib << 20, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (at < 0 && at > -4096) continue;
        confined.pool_end = static_cast<uintptr_t>(at) + (static_cast<uintptr_t>(mib) << 20);
        confined.pool_at.store(static_cast<uintptr_t>(at));
        return;
    }
}

/// The first walk over a stack prepares for all others, by means that may be forbidden later.
void warm_up() {
    _Unwind_Backtrace([](_Unwind_Context*, void*) { return _URC_END_OF_STACK; }, nullptr);
}

void remember_before() {
    for (size_t at = 0; at < std::size(before.forbidden); ++at)
        before.forbidden[at] = confined.forbidden[at].load();
    before.files = files_forbidden.load();
    before.programs = programs_forbidden.load();
}

/// `allowed` says of each call whether it will be possible.
void confine(const auto& allowed) {
    remember_before();
    const bool files_stay = !any_refused(calls_of_files, allowed);
    const bool programs_stay = files_stay && !any_refused(calls_of_renderer, allowed) &&
                               !any_refused(calls_of_work, allowed);
    if (!programs_stay && !before.programs) confine_reports(files_stay);
    if (!files_stay) keep_text_target();
    make_pool();
    warm_up();
    confined.process = process_id();
    forbid_refused(calls_of_work, allowed);
    forbid_refused(calls_of_files, allowed);
    const int text = kept_descriptor(OwnDescriptor::text);
    if (!allowed(FilteredCall{SYS_write, {static_cast<uint64_t>(text < 0 ? 2 : text)}}))
        forbid(SYS_write);
    if (!allowed(FilteredCall{SYS_exit_group})) forbid(SYS_exit_group);
    if (!files_stay) files_forbidden.store(true);
    if (!programs_stay) programs_forbidden.store(true);
    confined.any.store(true);
}

/// Runs it where the validator may be.
void confine_here(const auto& allowed) {
    ThreadRecord* const self = watched();
    if (self == nullptr || !in_own_process()) return;
    in_validator(*self, [&] { confine(allowed); });
}

}  // namespace

void before_strict_mode() {
    confine_here([](const FilteredCall& call) {
        return call.number == SYS_read || call.number == SYS_write;
    });
}

void before_filter(const sock_fprog* filter) {
    if (filter == nullptr || filter->filter == nullptr) return;
    confine_here([&](const FilteredCall& call) { return allows(*filter, call); });
}

void confinement_refused() {
    for (size_t at = 0; at < std::size(before.forbidden); ++at)
        confined.forbidden[at].store(before.forbidden[at]);
    files_forbidden.store(before.files);
    programs_forbidden.store(before.programs);
}

bool may_start_programs() {
    return !programs_forbidden.load(std::memory_order_relaxed);
}

bool may_write_files() {
    return !files_forbidden.load(std::memory_order_relaxed);
}

}  // namespace braidway::lockcheck
