// SPDX-License-Identifier: Apache-2.0
// Many locks, many pairs, little stack, fibers and unwinding.
// case: hold_200 | silent | 200 locks held at once, in one order, twice
// case: hold_1000 | silent | 1,000 locks held at once
// case: hold_200_inverted | order | and then the first under the last | noproof
// case: hold_1000_reads | silent | 1,000 rwlocks read at once
// case: ten_thousand_of_a_class | silent | 10,000 objects of one class, each used in one order
// case: ten_thousand_inverted | order | object 9,999 is used the other way round | noproof
// case: ten_thousand_held_pairs | silent | a chain through 10,000 objects, by address
// case: ten_thousand_chain_closed | order | and then the first under the last | noproof
// case: million_pairs | silent | one nested pair, 1,000,000 times
// case: million_object_pairs | silent | about 1,000,000 different pairs of objects, by address
// case: many_short_threads | silent | 500 threads, one after another
// case: recursion_ten_thousand_deep | silent | a recursive mutex 10,000 times
// case: small_stack | silent | a thread with the smallest stack (PTHREAD_STACK_MIN) locks in order
// case: small_stack_inverted | order | and has the inversion | noproof
// case: small_signal_stack | silent | a handler on an alternate stack of 8 KiB takes a lock of its own
// case: fibers | silent | two fibers of one thread take their locks in order, and switch in between
// case: fibers_inverted | order | AB in one fiber, BA in another | noproof
// case: longjmp_out_of_handler | silent | a handler jumps out, and gives up what it had taken first
// case: longjmp_over_frames | silent | the lock is given up by who lands
// case: exceptions_unwind_guards | silent | exceptions leave guarded scopes, in one order
// case: exceptions_inverted | order | both orders, each scope left by an exception | noproof
// case: deep_call_stack | order | the inversion is 3,000 frames deep | noproof
// case: lambdas_in_threads | silent | eight std::threads with captures, in order
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "corpus.h"

namespace {

pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t b = PTHREAD_MUTEX_INITIALIZER;

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

std::vector<pthread_mutex_t> many;
void hold_all() {
    for (auto& mutex : many) lock(&mutex);
    for (auto& mutex : many) unlock(&mutex);
}
void hold_many(size_t count) {
    many.assign(count, PTHREAD_MUTEX_INITIALIZER);
    RUN(in_threads, hold_all, hold_all);
}
void hold_200() {
    hold_many(200);
}
void hold_1000() {
    hold_many(1000);
}
void first_under_last() {
    lock(&many.back());
    lock(&many.front());
    unlock(&many.front());
    unlock(&many.back());
}
void hold_200_inverted() {
    hold_many(200);
    first_under_last();
}
void hold_1000_reads() {
    std::vector<pthread_rwlock_t> rwlocks(1000, PTHREAD_RWLOCK_INITIALIZER);
    for (auto& rwlock : rwlocks) read_lock(&rwlock);
    for (auto& rwlock : rwlocks) rw_unlock(&rwlock);
}

struct Object {
    std::mutex in, out;
};
std::vector<std::unique_ptr<Object>> objects;
void make_objects(int count) {
    for (int i = 0; i < count; ++i) objects.push_back(std::make_unique<Object>());
}
void nest(std::mutex& outer, std::mutex& inner) {
    std::lock_guard hold_outer(outer);
    std::lock_guard hold_inner(inner);
}
void use_objects() {
    for (auto& object : objects) nest(object->in, object->out);
}
void ten_thousand_of_a_class() {
    make_objects(10000);
    RUN(in_threads, use_objects, use_objects);
}
void ten_thousand_inverted() {
    make_objects(10000);
    for (size_t i = 0; i + 1 < objects.size(); ++i) nest(objects[i]->in, objects[i]->out);
    nest(objects.back()->out, objects.back()->in);
}
void walk_chain() {
    for (size_t i = 0; i + 1 < objects.size(); ++i) nest(objects[i]->in, objects[i + 1]->in);
}
void ten_thousand_held_pairs() {
    make_objects(10000);
    RUN(in_threads, walk_chain, walk_chain);
}
void ten_thousand_chain_closed() {
    make_objects(10000);
    walk_chain();
    nest(objects.back()->in, objects.front()->in);
}
void million_pairs() {
    for (int i = 0; i < 1000000; ++i) {
        lock(&a);
        lock(&b);
        unlock(&b);
        unlock(&a);
    }
}
void million_object_pairs() {
    make_objects(1415);
    for (size_t i = 0; i < objects.size(); ++i)
        for (size_t j = i + 1; j < objects.size(); ++j) nest(objects[i]->in, objects[j]->in);
}
void many_short_threads() {
    for (int i = 0; i < (forced ? 20 : 500); ++i) RUN(in_threads, ab);
}
void recursion_ten_thousand_deep() {
    pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    for (int i = 0; i < 10000; ++i) check(lock(&recursive) == 0);
    for (int i = 0; i < 10000; ++i) check(unlock(&recursive) == 0);
}

// --- stacks ---
void* run_on_small_stack(void* path) {
    reinterpret_cast<void (*)()>(path)();
    return nullptr;
}
void with_small_stack(void (*path)()) {
    pthread_attr_t attribute;
    pthread_attr_init(&attribute);
    check(pthread_attr_setstacksize(&attribute, 16384) == 0);
    pthread_t thread;
    check(pthread_create(&thread, &attribute, run_on_small_stack, reinterpret_cast<void*>(path)) ==
          0);
    pthread_join(thread, nullptr);
}
void small_stack() {
    with_small_stack(ab);
}
void small_stack_inverted() {
    with_small_stack(ab);
    with_small_stack(ba);
}
volatile sig_atomic_t handled;
void small_signal_stack() {
    static char stack[8192];
    const stack_t other = {stack, 0, sizeof stack};
    check(sigaltstack(&other, nullptr) == 0);
    struct sigaction action = {};
    action.sa_flags = SA_ONSTACK;
    action.sa_handler = [](int) {
        lock(&b);
        unlock(&b);
        handled = 1;
    };
    sigaction(SIGUSR1, &action, nullptr);
    lock(&a);
    raise(SIGUSR1);
    unlock(&a);
    check(handled);
}

// --- fibers ---
ucontext_t fiber_contexts[2], main_context;
void fiber_body(int which, int inverted) {
    for (int i = 0; i < 3; ++i) {
        if (inverted && which == 1)
            ba();
        else
            ab();
        swapcontext(&fiber_contexts[which], &fiber_contexts[1 - which]);
    }
}
void run_fibers(int inverted) {
    static char stacks[2][65536];
    for (int which : {1, 0}) {
        getcontext(&fiber_contexts[which]);
        fiber_contexts[which].uc_stack = {stacks[which], 0, sizeof stacks[which]};
        fiber_contexts[which].uc_link = &main_context;
        makecontext(&fiber_contexts[which], reinterpret_cast<void (*)()>(fiber_body), 2, which,
                    inverted);
    }
    swapcontext(&main_context, &fiber_contexts[0]);
}
void fibers() {
    run_fibers(0);
}
void fibers_inverted() {
    run_fibers(1);
}

// --- unwinding ---
sigjmp_buf landing;
void longjmp_out_of_handler() {
    signal(SIGUSR1, [](int) {
        lock(&b);
        unlock(&b);
        siglongjmp(landing, 1);
    });
    lock(&a);
    if (sigsetjmp(landing, 1) == 0) raise(SIGUSR1);
    unlock(&a);
    ab();
}
__attribute__((noinline)) void jump_out() {
    lock(&a);
    siglongjmp(landing, 1);
}
void longjmp_over_frames() {
    if (sigsetjmp(landing, 0) == 0) jump_out();
    unlock(&a);
    ab();
}
std::mutex one, two;
__attribute__((noinline)) void throw_under(std::mutex& outer, std::mutex& inner) {
    std::lock_guard hold_outer(outer);
    std::lock_guard hold_inner(inner);
    throw std::runtime_error("out");
}
void catch_from(std::mutex& outer, std::mutex& inner) {
    try {
        throw_under(outer, inner);
    } catch (const std::runtime_error&) {}
}
void exceptions_unwind_guards() {
    for (int i = 0; i < 100; ++i) catch_from(one, two);
}
void exceptions_inverted() {
    catch_from(one, two);
    catch_from(two, one);
}
__attribute__((noinline)) int descend(int depth) {
    if (depth == 0) {
        ab();
        ba();
        return 1;
    }
    const int below = descend(depth - 1);
    __asm__ volatile("" ::: "memory");
    return below + 1;
}
void deep_call_stack() {
    check(descend(3000) == 3001);
}
void lambdas_in_threads() {
    std::vector<std::thread> threads;
    int sum = 0;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&sum, i] {
            std::lock_guard outer(one);
            std::lock_guard inner(two);
            sum += i;
        });
    for (auto& thread : threads) thread.join();
    check(sum == 28);
}

}  // namespace

MAIN(CASE(hold_200), CASE(hold_1000), CASE(hold_200_inverted), CASE(hold_1000_reads),
     CASE(ten_thousand_of_a_class), CASE(ten_thousand_inverted), CASE(ten_thousand_held_pairs),
     CASE(ten_thousand_chain_closed), CASE(million_pairs), CASE(million_object_pairs),
     CASE(many_short_threads), CASE(recursion_ten_thousand_deep), CASE(small_stack),
     CASE(small_stack_inverted), CASE(small_signal_stack), CASE(fibers), CASE(fibers_inverted),
     CASE(longjmp_out_of_handler), CASE(longjmp_over_frames), CASE(exceptions_unwind_guards),
     CASE(exceptions_inverted), CASE(deep_call_stack), CASE(lambdas_in_threads))
