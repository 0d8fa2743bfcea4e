// SPDX-License-Identifier: Apache-2.0
// Locks that are unlocked by who does not hold them.
// case: unlock_never_locked | unlock-unheld | a plain mutex that nobody ever locked
// case: unlock_twice | unlock-unheld | locked once, unlocked twice
// case: unlock_by_stranger | unlock-unheld | locked by one thread, unlocked by another
// case: unlock_errorcheck | unlock-unheld | EPERM
// case: unlock_errorcheck_by_stranger | unlock-unheld | EPERM, and its owner holds it on
// case: unlock_recursive_once_too_often | unlock-unheld | two locks, three unlocks: EPERM
// case: unlock_after_failed_try | unlock-unheld | another thread holds it, the try failed, and is not looked at
// case: unlock_after_timeout | unlock-unheld | another thread holds it, the wait ended, and is not looked at
// case: unlock_rwlock_twice | unlock-unheld | written, unlocked twice
// case: unlock_rwlock_by_stranger | unlock-unheld | read by one thread, unlocked by another
// case: unlock_spinlock_by_stranger | unlock-unheld | locked by one thread, unlocked by another
// case: unlock_spinlock_twice | unlock-unheld | a spinlock that is free already
// case: unlock_std_mutex | unlock-unheld | std::mutex::unlock without lock
// case: wait_without_the_mutex | unlock-unheld | a timed wait on a condition gives up a mutex that is not held
// case: wait_without_the_errorcheck_mutex | unlock-unheld | the same: EPERM
// case: unlock_other_object_of_class | unlock-unheld | one object is locked, its brother is unlocked
// case: unlock_in_other_order | silent | A B C locked, A C B unlocked
// case: unlock_in_another_function | silent | the function that locks leaves it to another to unlock
// case: semaphore_posted_by_another | silent | a semaphore has no owner
// case: unlock_what_a_try_got | silent | a try that worked
// case: unlock_what_a_wait_took_again | silent | a condition's wait gives back what it took
// case: adopted | silent | std::lock_guard adopts what was locked by hand
#include <semaphore.h>

#include <mutex>

#include "corpus.h"

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t c = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t errorcheck = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spin;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

void unlock_never_locked() {
    unlock(&a);
}
void unlock_twice() {
    lock(&a);
    unlock(&a);
    unlock(&a);
}
void unlock_by_stranger() {
    lock(&a);
    RUN(in_threads, [] { unlock(&a); });
}
void unlock_errorcheck() {
    check(unlock(&errorcheck) == EPERM);
}
void unlock_errorcheck_by_stranger() {
    lock(&errorcheck);
    RUN(in_threads, [] { check(unlock(&errorcheck) == EPERM); });
    check(unlock(&errorcheck) == 0);
}
void unlock_recursive_once_too_often() {
    lock(&recursive);
    lock(&recursive);
    unlock(&recursive);
    unlock(&recursive);
    check(unlock(&recursive) == EPERM);
}
void unlock_after_failed_try() {
    lock(&a);
    RUN(in_threads, [] {
        (void)try_lock(&a);
        unlock(&a);
    });
}
void unlock_after_timeout() {
    lock(&a);
    RUN(in_threads, [] {
        const timespec until = soon(10);
        (void)pthread_mutex_timedlock(&a, &until);
        unlock(&a);
    });
}
void unlock_rwlock_twice() {
    write_lock(&rwlock);
    rw_unlock(&rwlock);
    rw_unlock(&rwlock);
}
void unlock_rwlock_by_stranger() {
    read_lock(&rwlock);
    RUN(in_threads, [] { rw_unlock(&rwlock); });
}
void unlock_spinlock_by_stranger() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    spin_lock(&spin);
    RUN(in_threads, [] { spin_unlock(&spin); });
}
void unlock_spinlock_twice() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    spin_lock(&spin);
    spin_unlock(&spin);
    spin_unlock(&spin);
}
std::mutex free_mutex, brothers[2];
void unlock_std_mutex() {
    free_mutex.unlock();
}
void wait_a_moment(pthread_mutex_t* mutex) {
    const timespec until = soon(10);
    pthread_cond_timedwait(&condition, mutex, &until);
}
void wait_without_the_mutex() {
    wait_a_moment(&a);
}
void wait_without_the_errorcheck_mutex() {
    wait_a_moment(&errorcheck);
}
void unlock_other_object_of_class() {
    brothers[0].lock();
    brothers[1].unlock();
    brothers[0].unlock();
}

void unlock_in_other_order() {
    lock(&a);
    lock(&b);
    lock(&c);
    unlock(&a);
    unlock(&c);
    unlock(&b);
}
__attribute__((noinline)) void begin() {
    lock(&a);
}
__attribute__((noinline)) void commit() {
    unlock(&a);
}
void unlock_in_another_function() {
    begin();
    commit();
}
sem_t semaphore;
void semaphore_posted_by_another() {
    sem_init(&semaphore, 0, 1);
    sem_wait(&semaphore);
    RUN(in_threads, [] { sem_post(&semaphore); });
    sem_wait(&semaphore);
}
void unlock_what_a_try_got() {
    check(try_lock(&a) == 0);
    unlock(&a);
}
void unlock_what_a_wait_took_again() {
    lock(&a);
    wait_a_moment(&a);
    unlock(&a);
}
void adopted() {
    free_mutex.lock();
    std::lock_guard hold(free_mutex, std::adopt_lock);
}

}  // namespace

MAIN(CASE(unlock_never_locked), CASE(unlock_twice), CASE(unlock_by_stranger),
     CASE(unlock_errorcheck), CASE(unlock_errorcheck_by_stranger),
     CASE(unlock_recursive_once_too_often), CASE(unlock_after_failed_try),
     CASE(unlock_after_timeout), CASE(unlock_rwlock_twice), CASE(unlock_rwlock_by_stranger),
     CASE(unlock_spinlock_by_stranger), CASE(unlock_spinlock_twice), CASE(unlock_std_mutex),
     CASE(wait_without_the_mutex), CASE(wait_without_the_errorcheck_mutex),
     CASE(unlock_other_object_of_class), CASE(unlock_in_other_order),
     CASE(unlock_in_another_function), CASE(semaphore_posted_by_another),
     CASE(unlock_what_a_try_got), CASE(unlock_what_a_wait_took_again), CASE(adopted))
