// SPDX-License-Identifier: Apache-2.0
// Waiting for an event while holding a lock that whoever makes the event needs first.
// case: wait_holding_what_notifier_takes | held-while-wait | the notifier takes L and gives it up before it notifies; this time it came early enough
// case: wait_holding_what_notifier_holds | held-while-wait | a notifier notifies under L; this time another one did, without L
// case: wait_holding_rwlock_notifier_writes | held-while-wait | L is held for reading, the notifier writes it first
// case: wait_holding_std | held-while-wait | std::condition_variable, std::mutex
// case: wait_holding_in_pool | held-while-wait | a pool is drained under the lock that its workers take for each job
// case: wait_holding_notifier_takes_after | silent | the notifier takes L only after it has notified
// case: wait_holding_what_nobody_needs | silent | the notifier never takes L
// case: wait_holding_notifier_tries | silent | the notifier tries L, and notifies all the same
// case: wait_holding_for_another_event | silent | one condition for two events; who notifies under L makes the other one
// case: wait_holding_for_start | silent | a thread tells under nothing that it is there; later it notifies the same condition after it took L
// case: wait_holding_for_monitor | silent | who is in a monitor took L before he went in, and leaves it without
// case: wait_holding_for_monitor_taken_inside | held-while-wait | who is in the monitor takes L there
// case: wait_holding_for_answer | silent | clients ask and wait for the answer under L; who answers needs it not, and waits by the same function
// case: timed_wait_holding | silent | the wait ends by itself
// case: wait_holding_only_its_mutex | silent | the usual way
// case: wait_holding_rwlock_notifier_reads | silent | L is held for reading, the notifier reads it: default kind
// case: wait_twice_released | silent | L is given up before the wait
// case: join_holding_what_thread_takes | held-while-join | the thread takes L; this time it had it before
// case: join_holding_std | held-while-join | std::thread::join, std::mutex
// case: join_holding_rwlock | held-while-join | L is held for reading, the thread writes it
// case: join_holding_nested | held-while-join | the thread takes L in a function, under another lock
// case: join_one_of_two | held-while-join | two threads, one of them takes L
// case: join_holding_thread_tries | silent | the thread only tries L
// case: join_holding_thread_times | silent | the thread gives up its wait for L
// case: join_holding_thread_needs_not | silent | the thread never takes L
// case: join_holding_rwlock_both_read | silent | both read L, which is of the default kind
// case: join_after_release | silent | L is given up before the join
// case: join_holding_other_object | open | the thread takes another object of L's class
// case: timed_join_holding | silent | pthread_timedjoin_np ends by itself
// case: try_join_holding | silent | pthread_tryjoin_np does not wait
#include <condition_variable>
#include <mutex>
#include <thread>

#include "corpus.h"

namespace {

pthread_mutex_t l = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
bool ready;

void wait_until_ready() {
    lock(&m);
    tell(2);
    while (!ready) pthread_cond_wait(&condition, &m);
    unlock(&m);
}
void make_ready() {
    lock(&m);
    ready = true;
    pthread_cond_broadcast(&condition);
    unlock(&m);
}
void take(pthread_mutex_t* mutex) {
    lock(mutex);
    unlock(mutex);
}

// Plainly, the notifier is done with L (it tells 1) before the waiter takes it; and it notifies
// when the waiter waits (it tells 2). Forced, the waiter comes first.
void wait_holding_l() {
    then(1);
    lock(&l);
    wait_until_ready();
    unlock(&l);
}
template <void (*First)()>
void notify_after() {
    if (forced) hear(2);
    First();
    first(1);
    hear(2);
    make_ready();
}
void take_l() {
    take(&l);
}
void try_l() {
    if (try_lock(&l) == 0) unlock(&l);
}
void nothing() {
}
void wait_holding_what_notifier_takes() {
    RUN(at_once, wait_holding_l, notify_after<take_l>);
}

void notify_under_l() {
    if (forced) hear(2);
    lock(&l);
    make_ready();
    unlock(&l);
}
void wait_holding_what_notifier_holds() {
    if (forced) RUN(at_once, wait_holding_l, notify_under_l);
    RUN(at_once, wait_until_ready, [] {
        hear(2);
        notify_under_l();
    });
    ready = false;
    memset(&force_world, 0, sizeof force_world);
    RUN(at_once, wait_holding_l, notify_after<nothing>);
}

void wait_holding_for_start() {
    RUN(
        at_once,
        [] {
            lock(&l);
            wait_until_ready();
            unlock(&l);
            tell(3);
        },
        [] {
            hear(2);
            make_ready();
            hear(3);
            take(&l);
            make_ready();
        });
}

bool in_monitor;
void enter_monitor() {
    lock(&m);
    while (in_monitor) pthread_cond_wait(&condition, &m);
    in_monitor = true;
    unlock(&m);
}
void leave_monitor() {
    lock(&m);
    in_monitor = false;
    pthread_cond_signal(&condition);
    unlock(&m);
}
// The first is in the monitor (it tells 2) before the second comes with L; and leaves it when the
// second waits.
template <void (*Before)(), void (*Inside)()>
void in_monitor_first() {
    Before();
    enter_monitor();
    tell(2);
    if (forced) hear(3);
    Inside();
    first(1);
    hear(3);
    sleep_ms(settle_ms);
    leave_monitor();
}
void in_monitor_holding_l() {
    hear(2);
    then(1);
    lock(&l);
    tell(3);
    enter_monitor();
    leave_monitor();
    unlock(&l);
}
void wait_holding_for_monitor() {
    RUN(at_once, in_monitor_first<take_l, nothing>, in_monitor_holding_l);
}
void wait_holding_for_monitor_taken_inside() {
    RUN(at_once, in_monitor_first<nothing, take_l>, in_monitor_holding_l);
}

void wait_reading_r() {
    then(1);
    read_lock(&r);
    wait_until_ready();
    rw_unlock(&r);
}
void write_r() {
    write_lock(&r);
    rw_unlock(&r);
}
void read_r() {
    read_lock(&r);
    rw_unlock(&r);
}
void wait_holding_rwlock_notifier_writes() {
    RUN(at_once, wait_reading_r, notify_after<write_r>);
}
void wait_holding_rwlock_notifier_reads() {
    RUN(at_once, wait_reading_r, notify_after<read_r>);
}

std::mutex std_l, std_m;
std::condition_variable std_condition;
void wait_holding_std() {
    RUN(
        at_once,
        [] {
            then(1);
            std::lock_guard outer(std_l);
            std::unique_lock hold(std_m);
            tell(2);
            std_condition.wait(hold, [] { return ready; });
        },
        [] {
            if (forced) hear(2);
            { std::lock_guard outer(std_l); }
            first(1);
            hear(2);
            std::lock_guard hold(std_m);
            ready = true;
            std_condition.notify_one();
        });
}

// A pool: two jobs are done before the drain begins, the last one is done in it.
int jobs = 3;
void job_done() {
    lock(&m);
    if (--jobs == 0) pthread_cond_signal(&condition);
    unlock(&m);
}
void worker() {
    for (int i = 0; i < 2; ++i) {
        if (forced) hear(2);
        take(&l);
        job_done();
    }
    take(&l);
    first(1);
    hear(2);
    job_done();
}
void drain() {
    then(1);
    lock(&l);
    lock(&m);
    tell(2);
    while (jobs != 0) pthread_cond_wait(&condition, &m);
    unlock(&m);
    unlock(&l);
}
void wait_holding_in_pool() {
    RUN(at_once, worker, drain);
}

void wait_holding_at_once() {
    lock(&l);
    wait_until_ready();
    unlock(&l);
}

// One condition for two events, of which only the other one is made under L.
bool other_ready;
void wait_until_other_ready() {
    lock(&m);
    tell(3);
    while (!other_ready) pthread_cond_wait(&condition, &m);
    unlock(&m);
}
void make_other_ready_under_l() {
    hear(3);
    lock(&l);
    lock(&m);
    other_ready = true;
    pthread_cond_broadcast(&condition);
    unlock(&m);
    unlock(&l);
}
void wait_holding_for_another_event() {
    if (forced)
        RUN(at_once, wait_holding_at_once, notify_after<nothing>, wait_until_other_ready,
            make_other_ready_under_l);
    if (forced) return;
    RUN(at_once, wait_until_other_ready, make_other_ready_under_l);
    RUN(at_once, wait_holding_at_once, notify_after<nothing>);
}

// Requests and answers by one condition, and one function that waits.
int request, answer;
[[gnu::noinline]] void wait_for(const int* word) {
    while (*word == 0) pthread_cond_wait(&condition, &m);
}
void ask_under_l() {
    hear(2);
    lock(&l);
    lock(&m);
    request = 1;
    pthread_cond_broadcast(&condition);
    wait_for(&answer);
    answer = 0;
    unlock(&m);
    unlock(&l);
}
void answer_two() {
    for (int i = 0; i < 2; ++i) {
        lock(&m);
        tell(2);
        wait_for(&request);
        request = 0;
        answer = 1;
        pthread_cond_broadcast(&condition);
        unlock(&m);
    }
}
void wait_holding_for_answer() {
    RUN(at_once, answer_two, ask_under_l, ask_under_l);
}

void notify_then_take_l() {
    hear(2);
    make_ready();
    take(&l);
}
void wait_holding_notifier_takes_after() {
    RUN(at_once, wait_holding_at_once, notify_then_take_l);
}
void wait_holding_what_nobody_needs() {
    RUN(at_once, wait_holding_at_once, notify_after<nothing>);
}
void wait_holding_notifier_tries() {
    RUN(at_once, wait_holding_l, notify_after<try_l>);
}

void timed_wait_holding_l() {
    then(1);
    lock(&l);
    lock(&m);
    tell(2);
    const timespec until = soon(50);
    while (!ready)
        if (pthread_cond_timedwait(&condition, &m, &until) == ETIMEDOUT) break;
    unlock(&m);
    unlock(&l);
}
void timed_wait_holding() {
    RUN(at_once, timed_wait_holding_l, notify_after<take_l>);
}
void wait_holding_only_its_mutex() {
    RUN(at_once, wait_until_ready, notify_after<take_l>);
}
void wait_twice_released() {
    RUN(
        at_once,
        [] {
            take(&l);
            wait_until_ready();
        },
        notify_after<take_l>);
}

// --- join ---
struct Joined {
    pthread_t thread;
    explicit Joined(void (*body)()) {
        static force_start start;
        start = {body, 0};
        thread = force_spawn(&start);
    }
    void join() { pthread_join(thread, nullptr); }
};

/// Plainly, the thread had the lock before the starter takes it; forced, the starter is first.
template <void (*Body)()>
void after_starter() {
    if (forced) hear(3);
    Body();
    first(1);
}
void join_under_l(Joined& joined) {
    then(1);
    lock(&l);
    tell(3);
    joined.join();
    unlock(&l);
}
template <void (*Body)()>
void join_holding_l() {
    Joined joined(after_starter<Body>);
    join_under_l(joined);
}
void join_holding_what_thread_takes() {
    join_holding_l<take_l>();
}
void take_l_under_other() {
    lock(&other);
    take(&l);
    unlock(&other);
}
void join_holding_nested() {
    join_holding_l<take_l_under_other>();
}
void join_holding_thread_tries() {
    join_holding_l<try_l>();
}
void timed_l() {
    const timespec until = soon(50);
    if (pthread_mutex_timedlock(&l, &until) == 0) unlock(&l);
}
void join_holding_thread_times() {
    join_holding_l<timed_l>();
}
void take_other() {
    take(&other);
}
void join_holding_thread_needs_not() {
    join_holding_l<take_other>();
}

void join_holding_std() {
    std::thread thread([] {
        if (forced) hear(3);
        { std::lock_guard hold(std_l); }
        first(1);
    });
    then(1);
    std::lock_guard hold(std_l);
    tell(3);
    thread.join();
}
template <void (*Body)()>
void join_reading_r() {
    Joined joined(after_starter<Body>);
    then(1);
    read_lock(&r);
    tell(3);
    joined.join();
    rw_unlock(&r);
}
void join_holding_rwlock() {
    join_reading_r<write_r>();
}
void join_holding_rwlock_both_read() {
    join_reading_r<read_r>();
}

void join_one_of_two() {
    static force_start idle = {nothing, 0};
    const pthread_t other_thread = force_spawn(&idle);
    Joined joined(after_starter<take_l>);
    then(1);
    lock(&l);
    tell(3);
    pthread_join(other_thread, nullptr);
    joined.join();
    unlock(&l);
}
void join_after_release() {
    Joined joined(after_starter<take_l>);
    take(&l);
    tell(3);
    joined.join();
}
struct Session {
    std::mutex mutex;
};
Session sessions[2];
void join_holding_other_object() {
    std::thread thread([] { std::lock_guard hold(sessions[1].mutex); });
    std::lock_guard hold(sessions[0].mutex);
    thread.join();
}
void timed_join_holding() {
    Joined joined(after_starter<take_l>);
    then(1);
    lock(&l);
    tell(3);
    const timespec until = soon(forced ? 50 : 2000);
    const int joined_in_time = pthread_timedjoin_np(joined.thread, nullptr, &until);
    unlock(&l);
    if (joined_in_time != 0) joined.join();
}
void try_join_holding() {
    Joined joined(after_starter<take_l>);
    then(1);
    lock(&l);
    tell(3);
    const int had_ended = pthread_tryjoin_np(joined.thread, nullptr);
    unlock(&l);
    if (had_ended != 0) joined.join();
}

}  // namespace

MAIN(CASE(wait_holding_what_notifier_takes), CASE(wait_holding_what_notifier_holds),
     CASE(wait_holding_rwlock_notifier_writes), CASE(wait_holding_std), CASE(wait_holding_in_pool),
     CASE(wait_holding_notifier_takes_after), CASE(wait_holding_what_nobody_needs),
     CASE(wait_holding_notifier_tries), CASE(wait_holding_for_another_event),
     CASE(wait_holding_for_start), CASE(wait_holding_for_monitor),
     CASE(wait_holding_for_monitor_taken_inside), CASE(wait_holding_for_answer),
     CASE(timed_wait_holding), CASE(wait_holding_only_its_mutex),
     CASE(wait_holding_rwlock_notifier_reads), CASE(wait_twice_released),
     CASE(join_holding_what_thread_takes), CASE(join_holding_std), CASE(join_holding_rwlock),
     CASE(join_holding_nested), CASE(join_one_of_two), CASE(join_holding_thread_tries),
     CASE(join_holding_thread_times), CASE(join_holding_thread_needs_not),
     CASE(join_holding_rwlock_both_read), CASE(join_after_release), CASE(join_holding_other_object),
     CASE(timed_join_holding), CASE(try_join_holding))
