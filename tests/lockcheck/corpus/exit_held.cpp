// SPDX-License-Identifier: Apache-2.0
// Threads and programs that end while they hold locks.
// case: return_holding | exit-held | a thread returns with a mutex held
// case: pthread_exit_holding | exit-held | by pthread_exit
// case: cancelled_holding | exit-held | cancelled in a sleep, without a clean-up handler
// case: return_reading | exit-held | an rwlock held for reading
// case: return_writing | exit-held | an rwlock held for writing
// case: return_spinning | exit-held | a spinlock
// case: std_thread_holding | exit-held | std::mutex::lock in a std::thread that ends
// case: detached_holding | exit-held | a detached thread
// case: recursive_held_once | exit-held | locked twice, unlocked once
// case: main_thread_exits_holding | exit-held | main() calls pthread_exit, the program goes on
// case: one_of_many_holds | exit-held | only one of six threads forgets
// case: thread_exits_holding_and_next_hangs | exit-held/hang | the next who wants it waits for ever | hangs
// case: exit_in_main_holding | silent | exit() with a lock held is normal | exit=5
// case: return_from_main_holding | silent | and so is return from main()
// case: exit_in_thread_holding | silent | exit() in a thread that holds a lock | exit=4
// case: exit_while_another_holds | silent | the other thread sleeps with its lock
// case: quick_exit_holding | silent | the program ends | exit=6
// case: underscore_exit_holding | silent | the program ends | exit=7
// case: abort_holding | silent | the program dies of its signal | signal=6
// case: killed_holding | silent | the program kills itself | signal=9
// case: thread_local_unlocks | silent | the destructor of a thread_local gives it up
// case: specific_data_unlocks | silent | a destructor of pthread_key_create gives it up
// case: cleanup_handler_unlocks | silent | cancelled, and the clean-up handler gives it up
// case: pthread_exit_with_guard | silent | the unwinding of pthread_exit runs std::lock_guard
// case: robust_left_by_thread | silent | a robust mutex is made for this
// case: robust_recovered | silent | EOWNERDEAD, made consistent, used on
// case: robust_not_recoverable | silent | EOWNERDEAD, not made consistent: ENOTRECOVERABLE
// case: robust_left_by_process | silent | the owner was a child process
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <mutex>
#include <thread>

#include "corpus.h"

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spin;
std::mutex mutex;

void hold_a() {
    lock(&a);
}
void return_holding() {
    RUN(in_threads, hold_a);
}
void pthread_exit_holding() {
    RUN(in_threads, [] {
        lock(&a);
        pthread_exit(nullptr);
    });
}
void* sleep_holding(void*) {
    lock(&a);
    tell(1);
    for (;;) sleep(1);
}
void cancelled_holding() {
    pthread_t thread;
    pthread_create(&thread, nullptr, sleep_holding, nullptr);
    hear(1);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
}
void return_reading() {
    RUN(in_threads, [] { read_lock(&rwlock); });
}
void return_writing() {
    RUN(in_threads, [] { write_lock(&rwlock); });
}
void return_spinning() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    RUN(in_threads, [] { spin_lock(&spin); });
}
void std_thread_holding() {
    std::thread([] { mutex.lock(); }).join();
}
void* hold_detached(void*) {
    lock(&a);
    tell(1);
    return nullptr;
}
void detached_holding() {
    pthread_t thread;
    pthread_create(&thread, nullptr, hold_detached, nullptr);
    pthread_detach(thread);
    hear(1);
    sleep_ms(200);  // It ends in the meantime; nobody can wait for a detached thread.
}
void recursive_held_once() {
    RUN(in_threads, [] {
        lock(&recursive);
        lock(&recursive);
        unlock(&recursive);
    });
}
void* goes_on(void*) {
    sleep_ms(100);
    return nullptr;
}
void main_thread_exits_holding() {
    pthread_t thread;
    pthread_create(&thread, nullptr, goes_on, nullptr);
    lock(&a);
    pthread_exit(nullptr);
}
void hold_shortly() {
    lock(&a);
    unlock(&a);
}
void one_of_many_holds() {
    RUN(in_threads, hold_shortly, hold_shortly, hold_shortly, hold_shortly, hold_shortly, hold_a);
}
void thread_exits_holding_and_next_hangs() {
    RUN(in_threads, hold_a, hold_shortly);
}

void exit_in_main_holding() {
    lock(&a);
    exit(5);
}
void return_from_main_holding() {
    lock(&a);
}
void exit_in_thread_holding() {
    RUN(in_threads, [] {
        lock(&a);
        exit(4);
    });
}
void exit_while_another_holds() {
    pthread_t thread;
    pthread_create(&thread, nullptr, sleep_holding, nullptr);
    hear(1);
}
void quick_exit_holding() {
    lock(&a);
    quick_exit(6);
}
void underscore_exit_holding() {
    lock(&a);
    _exit(7);
}
void abort_holding() {
    lock(&a);
    abort();
}
void killed_holding() {
    lock(&a);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

struct Unlocks {
    bool held = false;
    ~Unlocks() {
        if (held) unlock(&a);
    }
};
thread_local Unlocks unlocks;
void thread_local_unlocks() {
    RUN(in_threads, [] {
        unlocks.held = true;
        lock(&a);
    });
}
pthread_key_t key;
void specific_data_unlocks() {
    pthread_key_create(&key, [](void* held) { unlock(static_cast<pthread_mutex_t*>(held)); });
    RUN(in_threads, [] {
        lock(&a);
        pthread_setspecific(key, &a);
    });
}
void unlock_argument(void* held) {
    unlock(static_cast<pthread_mutex_t*>(held));
}
void* sleep_with_handler(void*) {
    lock(&a);
    pthread_cleanup_push(unlock_argument, &a);
    tell(1);
    for (;;) sleep(1);
    pthread_cleanup_pop(1);
    return nullptr;
}
void cleanup_handler_unlocks() {
    pthread_t thread;
    pthread_create(&thread, nullptr, sleep_with_handler, nullptr);
    hear(1);
    pthread_cancel(thread);
    pthread_join(thread, nullptr);
}
void pthread_exit_with_guard() {
    RUN(in_threads, [] {
        std::lock_guard hold(mutex);
        pthread_exit(nullptr);
    });
}

// --- robust mutexes ---
pthread_mutex_t robust;
void make_robust(pthread_mutex_t* made, int shared) {
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attribute, shared);
    pthread_mutex_init(made, &attribute);
}
void leave_robust() {
    make_robust(&robust, PTHREAD_PROCESS_PRIVATE);
    RUN(in_threads, [] { check(lock(&robust) == 0); });
}
void robust_left_by_thread() {
    leave_robust();
}
void robust_recovered() {
    leave_robust();
    check(lock(&robust) == EOWNERDEAD);
    check(pthread_mutex_consistent(&robust) == 0);
    check(unlock(&robust) == 0);
    check(lock(&robust) == 0);
    unlock(&robust);
}
void robust_not_recoverable() {
    leave_robust();
    check(lock(&robust) == EOWNERDEAD);
    unlock(&robust);
    check(lock(&robust) == ENOTRECOVERABLE);
}
void robust_left_by_process() {
    auto* shared = static_cast<pthread_mutex_t*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    make_robust(shared, PTHREAD_PROCESS_SHARED);
    const pid_t child = fork();
    if (child == 0) {
        lock(shared);
        _exit(0);
    }
    waitpid(child, nullptr, 0);
    check(lock(shared) == EOWNERDEAD);
    pthread_mutex_consistent(shared);
    unlock(shared);
}

}  // namespace

MAIN(CASE(return_holding), CASE(pthread_exit_holding), CASE(cancelled_holding),
     CASE(return_reading), CASE(return_writing), CASE(return_spinning), CASE(std_thread_holding),
     CASE(detached_holding), CASE(recursive_held_once), CASE(main_thread_exits_holding),
     CASE(one_of_many_holds), CASE(thread_exits_holding_and_next_hangs), CASE(exit_in_main_holding),
     CASE(return_from_main_holding), CASE(exit_in_thread_holding), CASE(exit_while_another_holds),
     CASE(quick_exit_holding), CASE(underscore_exit_holding), CASE(abort_holding),
     CASE(killed_holding), CASE(thread_local_unlocks), CASE(specific_data_unlocks),
     CASE(cleanup_handler_unlocks), CASE(pthread_exit_with_guard), CASE(robust_left_by_thread),
     CASE(robust_recovered), CASE(robust_not_recoverable), CASE(robust_left_by_process))
