// SPDX-License-Identifier: Apache-2.0
// The second program of tests/e2e/lockcheck.py: it makes its own life hard, in the way that its
// first argument says, before or after it takes two locks in opposite orders.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t accounts = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t journal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t archive = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((noinline)) void book(pthread_mutex_t* first, pthread_mutex_t* second) {
    pthread_mutex_lock(first);
    pthread_mutex_lock(second);
    pthread_mutex_unlock(second);
    pthread_mutex_unlock(first);
}
static void inversion(void) {
    book(&accounts, &journal);
    book(&journal, &accounts);
}
static void second_inversion(void) {
    book(&accounts, &archive);
    book(&archive, &accounts);
}
static void must(int ok) {
    if (!ok) {
        perror("lockcheck_hard");
        _exit(3);
    }
}
static int is(const char* word, const char* wanted) {
    return strcmp(word, wanted) == 0;
}

static void limit(int which, rlim_t soft, rlim_t hard) {
    const struct rlimit limits = {soft, hard};
    must(setrlimit(which, &limits) == 0);
}
/// Kills at everything but four system calls.
static void only_four_calls(int by_name) {
#define ALLOW(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(exit_group),
        ALLOW(futex),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog filter = {sizeof program / sizeof *program, program};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    if (by_name)
        must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    else
        must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0);
}
/// Kills at what only the renderer does: other programs.
static void no_other_programs(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    const struct sock_fprog filter = {sizeof program / sizeof *program, program};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}
static void change_root(const char* folder) {
    must(mkdir(folder, 0700) == 0 || errno == EEXIST);
    must(chroot(folder) == 0 && chdir("/") == 0);
}

static void stop(int signal_number) {
    (void)signal_number;
    _exit(0);
}
/// Workers as of a web server: told to go by SIGTERM, or gone by themselves.
static void workers(int count, int by_signal) {
    pid_t* const children = calloc((size_t)count, sizeof *children);
    int ready[2];
    must(children != NULL && pipe(ready) == 0);
    for (int i = 0; i < count; ++i) {
        children[i] = fork();
        must(children[i] >= 0);
        if (children[i] != 0) continue;
        if (by_signal && i % 2 == 0) signal(SIGTERM, stop);
        if (i == 0) inversion();
        must(write(ready[1], "", 1) == 1);
        if (!by_signal) exit(0);
        for (;;) pause();
    }
    char byte;
    for (int i = 0; i < count; ++i) must(read(ready[0], &byte, 1) == 1);
    for (int i = 0; i < count; ++i) {
        int status = 0;
        if (by_signal) kill(children[i], SIGTERM);
        must(waitpid(children[i], &status, 0) == children[i]);
        if (by_signal && i % 2 == 1)
            must(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        else
            must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    free(children);
}

/// What comes before the locks. True: that was all.
static int prepare(const char* scene, const char* argument) {
    if (is(scene, "small_files")) limit(RLIMIT_FSIZE, 0, RLIM_INFINITY);
    if (is(scene, "no_files")) limit(RLIMIT_FSIZE, 0, 0);
    if (is(scene, "few_descriptors")) limit(RLIMIT_NOFILE, 3, 1024);
    if (is(scene, "three_descriptors")) limit(RLIMIT_NOFILE, 3, 3);
    if (is(scene, "root")) change_root(argument);
    if (is(scene, "root_closes")) {
        change_root(argument);
        closefrom(3);
        must(dup2(1, 500) == 500 && close(500) == 0);
        for (int fd = 3; fd < 2048; ++fd) must(close(fd) == -1 && errno == EBADF);
        must(close_range(3, ~0u, 0) == 0);
    }
    if (is(scene, "filter")) only_four_calls(1);
    if (is(scene, "filter_by_call")) only_four_calls(0);
    if (is(scene, "no_programs")) no_other_programs();
    if (is(scene, "found_before")) {
        second_inversion();
        only_four_calls(1);
    }
    if (is(scene, "refused")) must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1);
    if (is(scene, "strict")) must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    return 0;
}

int main(int argc, char** argv) {
    const char* const scene = argc > 1 ? argv[1] : "";
    const char* const argument = argc > 2 ? argv[2] : "";
    const int clean = argc > 2 && is(argv[argc - 1], "clean");
    if (is(scene, "workers") || is(scene, "workers_by_signal")) {
        workers(atoi(argument), is(scene, "workers_by_signal"));
        return 0;
    }
    if (is(scene, "dies")) raise(SIGKILL);
    if (is(scene, "becomes")) {
        execl(argv[2], argv[2], argv[3], (char*)NULL);
        return 3;
    }
    if (is(scene, "child_dies") || is(scene, "child_becomes")) {
        int status = 0;
        const pid_t child = fork();
        if (child == 0) {
            if (is(scene, "child_dies")) raise(SIGKILL);
            execl("/no/such/program", "program", (char*)NULL);
            execl("/bin/true", "true", (char*)NULL);
            _exit(3);
        }
        must(waitpid(child, &status, 0) == child);
        return 0;
    }
    prepare(scene, argument);
    if (!clean) inversion();
    if (is(scene, "raw_exit")) syscall(SYS_exit_group, 7);
    if (is(scene, "strict")) syscall(SYS_exit, 7);
    if (write(1, "done\n", 5) != 5) return 3;
    return 7;
}
