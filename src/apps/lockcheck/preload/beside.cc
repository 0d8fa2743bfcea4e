// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/beside.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>

#include "apps/lockcheck/preload/own_descriptors.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr int not_started = 127;

/// Handlers of the program's must not run here, where they would be in its memory twice; and what
/// cannot be written must not end it.
void forget_handlers() {
    struct KernelAction {
        void (*handler)(int) = nullptr;
        unsigned long flags = 0;
        void* restorer = nullptr;
        uint64_t mask = 0;
    };
    for (int number = 1; number <= 64; ++number) {
        KernelAction action{};
        if (number == SIGPIPE || number == SIGXFSZ) action.handler = SIG_IGN;
        raw_call(SYS_rt_sigaction, number, as_word(&action), 0, sizeof(uint64_t));
    }
}

/// The program's limits are for the program.
void raise_limits() {
    for (const int which :
         {RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CPU}) {
        rlimit limit{};
        if (raw_call(SYS_prlimit64, 0, which, 0, as_word(&limit)) != 0 ||
            limit.rlim_cur == RLIM_INFINITY)
            continue;
        // Only the privileged may have more than the hard limit.
        const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
        if (raw_call(SYS_prlimit64, 0, which, as_word(&none), 0) == 0) continue;
        limit.rlim_cur = limit.rlim_max;
        raw_call(SYS_prlimit64, 0, which, as_word(&limit), 0);
    }
}

/// Waits for a child of the given kind; -1: it is not known how it ended, else its exit status.
int wait_for(int child, long kind) {
    int status = -1;
    long waited = 0;
    do {
        waited = raw_call(SYS_wait4, child, as_word(&status), kind, 0);
    } while (waited == -EINTR);
    constexpr int death_by_signal = 0x7f;
    if (waited != child || (status & death_by_signal) != 0) return -1;
    const int answer = (status >> 8) & 0xff;
    return answer == not_started ? -1 : answer;
}

/// What the process beside is to do.
struct Task {
    int (*work)(void*);
    void* argument;
};

int run_task(void* argument) {
    const Task& task = *static_cast<Task*>(argument);
    forget_handlers();
    raise_limits();
    close_file(0);
    go_to_kept_root();
    raw_call(SYS_exit_group, task.work(task.argument));
    return not_started;
}

/// Where the program that is started finds its words.
struct Start {
    const Words* words;
    int input;
};

int become_program(void* argument) {
    const Start& start = *static_cast<const Start*>(argument);
    const uint64_t none = 0;
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, as_word(&none), 0, sizeof none);
    if (start.input != 0) raw_call(SYS_dup3, start.input, 0, 0);
    raw_call(SYS_fcntl, 0, F_SETFD, 0);
    raw_call(SYS_execve, as_word(start.words->arguments[0]), as_word(start.words->arguments),
             as_word(start.words->environment));
    raw_call(SYS_exit_group, not_started);
    return not_started;
}

/// A child on a stack of its own; it shares the memory until it becomes another program or ends,
/// and the caller sleeps so long.
int run_child(int (*run)(void*), void* argument, int flags, long kind, const auto& meanwhile) {
    auto* const stack = static_cast<char*>(map_pages(limits::lockcheck_helper_stack_bytes));
    if (stack == nullptr) return -1;
    const int child = clone(run, stack + limits::lockcheck_helper_stack_bytes,
                            CLONE_VM | CLONE_VFORK | flags, argument);
    meanwhile();
    const int status = child > 0 ? wait_for(child, kind) : -1;
    unmap_pages(stack, limits::lockcheck_helper_stack_bytes);
    return status;
}

}  // namespace

int run_beside(int (*work)(void*), void* argument) {
    Task task{work, argument};
    // Without a signal at its end; such children are only seen by who asks for them.
    return run_child(run_task, &task, 0, __WCLONE, [] {});
}

int run_program(const Words& words, const char* input, unsigned long input_bytes) {
    // Whoever execs is a child like any other afterwards, whose end sends SIGCHLD and answers to
    // wait(): the process beside takes that upon itself. A pipe, as limits of file sizes count for
    // files without a name, too.
    int ends[2] = {-1, -1};
    if (raw_call(SYS_pipe2, as_word(ends), O_CLOEXEC) != 0) return -1;
    const Start start{&words, ends[0]};
    return run_child(become_program, const_cast<Start*>(&start), SIGCHLD, 0, [&] {
        close_file(ends[0]);
        write_all(ends[1], input, input_bytes);
        close_file(ends[1]);
    });
}

}  // namespace braidway::lockcheck
