// SPDX-License-Identifier: Apache-2.0
// A before B and B before A, over every kind of lock.
// case: errorcheck_mutex | order | AB in one thread, BA in another after it
// case: recursive_mutex | order | AB, BA; each lock taken twice, which alone is right
// case: adaptive_mutex | order | AB, BA
// case: priority_inheriting_mutex | order | AB, BA
// case: robust_mutex | order | AB, BA, nobody dies
// case: process_shared_mutex | order | AB, BA
// case: spinlock | order | AB, BA
// case: rwlock_write | order | AB, BA, both for writing: the kind of the rwlock does not matter
// case: rwlock_write_fair | order | AB, BA, both for writing
// case: rwlock_write_prefer_writer | order | AB, BA, both for writing
// case: std_mutex | order | AB, BA with std::lock_guard
// case: std_recursive_mutex | order | AB, BA with std::lock_guard
// case: std_timed_mutex | order | AB, BA by lock(), which waits without end
// case: std_shared_mutex_write | order | AB, BA with std::unique_lock
// case: std_shared_timed_mutex_write | order | AB, BA with std::unique_lock
// case: mutex_and_spinlock | order | a ring of a mutex and a spinlock
// case: mutex_and_rwlock | order | a ring of a mutex and an rwlock held for writing
// case: three_kinds | order | mutex, then spinlock, then rwlock, then mutex again
// case: recursive_inner_again | order | A is held and taken again under B: only the first order counts, and B then A is the other
// case: kinds_in_order | silent | mutex, then spinlock, then rwlock, always in this order
// case: recursive_again_under_b | silent | A B, and A again under B by the thread that holds it
// case: spinlocks_in_order | silent | AB twice
// case: robust_in_order | silent | AB twice
// case: std_mutexes_in_order | silent | AB twice
#include <mutex>
#include <shared_mutex>

#include "corpus.h"

namespace {

template <int Type>
struct Typed {
    pthread_mutex_t mutex;
    Typed() { make_mutex(&mutex, Type); }
    void lock() { ::lock(&mutex); }
    void unlock() { ::unlock(&mutex); }
};

template <int (*Set)(pthread_mutexattr_t*, int), int Value>
struct WithAttribute {
    pthread_mutex_t mutex;
    WithAttribute() {
        pthread_mutexattr_t attribute;
        pthread_mutexattr_init(&attribute);
        check(Set(&attribute, Value) == 0);
        check(pthread_mutex_init(&mutex, &attribute) == 0);
        pthread_mutexattr_destroy(&attribute);
    }
    void lock() { ::lock(&mutex); }
    void unlock() { ::unlock(&mutex); }
};

struct Spin {
    pthread_spinlock_t word;
    Spin() { pthread_spin_init(&word, PTHREAD_PROCESS_PRIVATE); }
    void lock() { spin_lock(&word); }
    void unlock() { spin_unlock(&word); }
};

template <int Kind>
struct WriteLocked {
    pthread_rwlock_t rwlock;
    WriteLocked() {
        pthread_rwlockattr_t attribute;
        pthread_rwlockattr_init(&attribute);
        pthread_rwlockattr_setkind_np(&attribute, Kind);
        pthread_rwlock_init(&rwlock, &attribute);
    }
    void lock() { write_lock(&rwlock); }
    void unlock() { rw_unlock(&rwlock); }
};

template <class Lock>
struct Two {
    static inline Lock a, b;

    static void ab() {
        std::lock_guard outer(a);
        meet(0);
        std::lock_guard inner(b);
    }
    static void ba() {
        std::lock_guard outer(b);
        meet(0);
        std::lock_guard inner(a);
    }
    static void ring() { RUN(in_threads, ab, ba); }
    static void in_order() { RUN(in_threads, ab, ab, ab); }
};

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
Spin spin;

void mutex_then_spin() {
    lock(&mutex);
    meet(0);
    spin.lock();
    spin.unlock();
    unlock(&mutex);
}
void spin_then_mutex() {
    spin.lock();
    meet(0);
    lock(&mutex);
    unlock(&mutex);
    spin.unlock();
}
void mutex_then_rwlock() {
    lock(&mutex);
    meet(0);
    write_lock(&rwlock);
    rw_unlock(&rwlock);
    unlock(&mutex);
}
void rwlock_then_mutex() {
    write_lock(&rwlock);
    meet(0);
    lock(&mutex);
    unlock(&mutex);
    rw_unlock(&rwlock);
}
void spin_then_rwlock() {
    spin.lock();
    meet(0);
    write_lock(&rwlock);
    rw_unlock(&rwlock);
    spin.unlock();
}
void mutex_and_spinlock() {
    RUN(in_turn, mutex_then_spin, spin_then_mutex);
}
void mutex_and_rwlock() {
    RUN(in_threads, mutex_then_rwlock, rwlock_then_mutex);
}
void three_kinds() {
    RUN(in_turn, mutex_then_spin, spin_then_rwlock, rwlock_then_mutex);
}
void kinds_in_order() {
    RUN(in_threads, mutex_then_spin, spin_then_rwlock, mutex_then_rwlock);
}

void recursive_twice() {
    lock(&recursive);
    meet(0);
    lock(&mutex);
    lock(&recursive);
    unlock(&recursive);
    unlock(&mutex);
    unlock(&recursive);
}
void mutex_then_recursive() {
    lock(&mutex);
    meet(0);
    lock(&recursive);
    unlock(&recursive);
    unlock(&mutex);
}
void recursive_inner_again() {
    RUN(in_threads, recursive_twice, mutex_then_recursive);
}
void recursive_again_under_b() {
    RUN(in_threads, recursive_twice, recursive_twice);
}

void recursive_mutex() {
    using Both = Two<Typed<PTHREAD_MUTEX_RECURSIVE>>;
    Both::a.lock();
    Both::a.lock();
    Both::a.unlock();
    Both::a.unlock();
    Both::ring();
}

using Inherits = WithAttribute<pthread_mutexattr_setprotocol, PTHREAD_PRIO_INHERIT>;
using Robust = WithAttribute<pthread_mutexattr_setrobust, PTHREAD_MUTEX_ROBUST>;
using Shared = WithAttribute<pthread_mutexattr_setpshared, PTHREAD_PROCESS_SHARED>;

}  // namespace

MAIN({"errorcheck_mutex", Two<Typed<PTHREAD_MUTEX_ERRORCHECK>>::ring}, CASE(recursive_mutex),
     {"adaptive_mutex", Two<Typed<PTHREAD_MUTEX_ADAPTIVE_NP>>::ring},
     {"priority_inheriting_mutex", Two<Inherits>::ring}, {"robust_mutex", Two<Robust>::ring},
     {"process_shared_mutex", Two<Shared>::ring}, {"spinlock", Two<Spin>::ring},
     {"rwlock_write", Two<WriteLocked<PTHREAD_RWLOCK_PREFER_READER_NP>>::ring},
     {"rwlock_write_fair", Two<WriteLocked<PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP>>::ring},
     {"rwlock_write_prefer_writer", Two<WriteLocked<PTHREAD_RWLOCK_PREFER_WRITER_NP>>::ring},
     {"std_mutex", Two<std::mutex>::ring}, {"std_recursive_mutex", Two<std::recursive_mutex>::ring},
     {"std_timed_mutex", Two<std::timed_mutex>::ring},
     {"std_shared_mutex_write", Two<std::shared_mutex>::ring},
     {"std_shared_timed_mutex_write", Two<std::shared_timed_mutex>::ring}, CASE(mutex_and_spinlock),
     CASE(mutex_and_rwlock), CASE(three_kinds), CASE(recursive_inner_again), CASE(kinds_in_order),
     CASE(recursive_again_under_b), {"spinlocks_in_order", Two<Spin>::in_order},
     {"robust_in_order", Two<Robust>::in_order},
     {"std_mutexes_in_order", Two<std::mutex>::in_order})
