// SPDX-License-Identifier: Apache-2.0
// The C library's own functions, under those of ours.
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <threads.h>
#include <unistd.h>

#include <cstdlib>

extern "C" sighandler_t bsd_signal(int, sighandler_t) noexcept;

/// Every function that is wrapped, once.
#define LOCKCHECK_WRAPPED(X)      \
    X(pthread_mutex_init)         \
    X(pthread_mutex_destroy)      \
    X(pthread_mutex_lock)         \
    X(pthread_mutex_trylock)      \
    X(pthread_mutex_timedlock)    \
    X(pthread_mutex_clocklock)    \
    X(pthread_mutex_unlock)       \
    X(pthread_rwlock_init)        \
    X(pthread_rwlock_destroy)     \
    X(pthread_rwlock_rdlock)      \
    X(pthread_rwlock_wrlock)      \
    X(pthread_rwlock_tryrdlock)   \
    X(pthread_rwlock_trywrlock)   \
    X(pthread_rwlock_timedrdlock) \
    X(pthread_rwlock_timedwrlock) \
    X(pthread_rwlock_clockrdlock) \
    X(pthread_rwlock_clockwrlock) \
    X(pthread_rwlock_unlock)      \
    X(pthread_spin_init)          \
    X(pthread_spin_destroy)       \
    X(pthread_spin_lock)          \
    X(pthread_spin_trylock)       \
    X(pthread_spin_unlock)        \
    X(pthread_cond_init)          \
    X(pthread_cond_destroy)       \
    X(pthread_cond_wait)          \
    X(pthread_cond_timedwait)     \
    X(pthread_cond_clockwait)     \
    X(pthread_cond_signal)        \
    X(pthread_cond_broadcast)     \
    X(pthread_barrier_destroy)    \
    X(pthread_barrier_wait)       \
    X(sem_clockwait)              \
    X(sem_destroy)                \
    X(sem_trywait)                \
    X(sem_wait)                   \
    X(pthread_create)             \
    X(pthread_join)               \
    X(pthread_tryjoin_np)         \
    X(pthread_timedjoin_np)       \
    X(pthread_clockjoin_np)       \
    X(pthread_detach)             \
    X(pthread_sigmask)            \
    X(mtx_init)                   \
    X(thrd_create)                \
    X(thrd_detach)                \
    X(_Fork)                      \
    X(exit)                       \
    X(setuid)                     \
    X(seteuid)                    \
    X(setreuid)                   \
    X(setresuid)                  \
    X(chroot)                     \
    X(setrlimit)                  \
    X(setrlimit64)                \
    X(prlimit)                    \
    X(prlimit64)                  \
    X(close)                      \
    X(dup2)                       \
    X(dup3)                       \
    X(close_range)                \
    X(closefrom)                  \
    X(execve)                     \
    X(execvpe)                    \
    X(execveat)                   \
    X(fexecve)                    \
    X(posix_spawn)                \
    X(posix_spawnp)               \
    X(signal)                     \
    X(bsd_signal)                 \
    X(ssignal)                    \
    X(sysv_signal)                \
    X(__sysv_signal)              \
    X(sigaction)                  \
    X(sigprocmask)

namespace braidway::lockcheck {

/// Pointers to the wrapped functions of the C library, or of another preloaded library behind this
/// one. Read only after watched_thread() or make_ready(); one that an older C library lacks is
/// nullptr.
struct Real {
    // NOLINTBEGIN(readability-identifier-naming,bugprone-macro-parentheses): the C library's names.
#define LOCKCHECK_MEMBER(name) decltype(&::name) name;
    LOCKCHECK_WRAPPED(LOCKCHECK_MEMBER)
#undef LOCKCHECK_MEMBER
    // NOLINTEND(readability-identifier-naming,bugprone-macro-parentheses)
};
extern Real real;

/// Looks all of them up. Threads: once.
void find_real_functions();

}  // namespace braidway::lockcheck

/// A function that takes the place of the C library's.
#define LOCKCHECK_EXPORT extern "C" __attribute__((visibility("default")))

/// A second name for one of them.
#define LOCKCHECK_ALIAS(second, first) \
    asm(".globl " #second "\n.type " #second ", %function\n.set " #second ", " #first);
