// SPDX-License-Identifier: Apache-2.0
// A try, or a wait that ends by itself, closes no ring; the lock that it took does hold.
// case: try_under_b | silent | A B, then B and a try of A
// case: try_both_ways | silent | A and a try of B, B and a try of A
// case: timed_under_b | silent | A B, then B and a timed wait for A
// case: timed_both_ways | silent | timed waits both ways
// case: clock_lock_under_b | silent | the same with pthread_mutex_clocklock
// case: std_try_lock_for_under_b | silent | std::timed_mutex::try_lock_for
// case: std_try_lock_shared_for_under_b | silent | std::shared_timed_mutex::try_lock_shared_for
// case: unique_lock_try | silent | std::unique_lock with std::try_to_lock
// case: spin_try_under_b | silent | a spinlock that is tried
// case: rwlock_try_write_under_b | silent | an rwlock that is tried for writing
// case: rwlock_timed_write_under_b | silent | an rwlock waited for for a while
// case: rwlock_timed_read_under_b | silent | the same for reading
// case: back_off_loop | silent | holds A, tries B, gives up A and starts again
// case: try_own_rwlock_for_writing | silent | read, then tried for writing by the same thread
// case: timed_own_rwlock_for_writing | silent | read, then waited for writing for a while
// case: try_fails_takes_nothing | silent | a failed try holds nothing: B after it is no order
// case: held_by_try | order | A by a try, then B; elsewhere B, then A
// case: held_by_timed | order | A by a timed wait, then B; elsewhere B, then A
// case: held_by_try_both | order | both outer locks were got by tries
// case: held_by_try_read | order | read R by a try, then A; A, then write R
// case: held_by_std_try | order | A by std::mutex::try_lock, then B
// case: held_by_spin_try | order | a spinlock by a try, then a mutex, and the other way round
// case: try_then_blocking_same_place | open | tried first, waited for only when that fails: a clean run never shows the wait
// case: one_side_timed_other_path | order | BA also exists without a limit
// case: spin_on_try | open | holds B and tries A for ever, while A B waits: a try that is repeated
#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "corpus.h"

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spin;

void ab() {
    lock(&a);
    meet(0);
    lock(&b);
    unlock(&b);
    unlock(&a);
}
void ba() {
    lock(&b);
    meet(0);
    lock(&a);
    unlock(&a);
    unlock(&b);
}
void b_try_a() {
    lock(&b);
    meet(0);
    if (try_lock(&a) == 0) unlock(&a);
    unlock(&b);
}
void a_try_b() {
    lock(&a);
    meet(0);
    if (try_lock(&b) == 0) unlock(&b);
    unlock(&a);
}
void try_under_b() {
    RUN(in_threads, ab, b_try_a);
}
void try_both_ways() {
    RUN(in_threads, a_try_b, b_try_a);
}

void b_timed_a() {
    lock(&b);
    meet(0);
    const timespec until = soon(100);
    if (pthread_mutex_timedlock(&a, &until) == 0) unlock(&a);
    unlock(&b);
}
void a_timed_b() {
    lock(&a);
    meet(0);
    const timespec until = soon(100);
    if (pthread_mutex_timedlock(&b, &until) == 0) unlock(&b);
    unlock(&a);
}
void b_clock_a() {
    lock(&b);
    meet(0);
    const timespec until = soon(100);
    if (pthread_mutex_clocklock(&a, CLOCK_REALTIME, &until) == 0) unlock(&a);
    unlock(&b);
}
void timed_under_b() {
    RUN(in_threads, ab, b_timed_a);
}
void timed_both_ways() {
    RUN(in_threads, a_timed_b, b_timed_a);
}
void clock_lock_under_b() {
    RUN(in_threads, ab, b_clock_a);
}
void one_side_timed_other_path() {
    RUN(in_threads, ab, b_timed_a, ba);
}

std::timed_mutex timed_a, timed_b;
void std_try_lock_for_under_b() {
    RUN(
        in_threads,
        [] {
            std::lock_guard outer(timed_a);
            meet(0);
            std::lock_guard inner(timed_b);
        },
        [] {
            std::lock_guard outer(timed_b);
            meet(0);
            if (timed_a.try_lock_for(std::chrono::milliseconds(100))) timed_a.unlock();
        });
}
std::shared_timed_mutex shared_timed;
void std_try_lock_shared_for_under_b() {
    RUN(
        in_threads,
        [] {
            std::lock_guard outer(shared_timed);
            meet(0);
            std::lock_guard inner(timed_b);
        },
        [] {
            std::lock_guard outer(timed_b);
            meet(0);
            if (shared_timed.try_lock_shared_for(std::chrono::milliseconds(100)))
                shared_timed.unlock_shared();
        });
}
std::mutex std_a, std_b;
void std_ab() {
    std::lock_guard outer(std_a);
    meet(0);
    std::lock_guard inner(std_b);
}
void std_ba() {
    std::lock_guard outer(std_b);
    meet(0);
    std::lock_guard inner(std_a);
}
void unique_lock_try() {
    RUN(in_threads, std_ab, [] {
        std::lock_guard outer(std_b);
        meet(0);
        std::unique_lock inner(std_a, std::try_to_lock);
    });
}
void held_by_std_try() {
    RUN(
        in_threads,
        [] {
            if (!std_a.try_lock()) return;
            meet(0);
            std_b.lock();
            std_b.unlock();
            std_a.unlock();
        },
        std_ba);
}

void b_then_spin() {
    lock(&b);
    meet(0);
    if (pthread_spin_trylock(&spin) == 0) spin_unlock(&spin);
    unlock(&b);
}
void spin_then_b() {
    spin_lock(&spin);
    meet(0);
    lock(&b);
    unlock(&b);
    spin_unlock(&spin);
}
void spin_try_under_b() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    RUN(in_threads, spin_then_b, b_then_spin);
}
void held_by_spin_try() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    RUN(
        in_threads,
        [] {
            if (pthread_spin_trylock(&spin) != 0) return;
            meet(0);
            lock(&b);
            unlock(&b);
            spin_unlock(&spin);
        },
        [] {
            lock(&b);
            meet(0);
            spin_lock(&spin);
            spin_unlock(&spin);
            unlock(&b);
        });
}

template <int (*Read)(pthread_rwlock_t*)>
void read_then_b() {
    if (Read(&r) != 0) return;
    meet(0);
    lock(&b);
    unlock(&b);
    rw_unlock(&r);
}
constexpr auto read_it = pthread_rwlock_rdlock;
constexpr auto write_it = pthread_rwlock_wrlock;
void b_try_write() {
    lock(&b);
    meet(0);
    if (pthread_rwlock_trywrlock(&r) == 0) rw_unlock(&r);
    unlock(&b);
}
template <int (*Wait)(pthread_rwlock_t*, const timespec*)>
void b_timed() {
    lock(&b);
    meet(0);
    const timespec until = soon(100);
    if (Wait(&r, &until) == 0) rw_unlock(&r);
    unlock(&b);
}
void rwlock_try_write_under_b() {
    RUN(in_threads, read_then_b<read_it>, b_try_write);
}
void rwlock_timed_write_under_b() {
    RUN(in_threads, read_then_b<read_it>, b_timed<pthread_rwlock_timedwrlock>);
}
void rwlock_timed_read_under_b() {
    RUN(in_threads, read_then_b<write_it>, b_timed<pthread_rwlock_timedrdlock>);
}

void back_off() {
    lock(&b);
    meet(0);
    while (try_lock(&a) != 0) {
        unlock(&b);
        sched_yield();
        lock(&b);
    }
    unlock(&a);
    unlock(&b);
}
void back_off_loop() {
    RUN(in_threads, ab, back_off);
}

void try_own_rwlock_for_writing() {
    read_lock(&r);
    check(pthread_rwlock_trywrlock(&r) == EBUSY);
    rw_unlock(&r);
}
void timed_own_rwlock_for_writing() {
    read_lock(&r);
    const timespec until = soon(20);
    check(pthread_rwlock_timedwrlock(&r, &until) == ETIMEDOUT);
    rw_unlock(&r);
}
void hold_a_a_while() {
    lock(&a);
    tell(1);
    hear(2);
    unlock(&a);
}
void fail_then_b() {
    hear(1);
    check(try_lock(&a) == EBUSY);
    lock(&b);
    unlock(&b);
    tell(2);
}
void try_fails_takes_nothing() {
    RUN(at_once, hold_a_a_while, fail_then_b);
    RUN(in_turn, ba);
}

void try_a_then_b() {
    if (try_lock(&a) != 0) return;
    meet(0);
    lock(&b);
    unlock(&b);
    unlock(&a);
}
void try_b_then_a() {
    if (try_lock(&b) != 0) return;
    meet(0);
    lock(&a);
    unlock(&a);
    unlock(&b);
}
void timed_a_then_b() {
    const timespec until = soon(1000);
    check(pthread_mutex_timedlock(&a, &until) == 0);
    meet(0);
    lock(&b);
    unlock(&b);
    unlock(&a);
}
void held_by_try() {
    RUN(in_threads, try_a_then_b, ba);
}
void held_by_timed() {
    RUN(in_threads, timed_a_then_b, ba);
}
void held_by_try_both() {
    RUN(in_threads, try_a_then_b, try_b_then_a);
}
void held_by_try_read() {
    RUN(in_threads, read_then_b<pthread_rwlock_tryrdlock>, [] {
        lock(&b);
        meet(0);
        write_lock(&r);
        rw_unlock(&r);
        unlock(&b);
    });
}

/// As a program that counts how often it had to wait: pthread_mutex_lock only after a failed try.
__attribute__((noinline)) void counted_lock(pthread_mutex_t* mutex) {
    if (try_lock(mutex) != 0) lock(mutex);
}
void counted_ab() {
    counted_lock(&a);
    meet(0);
    counted_lock(&b);
    unlock(&b);
    unlock(&a);
}
void counted_ba() {
    counted_lock(&b);
    meet(0);
    counted_lock(&a);
    unlock(&a);
    unlock(&b);
}
void try_then_blocking_same_place() {
    RUN(in_threads, counted_ab, counted_ba);
}

std::atomic<int> spins;
void b_spin_on_a() {
    lock(&b);
    meet(0);
    while (try_lock(&a) != 0) ++spins;
    unlock(&a);
    unlock(&b);
}
void spin_on_try() {
    RUN(in_threads, ab, b_spin_on_a);
}

}  // namespace

MAIN(CASE(try_under_b), CASE(try_both_ways), CASE(timed_under_b), CASE(timed_both_ways),
     CASE(clock_lock_under_b), CASE(std_try_lock_for_under_b),
     CASE(std_try_lock_shared_for_under_b), CASE(unique_lock_try), CASE(spin_try_under_b),
     CASE(rwlock_try_write_under_b), CASE(rwlock_timed_write_under_b),
     CASE(rwlock_timed_read_under_b), CASE(back_off_loop), CASE(try_own_rwlock_for_writing),
     CASE(timed_own_rwlock_for_writing), CASE(try_fails_takes_nothing), CASE(held_by_try),
     CASE(held_by_timed), CASE(held_by_try_both), CASE(held_by_try_read), CASE(held_by_std_try),
     CASE(held_by_spin_try), CASE(try_then_blocking_same_place), CASE(one_side_timed_other_path),
     CASE(spin_on_try))
