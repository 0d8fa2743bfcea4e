// SPDX-License-Identifier: Apache-2.0
// Readers and writers. Readers of the two reader-preferring kinds never wait behind a queued
// writer; those of the fair kind (WRITER_NONRECURSIVE) do.
// case: recursive_read_then_writer | recursive-read | a fair rwlock read twice; a thread writes it later
// case: recursive_read_after_writer | recursive-read | the writer was there before the readers
// case: recursive_read_same_thread_writes | recursive-read | one thread does all: other runs have two
// case: recursive_read_static | recursive-read | a static initializer of the fair kind
// case: recursive_read_other_object | recursive-read | the writer write-locks another object of the same class
// case: recursive_read_under_mutex | recursive-read +order | a mutex is taken between the two reads
// case: recursive_read_two_functions | recursive-read | the second read is in a function that is called with the first held
// case: recursive_read_writer_sometimes_gated | recursive-read | one writer is under the gate of the readers, another is not
// case: recursive_read_read_gate | recursive-read | readers and writer hold a gate for reading only: it keeps nobody out
// case: recursive_read_try_first | recursive-read | the first read was got by a try, and is held
// case: recursive_read_three_deep | recursive-read | three reads within each other
// case: recursive_read_default | silent | the default kind: the second read never waits
// case: recursive_read_prefer_writer | silent | PREFER_WRITER behaves like the default kind
// case: recursive_read_shared_mutex | silent | std::shared_mutex is of the default kind
// case: recursive_read_shared_timed_mutex | silent | so is std::shared_timed_mutex
// case: recursive_read_no_writer | silent | nothing ever write-locks it
// case: recursive_read_try_writer | silent | the only writer tries, and never queues
// case: recursive_read_timed_writer | silent | the only writer gives up after a while
// case: recursive_read_gated_writer | silent | the writer writes under a mutex that the readers hold
// case: recursive_read_second_tries | silent | the second read is a try
// case: recursive_read_second_timed | silent | the second read gives up after a while
// case: read_by_two_threads | silent | two threads read, a third writes, nobody nests
// case: read_again_after_release | silent | read, released, read again, with a writer
// case: read_rings_fair | order | R then S, S then R, both for reading, fair, and both are written by others
// case: read_rings_fair_no_writer | silent | the same without any writer
// case: read_rings_fair_one_written | silent | only R is ever written: nobody waits at S
// case: read_rings_fair_try_writers | silent | both are written, but by tries only
// case: read_rings_default | silent | the default kind, with writers
// case: read_rings_prefer_writer | silent | PREFER_WRITER, with writers
// case: read_rings_shared_mutex | silent | std::shared_mutex, with writers
// case: read_rings_mixed_kinds | silent | R is fair, S is of the default kind: nobody waits at S
// case: read_mutex_fair | order | read R then A, A then read R, fair, R is written by another
// case: read_mutex_fair_no_writer | silent | the same, and nothing writes R
// case: read_mutex_default | silent | the default kind, with a writer: who wants to read R never waits for a reader
// case: read_mutex_write | order | read R then A, A then write R
// case: write_mutex_read | order | write R then A, A then read R
// case: read_write_write_read | order | read R then write S, read S then write R
// case: kernel_wr_wr_wr | order | W1 R2, W2 R3, W3 R1
// case: kernel_ww_rr_wr | order | W1 W2, R2 R3, W3 R1
// case: kernel_ww_rr_rw | silent | W1 W2, R2 R3, R3 W1: at 3 a reader meets a reader
// case: kernel_wr_rr_ww | silent | W1 R2, R2 R3, W3 W1: at 2 a reader meets a reader
// case: kernel_ww_rr_rw_fair | silent | the same over fair ones: nothing writes 3
// case: kernel_ww_rr_rw_fair_written | order | fair, and another thread writes 3
// case: objects_of_a_class_in_order | silent | two fair objects of one class read in one order: no lock is read twice
// case: objects_of_a_class_both_orders | order | the same two objects in both orders
// case: upgrade_by_release | silent | read, released, then written, by two threads
// case: two_reads_in_order | silent | R then S for reading in one order, fair, with writers
// case: write_then_read_of_another | silent | W R in one order only
#include <mutex>
#include <shared_mutex>

#include "corpus.h"

namespace {

pthread_rwlock_t fair = FAIR_RWLOCK;
pthread_rwlock_t fair_s = FAIR_RWLOCK;
pthread_rwlock_t fair_t = FAIR_RWLOCK;
pthread_rwlock_t normal = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t normal_s = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t normal_t = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t made, made_s;
pthread_rwlock_t read_gate = PTHREAD_RWLOCK_INITIALIZER;
pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
std::shared_mutex shared, shared_s;
std::shared_timed_mutex shared_timed;

void make_rwlock(pthread_rwlock_t* rwlock, int kind) {
    pthread_rwlockattr_t attribute;
    pthread_rwlockattr_init(&attribute);
    check(pthread_rwlockattr_setkind_np(&attribute, kind) == 0);
    pthread_rwlock_init(rwlock, &attribute);
    pthread_rwlockattr_destroy(&attribute);
}

// --- single steps; forced, the readers wait until the writers are queued ---
template <pthread_rwlock_t& R>
void read_twice() {
    read_lock(&R);
    meet(0);
    settle();
    read_lock(&R);
    rw_unlock(&R);
    rw_unlock(&R);
}
template <pthread_rwlock_t& R>
void write() {
    meet(0);
    write_lock(&R);
    rw_unlock(&R);
}
template <pthread_rwlock_t& R>
void try_write() {
    meet(0);
    if (pthread_rwlock_trywrlock(&R) == 0) rw_unlock(&R);
}
template <pthread_rwlock_t& R>
void timed_write() {
    meet(0);
    const timespec until = soon(200);
    if (pthread_rwlock_timedwrlock(&R, &until) == 0) rw_unlock(&R);
}

using Step = int (*)(pthread_rwlock_t*);
constexpr Step read_it = pthread_rwlock_rdlock;
constexpr Step write_it = pthread_rwlock_wrlock;

template <Step First, pthread_rwlock_t& R, Step Second, pthread_rwlock_t& S>
void nest() {
    First(&R);
    meet(0);
    settle();
    Second(&S);
    rw_unlock(&S);
    rw_unlock(&R);
}
template <pthread_rwlock_t& R, pthread_rwlock_t& S>
constexpr path_function read_both = nest<read_it, R, read_it, S>;

template <Step First, pthread_rwlock_t& R>
void then_mutex() {
    First(&R);
    meet(0);
    settle();
    lock(&a);
    unlock(&a);
    rw_unlock(&R);
}
template <Step Second, pthread_rwlock_t& R>
void mutex_then() {
    lock(&a);
    meet(0);
    settle();
    Second(&R);
    rw_unlock(&R);
    unlock(&a);
}

// --- one lock, read twice ---
void recursive_read_then_writer() {
    make_rwlock(&made, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    RUN(in_threads, read_twice<made>, write<made>);
}
void recursive_read_after_writer() {
    make_rwlock(&made, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    RUN(in_threads, write<made>, read_twice<made>);
}
void recursive_read_same_thread_writes() {
    make_rwlock(&made, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    RUN(in_turn, read_twice<made>, write<made>);
}
void recursive_read_static() {
    RUN(in_threads, read_twice<fair>, write<fair>);
}

/// One place makes them all.
struct Shelf {
    int books = 0;
    pthread_rwlock_t rwlock;
    Shelf() { make_rwlock(&rwlock, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP); }
};
Shelf* shelves[2];
__attribute__((noinline)) void make_shelf(int at) {
    shelves[at] = new Shelf;
}
void recursive_read_other_object() {
    for (int at = 0; at < 2; ++at) make_shelf(at);
    RUN(
        in_threads,
        [] {
            read_lock(&shelves[0]->rwlock);
            meet(0);
            settle();
            read_lock(&shelves[0]->rwlock);
            rw_unlock(&shelves[0]->rwlock);
            rw_unlock(&shelves[0]->rwlock);
        },
        [] {
            meet(0);
            pthread_rwlock_t* object = &shelves[forced ? 0 : 1]->rwlock;
            write_lock(object);
            rw_unlock(object);
        });
}
void recursive_read_under_mutex() {
    RUN(
        in_threads,
        [] {
            read_lock(&fair);
            lock(&a);
            meet(0);
            settle();
            read_lock(&fair);
            rw_unlock(&fair);
            unlock(&a);
            rw_unlock(&fair);
        },
        write<fair>);
}

__attribute__((noinline)) void look_up() {
    read_lock(&fair);
    rw_unlock(&fair);
}
void look_up_all() {
    read_lock(&fair);
    meet(0);
    settle();
    look_up();
    rw_unlock(&fair);
}
void recursive_read_two_functions() {
    RUN(in_threads, look_up_all, write<fair>);
}

template <void (*Path)()>
void under_a() {
    lock(&a);
    Path();
    unlock(&a);
}
void recursive_read_writer_sometimes_gated() {
    RUN(in_threads, under_a<read_twice<fair>>, under_a<write<fair>>, write<fair>);
}
template <void (*Path)()>
void inside_read_gate() {
    read_lock(&read_gate);
    Path();
    rw_unlock(&read_gate);
}
void recursive_read_read_gate() {
    RUN(in_threads, inside_read_gate<read_twice<fair>>, inside_read_gate<write<fair>>);
}
void recursive_read_try_first() {
    RUN(
        in_threads,
        [] {
            check(pthread_rwlock_tryrdlock(&fair) == 0);
            meet(0);
            settle();
            read_lock(&fair);
            rw_unlock(&fair);
            rw_unlock(&fair);
        },
        write<fair>);
}
void recursive_read_three_deep() {
    RUN(
        in_turn,
        [] {
            read_lock(&fair);
            read_twice<fair>();
            rw_unlock(&fair);
        },
        write<fair>);
}

void recursive_read_default() {
    RUN(in_threads, read_twice<normal>, write<normal>);
}
void recursive_read_prefer_writer() {
    make_rwlock(&made, PTHREAD_RWLOCK_PREFER_WRITER_NP);
    RUN(in_threads, read_twice<made>, write<made>);
}
template <class Lock, Lock& R>
void std_read_twice() {
    std::shared_lock outer(R);
    meet(0);
    settle();
    std::shared_lock inner(R);
}
template <class Lock, Lock& R>
void std_write() {
    meet(0);
    std::unique_lock hold(R);
}
void recursive_read_shared_mutex() {
    RUN(in_threads, (std_read_twice<std::shared_mutex, shared>),
        (std_write<std::shared_mutex, shared>));
}
void recursive_read_shared_timed_mutex() {
    RUN(in_threads, (std_read_twice<std::shared_timed_mutex, shared_timed>),
        (std_write<std::shared_timed_mutex, shared_timed>));
}
void recursive_read_no_writer() {
    RUN(in_threads, read_twice<fair>, read_twice<fair>);
}
void recursive_read_try_writer() {
    RUN(in_threads, read_twice<fair>, try_write<fair>);
}
void recursive_read_timed_writer() {
    RUN(in_threads, read_twice<fair>, timed_write<fair>);
}
void recursive_read_gated_writer() {
    RUN(in_threads, under_a<read_twice<fair>>, under_a<write<fair>>);
}
void recursive_read_second_tries() {
    RUN(
        in_threads,
        [] {
            read_lock(&fair);
            meet(0);
            settle();
            if (pthread_rwlock_tryrdlock(&fair) == 0) rw_unlock(&fair);
            rw_unlock(&fair);
        },
        write<fair>);
}
void recursive_read_second_timed() {
    RUN(
        in_threads,
        [] {
            read_lock(&fair);
            meet(0);
            settle();
            const timespec until = soon(100);
            if (pthread_rwlock_timedrdlock(&fair, &until) == 0) rw_unlock(&fair);
            rw_unlock(&fair);
        },
        write<fair>);
}
void read_once() {
    read_lock(&fair);
    meet(0);
    settle();
    rw_unlock(&fair);
}
void read_by_two_threads() {
    RUN(in_threads, read_once, read_once, write<fair>);
}
void read_and_again() {
    read_once();
    read_once();
}
void read_again_after_release() {
    RUN(in_threads, read_and_again, write<fair>);
}

// --- rings ---
void read_rings_fair() {
    RUN(in_threads, (read_both<fair, fair_s>), (read_both<fair_s, fair>), write<fair>,
        write<fair_s>);
}
void read_rings_fair_no_writer() {
    RUN(in_threads, (read_both<fair, fair_s>), (read_both<fair_s, fair>));
}
void read_rings_fair_one_written() {
    RUN(in_threads, (read_both<fair, fair_s>), (read_both<fair_s, fair>), write<fair>);
}
void read_rings_fair_try_writers() {
    RUN(in_threads, (read_both<fair, fair_s>), (read_both<fair_s, fair>), try_write<fair>,
        try_write<fair_s>);
}
void read_rings_default() {
    RUN(in_threads, (read_both<normal, normal_s>), (read_both<normal_s, normal>), write<normal>,
        write<normal_s>);
}
void read_rings_prefer_writer() {
    make_rwlock(&made, PTHREAD_RWLOCK_PREFER_WRITER_NP);
    make_rwlock(&made_s, PTHREAD_RWLOCK_PREFER_WRITER_NP);
    RUN(in_threads, (read_both<made, made_s>), (read_both<made_s, made>), write<made>,
        write<made_s>);
}
template <std::shared_mutex& R, std::shared_mutex& S>
void std_read_both() {
    std::shared_lock outer(R);
    meet(0);
    settle();
    std::shared_lock inner(S);
}
void read_rings_shared_mutex() {
    RUN(in_threads, (std_read_both<shared, shared_s>), (std_read_both<shared_s, shared>),
        (std_write<std::shared_mutex, shared>), (std_write<std::shared_mutex, shared_s>));
}
void read_rings_mixed_kinds() {
    RUN(in_threads, (read_both<fair, normal>), (read_both<normal, fair>), write<fair>,
        write<normal>);
}
void read_mutex_fair() {
    RUN(in_threads, (then_mutex<read_it, fair>), (mutex_then<read_it, fair>), write<fair>);
}
void read_mutex_fair_no_writer() {
    RUN(in_threads, (then_mutex<read_it, fair>), (mutex_then<read_it, fair>));
}
void read_mutex_default() {
    RUN(in_threads, (then_mutex<read_it, normal>), (mutex_then<read_it, normal>), write<normal>);
}
void read_mutex_write() {
    RUN(in_threads, (then_mutex<read_it, normal>), (mutex_then<write_it, normal>));
}
void write_mutex_read() {
    RUN(in_threads, (then_mutex<write_it, normal>), (mutex_then<read_it, normal>));
}
void read_write_write_read() {
    RUN(in_threads, (nest<read_it, normal, write_it, normal_s>),
        (nest<read_it, normal_s, write_it, normal>));
}

// Three nests over three locks: the rows of the kernel's self-test with three threads.
constexpr auto W = write_it;
constexpr auto R = read_it;
void kernel_wr_wr_wr() {
    RUN(in_threads, (nest<W, normal, R, normal_s>), (nest<W, normal_s, R, normal_t>),
        (nest<W, normal_t, R, normal>));
}
void kernel_ww_rr_wr() {
    RUN(in_threads, (nest<W, normal, W, normal_s>), (nest<R, normal_s, R, normal_t>),
        (nest<W, normal_t, R, normal>));
}
void kernel_ww_rr_rw() {
    RUN(in_threads, (nest<W, normal, W, normal_s>), (nest<R, normal_s, R, normal_t>),
        (nest<R, normal_t, W, normal>));
}
void kernel_wr_rr_ww() {
    RUN(in_threads, (nest<W, normal, R, normal_s>), (nest<R, normal_s, R, normal_t>),
        (nest<W, normal_t, W, normal>));
}
void kernel_ww_rr_rw_fair() {
    RUN(in_threads, (nest<W, fair, W, fair_s>), (nest<R, fair_s, R, fair_t>),
        (nest<R, fair_t, W, fair>));
}
void kernel_ww_rr_rw_fair_written() {
    RUN(in_threads, (nest<W, fair, W, fair_s>), (nest<R, fair_s, R, fair_t>),
        (nest<R, fair_t, W, fair>), write<fair_t>);
}

void read_then_write() {
    read_lock(&fair);
    meet(0);
    rw_unlock(&fair);
    write_lock(&fair);
    rw_unlock(&fair);
}
void upgrade_by_release() {
    RUN(in_threads, read_then_write, read_then_write);
}
void make_two() {
    for (auto* object : {&made, &made_s})
        make_rwlock(object, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
}
void objects_of_a_class_in_order() {
    make_two();
    RUN(in_threads, (read_both<made, made_s>), (read_both<made, made_s>), write<made>,
        write<made_s>);
}
void objects_of_a_class_both_orders() {
    make_two();
    RUN(in_threads, (read_both<made, made_s>), (read_both<made_s, made>), write<made>,
        write<made_s>);
}
void two_reads_in_order() {
    RUN(in_threads, (read_both<fair, fair_s>), (read_both<fair, fair_s>), write<fair>,
        write<fair_s>);
}
void write_then_read_of_another() {
    RUN(in_threads, (nest<W, normal, R, normal_s>), (nest<W, normal, W, normal_s>),
        (nest<R, normal, R, normal_s>));
}

}  // namespace

MAIN(CASE(recursive_read_then_writer), CASE(recursive_read_after_writer),
     CASE(recursive_read_same_thread_writes), CASE(recursive_read_static),
     CASE(recursive_read_other_object), CASE(recursive_read_under_mutex),
     CASE(recursive_read_two_functions), CASE(recursive_read_writer_sometimes_gated),
     CASE(recursive_read_read_gate), CASE(recursive_read_try_first),
     CASE(recursive_read_three_deep), CASE(recursive_read_default),
     CASE(recursive_read_prefer_writer), CASE(recursive_read_shared_mutex),
     CASE(recursive_read_shared_timed_mutex), CASE(recursive_read_no_writer),
     CASE(recursive_read_try_writer), CASE(recursive_read_timed_writer),
     CASE(recursive_read_gated_writer), CASE(recursive_read_second_tries),
     CASE(recursive_read_second_timed), CASE(read_by_two_threads), CASE(read_again_after_release),
     CASE(read_rings_fair), CASE(read_rings_fair_no_writer), CASE(read_rings_fair_one_written),
     CASE(read_rings_fair_try_writers), CASE(read_rings_default), CASE(read_rings_prefer_writer),
     CASE(read_rings_shared_mutex), CASE(read_rings_mixed_kinds), CASE(read_mutex_fair),
     CASE(read_mutex_fair_no_writer), CASE(read_mutex_default), CASE(read_mutex_write),
     CASE(write_mutex_read), CASE(read_write_write_read), CASE(kernel_wr_wr_wr),
     CASE(kernel_ww_rr_wr), CASE(kernel_ww_rr_rw), CASE(kernel_wr_rr_ww),
     CASE(kernel_ww_rr_rw_fair), CASE(kernel_ww_rr_rw_fair_written),
     CASE(objects_of_a_class_in_order), CASE(objects_of_a_class_both_orders),
     CASE(upgrade_by_release), CASE(two_reads_in_order), CASE(write_then_read_of_another))
