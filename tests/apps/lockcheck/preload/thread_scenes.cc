// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <threads.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "apps/lockcheck/preload/scenes.h"

namespace braidway::lockcheck {
namespace {

pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
pthread_barrier_t barrier;

using Body = void* (*)(void*);

void* run(Body body, const pthread_attr_t* attributes = nullptr) {
    pthread_t thread{};
    expect(pthread_create(&thread, attributes, body, nullptr) == 0, "pthread_create");
    void* result = nullptr;
    expect(pthread_join(thread, &result) == 0, "pthread_join");
    return result;
}

int exit_held() {
    run([](void*) -> void* {
        pthread_mutex_lock(&first);
        return nullptr;
    });
    return 0;
}

/// A destructor of thread-specific data gives the lock back: nothing is held at the end.
int unlocked_by_destructor() {
    static pthread_key_t key;
    pthread_key_create(&key, [](void*) { pthread_mutex_unlock(&first); });
    run([](void*) -> void* {
        pthread_mutex_lock(&first);
        pthread_setspecific(key, &first);
        return nullptr;
    });
    return 0;
}

int robust_owner_dies() {
    static pthread_mutex_t robust;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    run([](void*) -> void* {
        pthread_mutex_lock(&robust);
        return nullptr;
    });
    expect(pthread_mutex_lock(&robust) == EOWNERDEAD, "the owner died");
    expect(pthread_mutex_consistent(&robust) == 0, "consistent");
    expect(pthread_mutex_unlock(&robust) == 0, "unlock");
    return 0;
}

int deadlock() {
    pthread_barrier_init(&barrier, nullptr, 2);
    pthread_t thread{};
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
            pthread_mutex_lock(&second);
            pthread_barrier_wait(&barrier);
            pthread_mutex_lock(&first);
            return nullptr;
        },
        nullptr);
    pthread_mutex_lock(&first);
    pthread_barrier_wait(&barrier);
    pthread_mutex_lock(&second);
    return 0;
}

int join_with_lock() {
    pthread_mutex_lock(&first);
    run([](void*) -> void* {
        pthread_mutex_lock(&first);
        return nullptr;
    });
    return 0;
}

/// A thread with the smallest stack takes locks for the first time, which is the long way.
int small_stack() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, static_cast<size_t>(PTHREAD_STACK_MIN));
    run(
        [](void*) -> void* {
            for (int turn = 0; turn < 2; ++turn) {
                pthread_mutex_lock(turn == 0 ? &first : &second);
                pthread_mutex_lock(turn == 0 ? &second : &first);
                pthread_mutex_unlock(&first);
                pthread_mutex_unlock(&second);
            }
            return nullptr;
        },
        &attributes);
    return 0;
}

pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

/// A thread that is cancelled in a wait has the mutex when its handlers run, and gives it back.
int cancelled_wait() {
    static std::atomic<bool> waits{false};
    pthread_t thread{};
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
            pthread_mutex_lock(&first);
            pthread_cleanup_push(
                [](void* mutex) { pthread_mutex_unlock(static_cast<pthread_mutex_t*>(mutex)); },
                &first);
            waits = true;
            for (;;) pthread_cond_wait(&condition, &first);
            pthread_cleanup_pop(1);
            return nullptr;
        },
        nullptr);
    while (!waits) sched_yield();
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    pthread_cancel(thread);
    void* result = nullptr;
    expect(pthread_join(thread, &result) == 0, "join");
    expect(result == PTHREAD_CANCELED, "cancelled");
    expect(pthread_mutex_trylock(&first) == 0, "the handler gave the mutex back");
    pthread_mutex_unlock(&first);
    return 0;
}

int notified() {
    static bool ready = false;
    pthread_t thread{};
    pthread_create(
        &thread, nullptr,
        [](void*) -> void* {
            pthread_mutex_lock(&first);
            ready = true;
            pthread_cond_signal(&condition);
            pthread_mutex_unlock(&first);
            return nullptr;
        },
        nullptr);
    pthread_mutex_lock(&first);
    while (!ready) pthread_cond_wait(&condition, &first);
    const timespec past{1, 0};
    expect(pthread_cond_timedwait(&condition, &first, &past) == ETIMEDOUT, "timedwait");
    pthread_mutex_unlock(&first);
    pthread_join(thread, nullptr);
    return 0;
}

int c11_threads() {
    thrd_t thread;
    expect(thrd_create(
               &thread, [](void* argument) { return argument == nullptr ? 42 : 0; }, nullptr) ==
               thrd_success,
           "thrd_create");
    int result = 0;
    expect(thrd_join(thread, &result) == thrd_success && result == 42, "thrd_join");
    return 0;
}

/// Many threads, one after another and detached: records are used again.
int many_threads() {
    for (int i = 0; i < 2'000; ++i) {
        run([](void*) -> void* {
            pthread_mutex_lock(&first);
            pthread_mutex_unlock(&first);
            return nullptr;
        });
    }
    static std::atomic<int> done{0};
    for (int i = 0; i < 100; ++i) {
        pthread_t thread{};
        while (pthread_create(
                   &thread, nullptr,
                   [](void*) -> void* {
                       ++done;
                       return nullptr;
                   },
                   nullptr) != 0) {
            sched_yield();
        }
        pthread_detach(thread);
    }
    while (done < 100) sched_yield();
    return 0;
}

int main_thread_exits() {
    pthread_t thread{};
    pthread_create(
        &thread, nullptr,
        [](void* main_thread) -> void* {
            pthread_join(static_cast<pthread_t>(reinterpret_cast<uintptr_t>(main_thread)), nullptr);
            pthread_mutex_lock(&first);
            pthread_mutex_lock(&second);
            pthread_mutex_unlock(&second);
            pthread_mutex_unlock(&first);
            pthread_mutex_lock(&second);
            pthread_mutex_lock(&first);
            std::exit(7);
        },
        reinterpret_cast<void*>(static_cast<uintptr_t>(pthread_self())));
    pthread_exit(nullptr);
}

void lock_in_handler(int /*number*/) {
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
}

int lock_in_signal_handler() {
    struct sigaction action{};
    action.sa_handler = lock_in_handler;
    expect(sigaction(SIGUSR1, &action, nullptr) == 0, "sigaction");
    struct sigaction now{};
    expect(sigaction(SIGUSR1, nullptr, &now) == 0, "sigaction asks");
    expect(now.sa_handler == lock_in_handler, "the handler is the program's");
    expect((now.sa_flags & SA_SIGINFO) == 0, "its flags are the program's");
    raise(SIGUSR1);
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    return 0;
}

jmp_buf before_jump;

int handler_jumps() {
    expect(signal(SIGUSR2,
                  [](int) {
                      pthread_mutex_lock(&second);
                      pthread_mutex_unlock(&second);
                      siglongjmp(before_jump, 1);
                  }) == SIG_DFL,
           "signal() says what was before");
    static int turn = 0;
    for (turn = 0; turn < 40; ++turn)
        if (sigsetjmp(before_jump, 1) == 0) raise(SIGUSR2);
    // Not in the handler any more: that others hold this one with the signal unblocked is no fault.
    pthread_mutex_lock(&first);
    pthread_mutex_unlock(&first);
    run([](void*) -> void* {
        pthread_mutex_lock(&first);
        pthread_mutex_unlock(&first);
        return nullptr;
    });
    expect(signal(SIGUSR2, SIG_DFL) != SIG_ERR, "signal()");
    return 0;
}

constexpr std::array scenes{
    Scene{"exit_held", exit_held},
    Scene{"unlocked_by_destructor", unlocked_by_destructor},
    Scene{"robust_owner_dies", robust_owner_dies},
    Scene{"deadlock", deadlock},
    Scene{"join_with_lock", join_with_lock},
    Scene{"small_stack", small_stack},
    Scene{"cancelled_wait", cancelled_wait},
    Scene{"notified", notified},
    Scene{"c11_threads", c11_threads},
    Scene{"many_threads", many_threads},
    Scene{"main_thread_exits", main_thread_exits},
    Scene{"lock_in_signal_handler", lock_in_signal_handler},
    Scene{"handler_jumps", handler_jumps},
};

}  // namespace

std::span<const Scene> thread_scenes() {
    return scenes;
}

}  // namespace braidway::lockcheck
