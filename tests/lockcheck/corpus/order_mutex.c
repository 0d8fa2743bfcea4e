// SPDX-License-Identifier: Apache-2.0
// Rings of plain mutexes.
// case: abba_in_turn | order | A then B, B then A, by one thread in turn: code paths count as concurrent
// case: abba_in_threads | order | A then B in one thread, B then A in another after it has ended
// case: abc_ring | order | A then B, B then C, C then A
// case: abc_ring_in_threads | order | the same by three threads, each of which has ended before the next
// case: five_ring | order | a ring of five locks by five threads
// case: abcabc | order | A B, C A, B C: the ring closes with the last pair
// case: abccdda | order | A B, B C, C D, D A
// case: ab_bd_da_beside | order | A B C D held at once, and later D then A
// case: second_held_closes | order | B is wanted while A and X are held, A while B alone is
// case: not_released_in_order | order | A B, A given up, then C under B; and C then A: three threads can stand in a ring
// case: inner_of_three | order | A B C held; elsewhere C then B
// case: middle_function | order | the second lock is taken by a function that is called with the first held
// case: ab_ac_bc | silent | A B, A C, B C have one order
// case: five_in_order | silent | five locks, always in one order, some left out
// case: released_between | silent | A is given up before B is taken, and B before A
// case: same_order_twice | silent | A then B in both threads
// case: unlock_in_any_order | silent | the order of unlocking does not matter
// case: many_threads_one_order | silent | six threads take A B C in order
// case: one_lock | silent | a single lock by two threads
#include "corpus.h"

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t c = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t d = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t e = PTHREAD_MUTEX_INITIALIZER;

#define PATH(name, outer, inner) \
    static void name(void) {     \
        lock(&outer);            \
        meet(0);                 \
        lock(&inner);            \
        unlock(&inner);          \
        unlock(&outer);          \
    }

PATH(ab, a, b)
PATH(ba, b, a)
PATH(bc, b, c)
PATH(cb, c, b)
PATH(ca, c, a)
PATH(ac, a, c)
PATH(cd, c, d)
PATH(da, d, a)
PATH(de, d, e)
PATH(ea, e, a)

static void abba_in_turn(void) {
    RUN(in_turn, ab, ba);
}
static void abba_in_threads(void) {
    RUN(in_threads, ab, ba);
}
static void abc_ring(void) {
    RUN(in_turn, ab, bc, ca);
}
static void abc_ring_in_threads(void) {
    RUN(in_threads, ab, bc, ca);
}
static void five_ring(void) {
    RUN(in_threads, ab, bc, cd, de, ea);
}
static void abcabc(void) {
    RUN(in_turn, ab, ca, bc);
}
static void abccdda(void) {
    RUN(in_turn, ab, bc, cd, da);
}

static void abcd(void) {
    lock(&a);
    meet(0);
    lock(&b);
    lock(&c);
    lock(&d);
    unlock(&d);
    unlock(&c);
    unlock(&b);
    unlock(&a);
}
static void ab_bd_da_beside(void) {
    RUN(in_turn, abcd, da);
}

static void axb(void) {
    lock(&a);
    lock(&c);
    meet(0);
    lock(&b);
    unlock(&b);
    unlock(&c);
    unlock(&a);
}
static void second_held_closes(void) {
    RUN(in_turn, axb, ba);
}

static void a_to_b(void) {
    lock(&a);
    meet(0);
    lock(&b);
    unlock(&a);
    lock(&c);
    unlock(&c);
    unlock(&b);
}
static void b_then_c(void) {
    lock(&a);
    lock(&b);
    unlock(&a);
    tell(1);
    meet(0);
    lock(&c);
    unlock(&c);
    unlock(&b);
}
static void a_to_b_later(void) {
    if (forced) hear(1);
    a_to_b();
}
// The first path again, by a thread that has come further: it holds B and wants C.
static void not_released_in_order(void) {
    RUN(in_turn, b_then_c, a_to_b_later, ca);
}

static void abc(void) {
    lock(&a);
    lock(&b);
    meet(0);
    lock(&c);
    unlock(&c);
    unlock(&b);
    unlock(&a);
}
static void inner_of_three(void) {
    RUN(in_threads, abc, cb);
}

static void __attribute__((noinline)) add_to(pthread_mutex_t* account) {
    lock(account);
    unlock(account);
}
static void a_calls_b(void) {
    lock(&a);
    meet(0);
    add_to(&b);
    unlock(&a);
}
static void b_calls_a(void) {
    lock(&b);
    meet(0);
    add_to(&a);
    unlock(&b);
}
static void middle_function(void) {
    RUN(in_turn, a_calls_b, b_calls_a);
}

static void ab_ac_bc(void) {
    RUN(in_threads, ab, ac, bc);
}

static void ace(void) {
    lock(&a);
    meet(0);
    lock(&c);
    lock(&e);
    unlock(&e);
    unlock(&c);
    unlock(&a);
}
static void five_in_order(void) {
    RUN(in_threads, abcd, ace, bc, de);
}

static void a_and_then_b(void) {
    lock(&a);
    meet(0);
    unlock(&a);
    lock(&b);
    unlock(&b);
}
static void b_and_then_a(void) {
    lock(&b);
    meet(0);
    unlock(&b);
    lock(&a);
    unlock(&a);
}
static void released_between(void) {
    RUN(in_turn, a_and_then_b, b_and_then_a);
}
static void same_order_twice(void) {
    RUN(in_threads, ab, ab);
}

static void a_first_out(void) {
    lock(&a);
    meet(0);
    lock(&b);
    lock(&c);
    unlock(&a);
    unlock(&c);
    unlock(&b);
}
static void unlock_in_any_order(void) {
    RUN(in_threads, a_first_out, abc, abc);
}
static void many_threads_one_order(void) {
    RUN(in_threads, abc, abc, abc, abc, abc, abc);
}

static void only_a(void) {
    lock(&a);
    meet(0);
    unlock(&a);
}
static void one_lock(void) {
    RUN(in_threads, only_a, only_a);
}

MAIN(CASE(abba_in_turn), CASE(abba_in_threads), CASE(abc_ring), CASE(abc_ring_in_threads),
     CASE(five_ring), CASE(abcabc), CASE(abccdda), CASE(ab_bd_da_beside), CASE(second_held_closes),
     CASE(not_released_in_order), CASE(inner_of_three), CASE(middle_function), CASE(ab_ac_bc),
     CASE(five_in_order), CASE(released_between), CASE(same_order_twice), CASE(unlock_in_any_order),
     CASE(many_threads_one_order), CASE(one_lock))
