// SPDX-License-Identifier: Apache-2.0
// The locks of C11's threads.h.
// case: mtx_abba | order | AB in one thread, BA in another
// case: mtx_timed_abba | order | mtx_timed mutexes, waited for without end
// case: mtx_recursive_abba | order | mtx_recursive mutexes
// case: mtx_and_pthread_mutex | order | a ring of both kinds of mutexes
// case: mtx_class | order | pairs made by one init function: in-out on one, out-in on the other
// case: mtx_relock | relock/hang | a plain one taken twice | hangs
// case: mtx_unlock_unheld | unlock-unheld | unlocked twice
// case: mtx_unlock_by_stranger | unlock-unheld | locked by one thread, unlocked by another
// case: mtx_destroy_held | destroy-held | mtx_destroy while it is held
// case: thrd_returns_holding | exit-held | a thread returns with it held
// case: thrd_exit_holding | exit-held | by thrd_exit
// case: thrd_join_holding | held-while-join | the thread takes what the joiner holds; this time it had it before
// case: cnd_wait_holding | held-while-wait | the notifier takes what the waiter holds; this time it came early enough
// case: mtx_in_order | silent | AB twice
// case: mtx_timed_back | silent | BA by mtx_timedlock
// case: mtx_try_back | silent | BA by mtx_trylock
// case: mtx_recursive_again | silent | a recursive one three times
// case: cnd_wait_alone | silent | the usual way
// case: tss_unlocks | silent | the destructor of a tss key gives it up
#include <threads.h>

#include "corpus.h"

static mtx_t a, b, l, m;
static cnd_t condition;
static int ready;

static void make(int type) {
    check(mtx_init(&a, type) == thrd_success);
    check(mtx_init(&b, type) == thrd_success);
}
static void ab(void) {
    mtx_lock(&a);
    meet(0);
    mtx_lock(&b);
    mtx_unlock(&b);
    mtx_unlock(&a);
}
static void ba(void) {
    mtx_lock(&b);
    meet(0);
    mtx_lock(&a);
    mtx_unlock(&a);
    mtx_unlock(&b);
}
static void mtx_abba(void) {
    make(mtx_plain);
    RUN(in_threads, ab, ba);
}
static void mtx_timed_abba(void) {
    make(mtx_timed);
    RUN(in_threads, ab, ba);
}
static void mtx_recursive_abba(void) {
    make(mtx_plain | mtx_recursive);
    RUN(in_threads, ab, ba);
}
static void mtx_in_order(void) {
    make(mtx_plain);
    RUN(in_threads, ab, ab);
}
static void b_timed_a(void) {
    mtx_lock(&b);
    meet(0);
    const struct timespec until = soon(100);
    if (mtx_timedlock(&a, &until) == thrd_success) mtx_unlock(&a);
    mtx_unlock(&b);
}
static void b_try_a(void) {
    mtx_lock(&b);
    meet(0);
    if (mtx_trylock(&a) == thrd_success) mtx_unlock(&a);
    mtx_unlock(&b);
}
static void mtx_timed_back(void) {
    make(mtx_timed);
    RUN(in_threads, ab, b_timed_a);
}
static void mtx_try_back(void) {
    make(mtx_plain);
    RUN(in_threads, ab, b_try_a);
}

static pthread_mutex_t posix = PTHREAD_MUTEX_INITIALIZER;
static void a_then_posix(void) {
    mtx_lock(&a);
    meet(0);
    lock(&posix);
    unlock(&posix);
    mtx_unlock(&a);
}
static void posix_then_a(void) {
    lock(&posix);
    meet(0);
    mtx_lock(&a);
    mtx_unlock(&a);
    unlock(&posix);
}
static void mtx_and_pthread_mutex(void) {
    make(mtx_plain);
    RUN(in_threads, a_then_posix, posix_then_a);
}

struct pair {
    mtx_t in, out;
};
static struct pair* pairs[2];
static struct pair* __attribute__((noinline)) pair_new(void) {
    struct pair* made = malloc(sizeof *made);
    mtx_init(&made->in, mtx_plain);
    mtx_init(&made->out, mtx_plain);
    return made;
}
static void in_out(void) {
    mtx_lock(&pairs[0]->in);
    meet(0);
    mtx_lock(&pairs[0]->out);
    mtx_unlock(&pairs[0]->out);
    mtx_unlock(&pairs[0]->in);
}
static void out_in(void) {
    struct pair* pair = pairs[forced ? 0 : 1];
    mtx_lock(&pair->out);
    meet(0);
    mtx_lock(&pair->in);
    mtx_unlock(&pair->in);
    mtx_unlock(&pair->out);
}
static void mtx_class(void) {
    pairs[0] = pair_new();
    pairs[1] = pair_new();
    RUN(in_threads, in_out, out_in);
}

static void mtx_relock(void) {
    make(mtx_plain);
    mtx_lock(&a);
    mtx_lock(&a);
}
static void mtx_unlock_unheld(void) {
    make(mtx_plain);
    mtx_lock(&a);
    mtx_unlock(&a);
    mtx_unlock(&a);
}
static void unlock_a(void) {
    mtx_unlock(&a);
}
static void mtx_unlock_by_stranger(void) {
    make(mtx_plain);
    mtx_lock(&a);
    RUN(in_threads, unlock_a);
}
static void mtx_destroy_held(void) {
    make(mtx_plain);
    mtx_lock(&a);
    mtx_destroy(&a);
}
static int hold_a(void* way) {
    mtx_lock(&a);
    if (way) thrd_exit(0);
    return 0;
}
static void thrd_returns_holding(void) {
    make(mtx_plain);
    thrd_t thread;
    thrd_create(&thread, hold_a, NULL);
    thrd_join(thread, NULL);
}
static void thrd_exit_holding(void) {
    make(mtx_plain);
    thrd_t thread;
    thrd_create(&thread, hold_a, &a);
    thrd_join(thread, NULL);
}
static int take_a(void* unused) {
    (void)unused;
    if (forced) hear(3);
    mtx_lock(&a);
    mtx_unlock(&a);
    first(1);
    return 0;
}
static void thrd_join_holding(void) {
    make(mtx_plain);
    thrd_t thread;
    thrd_create(&thread, take_a, NULL);
    then(1);
    mtx_lock(&a);
    tell(3);
    thrd_join(thread, NULL);
    mtx_unlock(&a);
}
static void make_condition(void) {
    mtx_init(&l, mtx_plain);
    mtx_init(&m, mtx_plain);
    cnd_init(&condition);
}
static void wait_until_ready(void) {
    mtx_lock(&m);
    tell(2);
    while (!ready) cnd_wait(&condition, &m);
    mtx_unlock(&m);
}
static void make_ready(void) {
    hear(2);
    mtx_lock(&m);
    ready = 1;
    cnd_broadcast(&condition);
    mtx_unlock(&m);
}
static void wait_holding_l(void) {
    then(1);
    mtx_lock(&l);
    wait_until_ready();
    mtx_unlock(&l);
}
static void take_l_and_notify(void) {
    if (forced) hear(2);
    mtx_lock(&l);
    mtx_unlock(&l);
    first(1);
    make_ready();
}
static void cnd_wait_holding(void) {
    make_condition();
    RUN(at_once, wait_holding_l, take_l_and_notify);
}
static void cnd_wait_alone(void) {
    make_condition();
    RUN(at_once, wait_until_ready, make_ready);
}
static void mtx_recursive_again(void) {
    make(mtx_plain | mtx_recursive);
    for (int i = 0; i < 3; ++i) check(mtx_lock(&a) == thrd_success);
    for (int i = 0; i < 3; ++i) check(mtx_unlock(&a) == thrd_success);
}
static tss_t key;
static void unlock_it(void* held) {
    mtx_unlock(held);
}
static void hold_with_key(void) {
    mtx_lock(&a);
    tss_set(key, &a);
}
static void tss_unlocks(void) {
    make(mtx_plain);
    tss_create(&key, unlock_it);
    RUN(in_threads, hold_with_key);
}

MAIN(CASE(mtx_abba), CASE(mtx_timed_abba), CASE(mtx_recursive_abba), CASE(mtx_and_pthread_mutex),
     CASE(mtx_class), CASE(mtx_relock), CASE(mtx_unlock_unheld), CASE(mtx_unlock_by_stranger),
     CASE(mtx_destroy_held), CASE(thrd_returns_holding), CASE(thrd_exit_holding),
     CASE(thrd_join_holding), CASE(cnd_wait_holding), CASE(mtx_in_order), CASE(mtx_timed_back),
     CASE(mtx_try_back), CASE(mtx_recursive_again), CASE(cnd_wait_alone), CASE(tss_unlocks))
