// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <threads.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <braidway/lockcheck.h>
#include "apps/lockcheck/preload/scenes.h"

namespace braidway::lockcheck {
namespace {

pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;

void take_both(pthread_mutex_t* outer, pthread_mutex_t* inner) {
    pthread_mutex_lock(outer);
    pthread_mutex_lock(inner);
    pthread_mutex_unlock(inner);
    pthread_mutex_unlock(outer);
}

int nothing() {
    take_both(&first, &second);
    take_both(&first, &second);
    return 5;
}

int order() {
    take_both(&first, &second);
    take_both(&second, &first);
    return 5;
}

int order_and_abort() {
    order();
    std::abort();
}

int order_of_trylock() {
    take_both(&first, &second);
    pthread_mutex_lock(&second);
    expect(pthread_mutex_trylock(&first) == 0, "trylock");
    pthread_mutex_unlock(&first);
    pthread_mutex_unlock(&second);
    return 0;
}

int relock() {
    pthread_mutex_lock(&first);
    return pthread_mutex_lock(&first);
}

int unlock_unheld() {
    pthread_mutex_unlock(&first);
    return 0;
}

int destroy_held() {
    pthread_mutex_t own;
    pthread_mutex_init(&own, nullptr);
    pthread_mutex_lock(&own);
    expect(pthread_mutex_destroy(&own) == EBUSY, "destroy says EBUSY");
    expect(pthread_mutex_unlock(&own) == 0, "unlock after it");
    pthread_mutex_destroy(&own);
    return 0;
}

/// Answers of the C library that must come through: each is what the manual says.
int answers() {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_t checked;
    pthread_mutex_init(&checked, &attributes);
    errno = 1234;
    expect(pthread_mutex_unlock(&checked) == EPERM, "unlock of an unheld checked mutex");
    expect(pthread_mutex_lock(&checked) == 0, "lock");
    expect(pthread_mutex_lock(&checked) == EDEADLK, "second lock of a checked mutex");
    expect(pthread_mutex_trylock(&checked) == EBUSY, "trylock of a held mutex");
    const timespec past{0, 0};
    expect(pthread_mutex_timedlock(&first, &past) == 0, "timed lock of a free mutex");
    pthread_mutex_unlock(&first);
    expect(pthread_mutex_unlock(&checked) == 0, "unlock");
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_t recursive;
    pthread_mutex_init(&recursive, &attributes);
    for (int i = 0; i < 3; ++i) expect(pthread_mutex_lock(&recursive) == 0, "recursive lock");
    for (int i = 0; i < 3; ++i) expect(pthread_mutex_unlock(&recursive) == 0, "recursive unlock");
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    expect(pthread_rwlock_wrlock(&lock) == 0, "wrlock");
    expect(pthread_rwlock_tryrdlock(&lock) == EBUSY, "tryrdlock");
    expect(pthread_rwlock_timedrdlock(&lock, &past) == EDEADLK, "timedrdlock by the writer");
    expect(pthread_rwlock_unlock(&lock) == 0, "rwlock unlock");
    expect(errno == 1234, "errno stays");
    return 0;
}

int read_twice_with_writer() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    static pthread_rwlock_t lock;
    pthread_rwlock_init(&lock, &attributes);
    pthread_rwlock_wrlock(&lock);
    pthread_rwlock_unlock(&lock);
    pthread_rwlock_rdlock(&lock);
    pthread_rwlock_rdlock(&lock);
    pthread_rwlock_unlock(&lock);
    pthread_rwlock_unlock(&lock);
    return 0;
}

int spin_order() {
    static pthread_spinlock_t left;
    static pthread_spinlock_t right;
    pthread_spin_init(&left, 0);
    pthread_spin_init(&right, 0);
    for (int turn = 0; turn < 2; ++turn) {
        pthread_spin_lock(turn == 0 ? &left : &right);
        pthread_spin_lock(turn == 0 ? &right : &left);
        pthread_spin_unlock(turn == 0 ? &right : &left);
        pthread_spin_unlock(turn == 0 ? &left : &right);
    }
    return 0;
}

int c11_order() {
    static std::array<mtx_t, 2> locks;
    mtx_init(&locks[0], mtx_plain);
    mtx_init(&locks[1], mtx_timed);
    for (int turn = 0; turn < 2; ++turn) {
        expect(mtx_lock(&locks[static_cast<size_t>(turn)]) == thrd_success, "mtx_lock");
        expect(mtx_trylock(&locks[static_cast<size_t>(turn)]) == thrd_busy, "mtx_trylock");
        expect(mtx_lock(&locks[static_cast<size_t>(1 - turn)]) == thrd_success, "mtx_lock");
        mtx_unlock(&locks[static_cast<size_t>(1 - turn)]);
        mtx_unlock(&locks[static_cast<size_t>(turn)]);
    }
    return 0;
}

int many_held() {
    static std::array<pthread_mutex_t, 200> locks;
    for (int turn = 0; turn < 3; ++turn) {
        for (auto& each : locks) pthread_mutex_lock(&each);
        for (auto& each : locks) pthread_mutex_unlock(&each);
    }
    return 0;
}

int declared() {
    static int pool = 0;
    static int index = 0;
    lockcheck_init(&pool, sizeof pool, LOCKCHECK_MUTEX, "pool");
    lockcheck_init(&index, sizeof index, LOCKCHECK_FAIR_RWLOCK, "index");
    for (int turn = 0; turn < 2; ++turn) {
        const void* const outer = turn == 0 ? &pool : &index;
        const void* const inner = turn == 0 ? &index : &pool;
        lockcheck_wants(outer, LOCKCHECK_WRITE);
        lockcheck_acquired(outer, LOCKCHECK_WRITE);
        lockcheck_wants(inner, LOCKCHECK_WRITE);
        lockcheck_acquired(inner, LOCKCHECK_WRITE);
        lockcheck_released(inner);
        lockcheck_released(outer);
    }
    return lockcheck_is_watching();
}

int sleeps_with_lock() {
    lockcheck_may_sleep("before");
    pthread_mutex_lock(&first);
    lockcheck_may_sleep("disk read");
    pthread_mutex_unlock(&first);
    return 0;
}

constexpr std::array scenes{
    Scene{"nothing", nothing},
    Scene{"order", order},
    Scene{"order_and_abort", order_and_abort},
    Scene{"order_of_trylock", order_of_trylock},
    Scene{"relock", relock},
    Scene{"unlock_unheld", unlock_unheld},
    Scene{"destroy_held", destroy_held},
    Scene{"answers", answers},
    Scene{"read_twice_with_writer", read_twice_with_writer},
    Scene{"spin_order", spin_order},
    Scene{"c11_order", c11_order},
    Scene{"many_held", many_held},
    Scene{"declared", declared},
    Scene{"sleeps_with_lock", sleeps_with_lock},
};

}  // namespace

std::span<const Scene> lock_scenes() {
    return scenes;
}

}  // namespace braidway::lockcheck
