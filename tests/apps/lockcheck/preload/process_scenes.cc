// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "apps/lockcheck/preload/scenes.h"

namespace braidway::lockcheck {
namespace {

pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;

void take_in_both_orders() {
    for (int turn = 0; turn < 2; ++turn) {
        pthread_mutex_lock(turn == 0 ? &first : &second);
        pthread_mutex_lock(turn == 0 ? &second : &first);
        pthread_mutex_unlock(&first);
        pthread_mutex_unlock(&second);
    }
}

int status_of(pid_t child) {
    int status = 0;
    expect(waitpid(child, &status, 0) == child, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

int child_finds() {
    const pid_t child = fork();
    if (child == 0) {
        take_in_both_orders();
        _exit(6);
    }
    expect(status_of(child) == 6, "the child's own status");
    errno = 0;
    expect(waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD, "no other children");
    return 0;
}

int runs_order_without_environment() {
    const pid_t child = fork();
    if (child == 0) {
        char program[] = "scenes";
        char scene[] = "order";
        char* arguments[] = {program, scene, nullptr};
        char* environment[] = {nullptr};
        execve("/proc/self/exe", arguments, environment);
        _exit(97);
    }
    return status_of(child);
}

int spawns_order_without_environment() {
    char program[] = "scenes";
    char scene[] = "order";
    char* arguments[] = {program, scene, nullptr};
    char* environment[] = {nullptr};
    pid_t child = 0;
    expect(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environment) == 0,
           "posix_spawn");
    return status_of(child);
}

int finds_and_becomes_another() {
    take_in_both_orders();
    execl("/proc/self/exe", "scenes", "nothing", nullptr);
    return 97;
}

int underscore_exit() {
    take_in_both_orders();
    _exit(4);
}

int exit_quickly() {
    take_in_both_orders();
    std::quick_exit(4);
}

int prints_and_finds() {
    std::printf("not flushed yet");
    take_in_both_orders();
    return 4;
}

int closes_everything() {
    for (int fd = 0; fd < 1024; ++fd) close(fd);
    take_in_both_orders();
    // The first free descriptor is the first free one.
    return dup(0) == -1 && errno == EBADF ? 4 : 97;
}

/// A child of vfork() that sets handlers back must not take them from its parent.
int vfork_resets_handlers() {
    static volatile sig_atomic_t handled = 0;
    expect(signal(SIGUSR1, [](int) { handled = handled + 1; }) == SIG_DFL, "signal()");
    const pid_t child = vfork();
    if (child == 0) {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        sigaction(SIGUSR1, &action, nullptr);
        _exit(0);
    }
    expect(status_of(child) == 0, "child");
    raise(SIGUSR1);
    expect(handled == 1, "the handler is still there");
    return 0;
}

constexpr std::array scenes{
    Scene{"child_finds", child_finds},
    Scene{"runs_order_without_environment", runs_order_without_environment},
    Scene{"spawns_order_without_environment", spawns_order_without_environment},
    Scene{"finds_and_becomes_another", finds_and_becomes_another},
    Scene{"underscore_exit", underscore_exit},
    Scene{"exit_quickly", exit_quickly},
    Scene{"prints_and_finds", prints_and_finds},
    Scene{"closes_everything", closes_everything},
    Scene{"vfork_resets_handlers", vfork_resets_handlers},
};

}  // namespace

std::span<const Scene> process_scenes() {
    return scenes;
}

}  // namespace braidway::lockcheck
