// SPDX-License-Identifier: Apache-2.0
// A thread that waits for itself.
// case: relock_mutex | relock/hang | a plain mutex taken twice by one thread | hangs
// case: relock_in_function | relock/hang | the second time in a function that is called with it held | hangs
// case: relock_adaptive | relock/hang | an adaptive mutex is not recursive | hangs
// case: relock_std_mutex | relock/hang | std::mutex | hangs
// case: relock_after_try | relock/hang | got by a try, then waited for | hangs
// case: relock_priority_inheriting | relock/hang | the kernel says EDEADLK, and the library waits for ever | hangs
// case: relock_spinlock | relock/hang | spins on itself | hangs
// case: relock_in_thread | relock/hang | by another thread than the main one, which joins it | hangs
// case: relock_errorcheck | silent | returns EDEADLK: nothing blocks
// case: relock_write_write | relock | EDEADLK
// case: relock_write_read | relock | EDEADLK
// case: relock_read_write | relock/hang | read, then wanted for writing: waits for its own read | hangs
// case: relock_read_write_fair | relock/hang | the same with the fair kind | hangs
// case: relock_std_shared_mutex | relock/hang | lock_shared, then lock | hangs
// case: relock_object_of_a_class | relock/hang | one of many objects, twice | hangs
// case: wait_for_recursive_held_twice | open | a condition gives up one of two holds: nobody can take the mutex to notify, a timed wait ends all the same
// case: recursive_again | silent | a recursive mutex three times
// case: std_recursive_again | silent | std::recursive_mutex three times
// case: try_own_mutex | silent | a try of its own mutex fails and does not wait
// case: timed_own_mutex | silent | a timed wait for its own mutex ends
// case: timed_own_errorcheck | silent | EDEADLK of a timed wait: it would have ended
// case: two_objects_of_a_class | silent | another object of the same class is another lock
// case: lock_unlock_lock | silent | given up in between
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "corpus.h"

namespace {

pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t fair = FAIR_RWLOCK;

void twice(pthread_mutex_t* mutex) {
    lock(mutex);
    lock(mutex);
    unlock(mutex);
    unlock(mutex);
}
void relock_mutex() {
    twice(&plain);
}
void relock_adaptive() {
    twice(&adaptive);
}

int balance;
__attribute__((noinline)) int read_balance() {
    lock(&plain);
    const int now = balance;
    unlock(&plain);
    return now;
}
void relock_in_function() {
    lock(&plain);
    balance = read_balance() + 1;
    unlock(&plain);
}
void relock_std_mutex() {
    static std::mutex mutex;
    mutex.lock();
    mutex.lock();
}
void relock_after_try() {
    check(try_lock(&plain) == 0);
    lock(&plain);
}
void relock_priority_inheriting() {
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT);
    pthread_mutex_t mutex;
    pthread_mutex_init(&mutex, &attribute);
    twice(&mutex);
}
void relock_spinlock() {
    pthread_spinlock_t spin;
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    spin_lock(&spin);
    spin_lock(&spin);
}
void relock_in_thread() {
    RUN(in_threads, relock_mutex);
}

void relock_errorcheck() {
    check(lock(&errorcheck) == 0);
    check(lock(&errorcheck) == EDEADLK);
    check(unlock(&errorcheck) == 0);
}
void relock_write_write() {
    write_lock(&rwlock);
    check(write_lock(&rwlock) == EDEADLK);
    rw_unlock(&rwlock);
}
void relock_write_read() {
    write_lock(&rwlock);
    check(read_lock(&rwlock) == EDEADLK);
    rw_unlock(&rwlock);
}
void relock_read_write() {
    read_lock(&rwlock);
    write_lock(&rwlock);
}
void relock_read_write_fair() {
    read_lock(&fair);
    write_lock(&fair);
}
void relock_std_shared_mutex() {
    static std::shared_mutex mutex;
    std::shared_lock outer(mutex);
    std::unique_lock inner(mutex);
}
struct Object {
    std::mutex mutex;
};
void relock_object_of_a_class() {
    std::unique_ptr<Object> objects[3];
    for (auto& object : objects) {
        object = std::make_unique<Object>();
        object->mutex.lock();
    }
    objects[1]->mutex.lock();
}
void wait_for_recursive_held_twice() {
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    lock(&recursive);
    lock(&recursive);
    const timespec until = soon(10);
    pthread_cond_timedwait(&condition, &recursive, &until);
    unlock(&recursive);
    unlock(&recursive);
}

void recursive_again() {
    for (int i = 0; i < 3; ++i) check(lock(&recursive) == 0);
    for (int i = 0; i < 3; ++i) check(unlock(&recursive) == 0);
}
void std_recursive_again() {
    static std::recursive_mutex mutex;
    std::lock_guard one(mutex), two(mutex), three(mutex);
}
void try_own_mutex() {
    lock(&plain);
    check(try_lock(&plain) == EBUSY);
    unlock(&plain);
}
void timed_own_mutex() {
    lock(&plain);
    const timespec until = soon(20);
    check(pthread_mutex_timedlock(&plain, &until) == ETIMEDOUT);
    unlock(&plain);
}
void timed_own_errorcheck() {
    lock(&errorcheck);
    const timespec until = soon(20);
    check(pthread_mutex_timedlock(&errorcheck, &until) == EDEADLK);
    unlock(&errorcheck);
}
void two_objects_of_a_class() {
    std::unique_ptr<Object> objects[2];
    for (auto& object : objects) object = std::make_unique<Object>();
    for (auto& object : objects) object->mutex.lock();
    for (auto& object : objects) object->mutex.unlock();
}
void lock_unlock_lock() {
    for (int i = 0; i < 3; ++i) {
        lock(&plain);
        unlock(&plain);
    }
}

}  // namespace

MAIN(CASE(relock_mutex), CASE(relock_in_function), CASE(relock_adaptive), CASE(relock_std_mutex),
     CASE(relock_after_try), CASE(relock_priority_inheriting), CASE(relock_spinlock),
     CASE(relock_in_thread), CASE(relock_errorcheck), CASE(relock_write_write),
     CASE(relock_write_read), CASE(relock_read_write), CASE(relock_read_write_fair),
     CASE(relock_std_shared_mutex), CASE(relock_object_of_a_class),
     CASE(wait_for_recursive_held_twice), CASE(recursive_again), CASE(std_recursive_again),
     CASE(try_own_mutex), CASE(timed_own_mutex), CASE(timed_own_errorcheck),
     CASE(two_objects_of_a_class), CASE(lock_unlock_lock))
