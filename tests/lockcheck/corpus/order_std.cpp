// SPDX-License-Identifier: Apache-2.0
// std::lock and its kin, which try all but one of their locks; condition variables, whose waits
// give a mutex up and take it again.
// case: scoped_lock_any_order | silent | std::scoped_lock(a, b) and (b, a): it holds nothing while it waits
// case: std_lock_any_order | silent | std::lock(a, b) and (b, a)
// case: scoped_lock_three | silent | three locks, each path names them in another order
// case: scoped_lock_against_nested | silent | a then b by hand, and scoped_lock(b, a), which backs off
// case: deferred_then_std_lock | silent | unique_locks that std::lock fills, in both orders
// case: std_try_lock_any_order | silent | std::try_lock(a, b) and (b, a)
// case: scoped_lock_of_one | order | std::scoped_lock of one mutex each is a plain lock: AB, BA
// case: scoped_lock_inside | order | c, then scoped_lock(a, b); a, then c
// case: unique_lock_moved | order | the hold moves into another unique_lock, AB, BA
// case: wait_takes_again | order +held-while-wait | B is taken under the mutex of a wait and held in it: after it, the mutex is wanted under B
// case: wait_takes_again_try_b | order +held-while-wait | as before, but B was taken by a try: the wait alone makes the order B, M; elsewhere M, B
// case: timed_wait_takes_again | order | also a timed wait takes its mutex again without end
// case: wait_any_takes_again | order +held-while-wait | std::condition_variable_any over a std::mutex, B held in the wait
// case: order_before_the_wait | order | B, M and a wait; elsewhere M, B
// case: wait_gives_up | silent | what others do with the mutex while it is given up counts for them alone
// case: wait_any_alone | silent | std::condition_variable_any, which has a mutex of its own inside
// case: wait_under_the_outer_order | silent | A, M in the waiter and A, M in the notifier, a timed wait
// case: notify_under_the_mutex | silent | the notifier holds the mutex of the wait while it notifies
// case: call_once_in_order | silent | std::call_once and a mutex taken inside it
#include <condition_variable>
#include <mutex>

#include "corpus.h"

namespace {

std::mutex a, b, c;

void scoped_ab() {
    meet(0);
    for (int i = 0; i < 200; ++i) std::scoped_lock both(a, b);
}
void scoped_ba() {
    meet(0);
    for (int i = 0; i < 200; ++i) std::scoped_lock both(b, a);
}
void scoped_lock_any_order() {
    RUN(in_threads, scoped_ab, scoped_ba);
}

void std_ab() {
    std::lock(a, b);
    meet(0);
    a.unlock();
    b.unlock();
}
void std_ba() {
    std::lock(b, a);
    meet(0);
    a.unlock();
    b.unlock();
}
void std_lock_any_order() {
    RUN(in_threads, std_ab, std_ba);
}

void scoped_abc() {
    std::scoped_lock all(a, b, c);
}
void scoped_bca() {
    std::scoped_lock all(b, c, a);
}
void scoped_cab() {
    std::scoped_lock all(c, a, b);
}
void scoped_lock_three() {
    RUN(in_threads, scoped_abc, scoped_bca, scoped_cab, scoped_bca);
}

void nested_ab() {
    std::lock_guard outer(a);
    meet(0);
    std::lock_guard inner(b);
}
void scoped_ba_once() {
    meet(0);
    std::scoped_lock both(b, a);
}
void scoped_lock_against_nested() {
    RUN(in_threads, nested_ab, scoped_ba_once);
}

void deferred_ab() {
    std::unique_lock one(a, std::defer_lock), two(b, std::defer_lock);
    std::lock(one, two);
    meet(0);
}
void deferred_ba() {
    std::unique_lock one(b, std::defer_lock), two(a, std::defer_lock);
    std::lock(one, two);
    meet(0);
}
void deferred_then_std_lock() {
    RUN(in_threads, deferred_ab, deferred_ba);
}

void tried_ab() {
    if (std::try_lock(a, b) != -1) return;
    meet(0);
    a.unlock();
    b.unlock();
}
void tried_ba() {
    if (std::try_lock(b, a) != -1) return;
    meet(0);
    a.unlock();
    b.unlock();
}
void std_try_lock_any_order() {
    RUN(in_threads, tried_ab, tried_ba);
}

void one_ab() {
    std::scoped_lock outer(a);
    meet(0);
    std::scoped_lock inner(b);
}
void one_ba() {
    std::scoped_lock outer(b);
    meet(0);
    std::scoped_lock inner(a);
}
void scoped_lock_of_one() {
    RUN(in_threads, one_ab, one_ba);
}

void c_scoped() {
    std::lock_guard outer(c);
    meet(0);
    std::scoped_lock both(a, b);
}
void a_then_c() {
    std::lock_guard outer(a);
    meet(0);
    std::lock_guard inner(c);
}
void scoped_lock_inside() {
    RUN(in_turn, c_scoped, a_then_c);
}

void moved_ab() {
    std::unique_lock outer(a);
    const std::unique_lock kept = std::move(outer);
    meet(0);
    std::lock_guard inner(b);
}
void unique_lock_moved() {
    RUN(in_turn, moved_ab, one_ba);
}

// --- condition variables: a is the mutex of the wait ---
std::condition_variable condition;
std::condition_variable_any any;
bool ready = false;

void notify() {
    hear(1);
    std::lock_guard hold(a);
    ready = true;
    condition.notify_all();
    any.notify_all();
}

/// Forced: a second thread that has come as far as to hold the mutex and want b.
void a_then_b_later() {
    if (forced) hear(1);
    one_ab();
}

void wait_with_b() {
    std::unique_lock hold(a);
    std::lock_guard inner(b);
    tell(1);
    condition.wait(hold, [] { return ready; });
}
void wait_takes_again() {
    path_function paths[] = {wait_with_b, notify};
    if (!forced) return at_once(paths, 2);
    RUN(at_once, wait_with_b, a_then_b_later);
}

void wait_with_tried_b() {
    std::unique_lock hold(a);
    check(b.try_lock());
    tell(1);
    condition.wait(hold, [] { return ready; });
    b.unlock();
}
void wait_takes_again_try_b() {
    if (forced) RUN(at_once, wait_with_tried_b, a_then_b_later);
    RUN(at_once, wait_with_tried_b, notify);
    one_ab();
}

void timed_wait_with_b() {
    std::unique_lock hold(a);
    check(b.try_lock());
    tell(1);
    condition.wait_for(hold, std::chrono::milliseconds(forced ? 100 : 10));
    b.unlock();
}
void timed_wait_takes_again() {
    if (forced) RUN(at_once, timed_wait_with_b, a_then_b_later);
    timed_wait_with_b();
    one_ab();
}

void any_wait_with_b() {
    a.lock();
    std::lock_guard inner(b);
    tell(1);
    any.wait(a, [] { return ready; });
    a.unlock();
}
void wait_any_takes_again() {
    if (forced) RUN(at_once, any_wait_with_b, a_then_b_later);
    RUN(at_once, any_wait_with_b, notify);
}

void b_then_wait() {
    std::lock_guard outer(b);
    meet(0);
    std::unique_lock hold(a);
    condition.wait_for(hold, std::chrono::milliseconds(10));
}
void order_before_the_wait() {
    RUN(in_turn, b_then_wait, one_ab);
}

void plain_wait() {
    std::unique_lock hold(a);
    tell(1);
    condition.wait(hold, [] { return ready; });
}
void b_a_notify() {
    hear(1);
    std::lock_guard outer(b);
    std::lock_guard hold(a);
    ready = true;
    condition.notify_all();
}
void wait_gives_up() {
    RUN(at_once, plain_wait, b_a_notify);
}

void plain_wait_any() {
    std::unique_lock hold(a);
    tell(1);
    any.wait(hold, [] { return ready; });
}
void wait_any_alone() {
    RUN(at_once, plain_wait_any, notify);
}

void c_then_timed_wait() {
    std::lock_guard outer(c);
    std::unique_lock hold(a);
    condition.wait_for(hold, std::chrono::milliseconds(10));
}
void c_then_notify() {
    std::lock_guard outer(c);
    std::lock_guard hold(a);
    condition.notify_all();
}
void wait_under_the_outer_order() {
    RUN(in_threads, c_then_timed_wait, c_then_notify);
}
void notify_under_the_mutex() {
    RUN(at_once, plain_wait, notify);
}

std::once_flag once;
void call_it_once() {
    std::lock_guard outer(c);
    std::call_once(once, [] { std::lock_guard inner(a); });
}
void call_once_in_order() {
    RUN(in_threads, call_it_once, call_it_once);
}

}  // namespace

MAIN(CASE(scoped_lock_any_order), CASE(std_lock_any_order), CASE(scoped_lock_three),
     CASE(scoped_lock_against_nested), CASE(deferred_then_std_lock), CASE(std_try_lock_any_order),
     CASE(scoped_lock_of_one), CASE(scoped_lock_inside), CASE(unique_lock_moved),
     CASE(wait_takes_again), CASE(wait_takes_again_try_b), CASE(timed_wait_takes_again),
     CASE(wait_any_takes_again), CASE(order_before_the_wait), CASE(wait_gives_up),
     CASE(wait_any_alone), CASE(wait_under_the_outer_order), CASE(notify_under_the_mutex),
     CASE(call_once_in_order))
