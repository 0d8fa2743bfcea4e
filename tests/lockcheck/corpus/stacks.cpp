// SPDX-License-Identifier: Apache-2.0
// Locks on stacks that other threads use, and on the stacks of fibers: they are gone with the
// frame, whoever used them, and are the same as long as it is there.
// case: frame_of_a_pool_again | silent | the locals of two functions, used by threads that each starts and joins
// case: frame_lent_by_queue_again | silent | the same, handed to one worker under a lock and a condition
// case: frame_lent_unseen_again | silent | the same, handed to one worker by a flag
// case: frame_of_a_function_again | silent | one function called at two places, whose threads use its local
// case: stack_of_a_thread_again | silent | a thread's local that another uses, and the next thread's
// case: stack_after_fork_again | silent | a thread's local, and after fork() that of a child's thread | noproof
// case: fiber_stack_again | silent | the locals of two fibers that run one after the other on one stack
// case: fiber_in_a_frame | silent | a fiber's stack is a local array, and the frame below it holds its own local | noproof
// case: frame_of_a_pool | order | one frame's local, used by threads that it starts and joins in between
// case: frame_lent_by_queue | order | one frame's local, handed twice to one worker
// case: frame_lent_unseen | order | the same, handed over by a flag
// case: frame_of_the_owner | order | one frame's local, in one order by its thread and in the other by another
// case: fiber_frame | order | one frame's local on a fiber's stack, in both orders on both sides of a switch
#include <sys/wait.h>
#include <ucontext.h>

#include <array>
#include <vector>

#include "corpus.h"

namespace {

constexpr pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t common = unlocked;

void common_then(pthread_mutex_t* mutex) {
    lock(&common);
    meet(0);
    lock(mutex);
    unlock(mutex);
    unlock(&common);
}
void then_common(pthread_mutex_t* mutex) {
    lock(mutex);
    meet(0);
    lock(&common);
    unlock(&common);
    unlock(mutex);
}
using Use = void (*)(pthread_mutex_t*);

/// Plainly, the second lock must come to where the first was, or the case shows nothing.
void* before;
void here(void* address) {
    if (!forced) check_usual(before == nullptr || before == address);
    before = address;
}

// --- a thread for each use ---
struct Job {
    Use use;
    pthread_mutex_t* mutex;
};
void* run_job(void* argument) {
    const Job& job = *static_cast<Job*>(argument);
    job.use(job.mutex);
    return nullptr;
}
void in_a_thread(Use use, pthread_mutex_t* mutex) {
    Job job{use, mutex};
    pthread_t thread;
    check(pthread_create(&thread, nullptr, run_job, &job) == 0);
    pthread_join(thread, nullptr);
}

__attribute__((noinline)) void pool_of_one_function() {
    pthread_mutex_t local = unlocked;
    here(&local);
    in_a_thread(common_then, &local);
    asm volatile("" : "+m"(local));
}
__attribute__((noinline)) void pool_of_another() {
    pthread_mutex_t local = unlocked;
    here(&local);
    in_a_thread(then_common, &local);
    asm volatile("" : "+m"(local));
}
void frame_of_a_pool_again() {
    RUN(in_turn, pool_of_one_function, pool_of_another);
}

__attribute__((noinline)) void pool_of(Use use) {
    pthread_mutex_t local = unlocked;
    here(&local);
    in_a_thread(use, &local);
    asm volatile("" : "+m"(local));
}
void at_one_place() {
    pool_of(common_then);
    asm volatile("");
}
void at_another() {
    pool_of(then_common);
    asm volatile("");
}
void frame_of_a_function_again() {
    RUN(in_turn, at_one_place, at_another);
}

pthread_mutex_t* shared;
__attribute__((noinline)) void share(pthread_mutex_t* local) {
    shared = local;
}
void shared_in_one_order() {
    common_then(shared);
}
void shared_in_the_other() {
    then_common(shared);
}
void frame_of_a_pool() {
    pthread_mutex_t local = unlocked;
    share(&local);
    RUN(in_threads, shared_in_one_order, shared_in_the_other);
}
void frame_of_the_owner() {
    pthread_mutex_t local = unlocked;
    share(&local);
    if (forced) {
        RUN(in_threads, shared_in_one_order, shared_in_the_other);
        return;
    }
    then_common(&local);
    in_a_thread(common_then, &local);
}

// --- one worker ---
// In the forced build, each use has a thread of its own.
pthread_mutex_t queue_lock = unlocked;
pthread_cond_t queue_changed = PTHREAD_COND_INITIALIZER;
Job queued;
bool has_job, is_over;

void* serve_queue(void*) {
    lock(&queue_lock);
    while (!is_over) {
        if (has_job) {
            const Job job = queued;
            unlock(&queue_lock);
            job.use(job.mutex);
            lock(&queue_lock);
            has_job = false;
            pthread_cond_broadcast(&queue_changed);
        } else {
            pthread_cond_wait(&queue_changed, &queue_lock);
        }
    }
    unlock(&queue_lock);
    return nullptr;
}
void by_queue(Use use, pthread_mutex_t* mutex) {
    if (forced) {
        in_a_thread(use, mutex);
        return;
    }
    lock(&queue_lock);
    queued = {use, mutex};
    has_job = true;
    pthread_cond_broadcast(&queue_changed);
    while (has_job) pthread_cond_wait(&queue_changed, &queue_lock);
    unlock(&queue_lock);
}

int flag;
Job flagged;
void* serve_flag(void*) {
    for (int turn = 1; turn <= 3; turn += 2) {
        force_wait(&flag, turn);
        flagged.use(flagged.mutex);
        force_add(&flag);
    }
    return nullptr;
}
void by_flag(Use use, pthread_mutex_t* mutex) {
    if (forced) {
        in_a_thread(use, mutex);
        return;
    }
    static int turn = 0;
    flagged = {use, mutex};
    force_add(&flag);
    check(force_wait(&flag, turn += 2));
}

using Lend = void (*)(Use, pthread_mutex_t*);
template <Lend lend>
__attribute__((noinline)) void lent_by_one_function() {
    pthread_mutex_t local = unlocked;
    here(&local);
    lend(common_then, &local);
    asm volatile("" : "+m"(local));
}
template <Lend lend>
__attribute__((noinline)) void lent_by_another() {
    pthread_mutex_t local = unlocked;
    here(&local);
    lend(then_common, &local);
    asm volatile("" : "+m"(local));
}
template <Lend lend>
void lent_again() {
    if (forced) {
        RUN(in_turn, lent_by_one_function<lend>, lent_by_another<lend>);
        return;
    }
    lent_by_one_function<lend>();
    lent_by_another<lend>();
    asm volatile("");
}
template <Lend lend>
void lent_twice() {
    pthread_mutex_t local = unlocked;
    share(&local);
    if (forced) {
        RUN(in_threads, shared_in_one_order, shared_in_the_other);
        return;
    }
    lend(common_then, &local);
    lend(then_common, &local);
}
void with_queue(void (*work)()) {
    pthread_t worker;
    check(pthread_create(&worker, nullptr, serve_queue, nullptr) == 0);
    work();
    lock(&queue_lock);
    is_over = true;
    pthread_cond_broadcast(&queue_changed);
    unlock(&queue_lock);
    pthread_join(worker, nullptr);
}
void with_flag(void (*work)()) {
    pthread_t worker;
    if (!forced) check(pthread_create(&worker, nullptr, serve_flag, nullptr) == 0);
    work();
    if (!forced) pthread_join(worker, nullptr);
}
void frame_lent_by_queue_again() {
    with_queue(lent_again<by_queue>);
}
void frame_lent_by_queue() {
    with_queue(lent_twice<by_queue>);
}
void frame_lent_unseen_again() {
    with_flag(lent_again<by_flag>);
}
void frame_lent_unseen() {
    with_flag(lent_twice<by_flag>);
}

// --- stacks of threads ---
void thread_with_one_local() {
    pool_of_one_function();
}
void thread_with_another() {
    pool_of_another();
}
void stack_of_a_thread_again() {
    RUN(in_threads, thread_with_one_local, thread_with_another);
}

void* keep_a_local(void*) {
    pthread_mutex_t local = unlocked;
    here(&local);
    common_then(&local);
    tell(0);
    sleep_ms(8000);
    asm volatile("" : "+m"(local));
    return nullptr;
}
void* use_a_local(void*) {
    pthread_mutex_t local = unlocked;
    here(&local);
    then_common(&local);
    asm volatile("" : "+m"(local));
    return nullptr;
}
void stack_after_fork_again() {
    pthread_t thread;
    check(pthread_create(&thread, nullptr, keep_a_local, nullptr) == 0);
    hear(0);
    const pid_t child = fork();
    if (child == 0) {
        check(pthread_create(&thread, nullptr, use_a_local, nullptr) == 0);
        pthread_join(thread, nullptr);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(status == 0);
}

// --- fibers ---
struct Fiber {
    std::vector<char> stack = std::vector<char>(65'536);
    ucontext_t context{}, caller{};

    void start(void (*work)()) {
        getcontext(&context);
        context.uc_stack.ss_sp = stack.data();
        context.uc_stack.ss_size = stack.size();
        context.uc_link = &caller;
        makecontext(&context, work, 0);
        go_on();
    }
    void go_on() { swapcontext(&caller, &context); }
    void give_up() { swapcontext(&context, &caller); }
};
void fiber_with_one_local() {
    pthread_mutex_t local = unlocked;
    here(&local);
    common_then(&local);
    asm volatile("" : "+m"(local));
}
void fiber_with_another() {
    pthread_mutex_t local = unlocked;
    here(&local);
    then_common(&local);
    asm volatile("" : "+m"(local));
}
Fiber fiber;
template <void work()>
void on_the_fiber() {
    if (forced) {
        Fiber own;
        own.start(work);
    } else {
        fiber.start(work);
    }
}
void fiber_stack_again() {
    RUN(in_turn, on_the_fiber<fiber_with_one_local>, on_the_fiber<fiber_with_another>);
}

void both_sides_of_a_switch() {
    pthread_mutex_t local = unlocked;
    share(&local);
    if (forced) {
        RUN(in_threads, shared_in_one_order, shared_in_the_other);
        return;
    }
    common_then(&local);
    fiber.give_up();
    then_common(&local);
}
void fiber_frame() {
    fiber.start(both_sides_of_a_switch);
    if (!forced) fiber.go_on();
}

ucontext_t inner, outer;
void take_common() {
    lock(&common);
    unlock(&common);
}
__attribute__((noinline)) void run_inner() {
    pthread_mutex_t local = unlocked;
    lock(&local);
    swapcontext(&outer, &inner);
    unlock(&local);
}
void fiber_in_a_frame() {
    std::array<char, 65'536> stack;
    getcontext(&inner);
    inner.uc_stack.ss_sp = stack.data();
    inner.uc_stack.ss_size = stack.size();
    inner.uc_link = &outer;
    makecontext(&inner, take_common, 0);
    run_inner();
    asm volatile("" : "+m"(stack));
}

}  // namespace

MAIN(CASE(frame_of_a_pool_again), CASE(frame_lent_by_queue_again), CASE(frame_lent_unseen_again),
     CASE(frame_of_a_function_again), CASE(stack_of_a_thread_again), CASE(stack_after_fork_again),
     CASE(fiber_stack_again), CASE(fiber_in_a_frame), CASE(frame_of_a_pool),
     CASE(frame_lent_by_queue), CASE(frame_lent_unseen), CASE(frame_of_the_owner),
     CASE(fiber_frame))
