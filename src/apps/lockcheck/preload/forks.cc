// SPDX-License-Identifier: Apache-2.0
// fork(), _Fork() and daemon().
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "apps/lockcheck/preload/processes.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"
#include "apps/lockcheck/preload/report.h"
#include "apps/lockcheck/preload/signals.h"
#include "apps/lockcheck/preload/stack_locks.h"
#include "apps/lockcheck/preload/type_merging.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {
namespace {

/// What the thread that forks keeps from before to after. It has the library's locks in between,
/// so there is one at most.
constinit uint64_t mask_before_fork = 0;
/// Which thread that is, the same in the child. Another one, which is not watched, may fork at the
/// same time.
constinit std::atomic<pthread_t> forking_thread = 0;

bool forks_watched() {
    return forking_thread.load(std::memory_order_relaxed) == pthread_self();
}

/// Runs after all of the program's own prepare handlers, because it was registered first.
void before_fork() {
    ThreadRecord* const self = watched();
    if (self == nullptr) return;
    const KeptErrno kept;
    uint64_t mask = 0;
    block_all_signals(mask);
    ++self->inside;
    lock_reports();
    lock_thread_records();
    validator().fork_begins();
    mask_before_fork = mask;
    forking_thread.store(pthread_self(), std::memory_order_relaxed);
}

void after_fork_in_parent() {
    if (!forks_watched()) return;
    const KeptErrno kept;
    forking_thread.store(0, std::memory_order_relaxed);
    const uint64_t mask = mask_before_fork;
    validator().forked_in_parent();
    unlock_thread_records();
    unlock_reports();
    --current_record->inside;
    restore_signals(mask);
}

/// Before the program's own child handlers.
void after_fork_in_child() {
    if (!forks_watched()) return;
    const KeptErrno kept;
    forking_thread.store(0, std::memory_order_relaxed);
    in_new_process();
    validator().forked_in_child(*current_record->thread);
    keep_only_stack(*current_record);
    keep_only(*current_record);
    reports_in_child();
    types_in_child();
    --current_record->inside;
    restore_signals(mask_before_fork);
}

/// daemon() may refuse a /dev/null that is none.
bool is_null_device(int fd) {
    struct stat status{};
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

}  // namespace

void watch_forks() {
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

/// fork() without the handlers: ours must run all the same.
LOCKCHECK_EXPORT pid_t _Fork() noexcept {
    make_ready();
    before_fork();
    const pid_t child = real._Fork();
    if (child == 0)
        after_fork_in_child();
    else
        after_fork_in_parent();
    return child;
}

/// As the C library's, whose parent would end by an exit that cannot be seen from here.
LOCKCHECK_EXPORT int daemon(int stay, int keep_open) noexcept {
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child > 0) _exit(0);
    if (setsid() < 0) return -1;
    if (stay == 0 && chdir("/") != 0) return -1;
    if (keep_open != 0) return 0;
    const int fd = open("/dev/null", O_RDWR);
    if (fd < 0) return -1;
    if (!is_null_device(fd)) {
        close(fd);
        errno = ENODEV;
        return -1;
    }
    for (int standard = 0; standard <= 2; ++standard) dup2(fd, standard);
    if (fd > 2) close(fd);
    return 0;
}
