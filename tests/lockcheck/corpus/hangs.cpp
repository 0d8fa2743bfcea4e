// SPDX-License-Identifier: Apache-2.0
// Programs that really hang: the cycle must be printed in bounded time.
// build: -DFORCE
// case: hang_abba | hang/order | two threads hold one mutex each and want the other's | hangs
// case: hang_three_ring | hang/order | three threads in a ring | hangs
// case: hang_five_ring | hang/order | five threads in a ring | hangs
// case: hang_spinlocks | hang/order | two threads spin | hangs
// case: hang_writers | hang/order | two rwlocks, both for writing | hangs
// case: hang_two_upgrades | hang/relock/order | two readers want to write what both read | hangs
// case: hang_recursive_read | hang/recursive-read | a fair rwlock is read again while a writer is queued | hangs
// case: hang_join_holding | hang/held-while-join | joins a thread that waits for what the joiner holds | hangs
// case: hang_left_by_thread | hang/exit-held | waits for what an ended thread left locked | hangs
// case: hang_wait_holding | hang/held-while-wait | waits on a condition, and the notifier waits for what the waiter holds | hangs
// case: hang_signal | hang/signal/relock | the handler takes what the interrupted code holds | hangs
// case: hang_beside_a_busy_thread | hang/order | two threads hang while main goes on working | hangs
// case: hang_in_child | hang/order | the child of a fork hangs, its parent waits for it | hangs
// case: hang_std_mutex | hang/order | std::mutex in std::thread | hangs
// case: hang_mutex_and_read | hang/order | one holds a mutex and wants to read what the other writes | hangs
// case: hang_class_never_met | hang/order | the first two locks of their life, no order was ever seen | hangs
// case: hang_lost_notification | hang | the notification came before the wait, and the waiter is joined | hangs
// case: hang_semaphores | hang | two threads wait, each for the other to post first | hangs
// case: hang_barrier | hang | four are awaited, and three come | hangs
// case: hang_alone_at_semaphore | hang | one thread, and nobody else to post | hangs
// case: hang_after_fork | hang | the child needs what a thread of its parent held at the fork | hangs
// case: hang_after_fork_to_read | hang | the same; a rwlock, written there and read here | hangs
// case: waits_long_but_ends | silent | a lock is held for five seconds: slow, and no hang | noproof
// case: sleeps_long | silent | a thread waits on a condition for five seconds | noproof
// case: handler_posts_late | silent | the only thread waits for a semaphore that a signal handler posts | noproof
// case: timer_posts_late | silent | the same, for the thread of a timer | noproof
// case: process_posts_late | silent | the same, for another process | noproof
// case: barrier_fills_late | silent | the last one comes after five seconds | noproof
// case: late_semaphore | silent | the one who posts sleeps for five seconds | noproof
// case: both_read_after_fork | silent | what a thread of the parent read at the fork the child reads, too | noproof
// case: shared_lock_after_fork | silent | a thread of the parent holds it at the fork for a while; it is shared with the child | noproof
// case: idle_server | open | all threads wait on conditions for ever, and no signal has a handler: it can only be killed | hangs
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <mutex>
#include <thread>

#include "corpus.h"

namespace {

pthread_mutex_t locks[5] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                            PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                            PTHREAD_MUTEX_INITIALIZER};
pthread_spinlock_t spins[2];
pthread_rwlock_t rwlocks[2] = {PTHREAD_RWLOCK_INITIALIZER, PTHREAD_RWLOCK_INITIALIZER};
pthread_rwlock_t fair = FAIR_RWLOCK;
pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

template <int I, int J>
void nest() {
    lock(&locks[I]);
    meet(0);
    lock(&locks[J]);
    unlock(&locks[J]);
    unlock(&locks[I]);
}
void hang_abba() {
    RUN(at_once, (nest<0, 1>), (nest<1, 0>));
}
void hang_three_ring() {
    RUN(at_once, (nest<0, 1>), (nest<1, 2>), (nest<2, 0>));
}
void hang_five_ring() {
    RUN(at_once, (nest<0, 1>), (nest<1, 2>), (nest<2, 3>), (nest<3, 4>), (nest<4, 0>));
}
template <int I>
void nest_spins() {
    spin_lock(&spins[I]);
    meet(0);
    spin_lock(&spins[1 - I]);
    spin_unlock(&spins[1 - I]);
    spin_unlock(&spins[I]);
}
void hang_spinlocks() {
    for (auto& spin : spins) pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    RUN(at_once, nest_spins<0>, nest_spins<1>);
}
template <int I>
void nest_writes() {
    write_lock(&rwlocks[I]);
    meet(0);
    write_lock(&rwlocks[1 - I]);
    rw_unlock(&rwlocks[1 - I]);
    rw_unlock(&rwlocks[I]);
}
void hang_writers() {
    RUN(at_once, nest_writes<0>, nest_writes<1>);
}
void upgrade() {
    read_lock(&rwlocks[0]);
    meet(0);
    write_lock(&rwlocks[0]);
    rw_unlock(&rwlocks[0]);
}
void hang_two_upgrades() {
    RUN(at_once, upgrade, upgrade);
}
void read_twice() {
    read_lock(&fair);
    meet(0);
    // A try fails as soon as the writer is queued.
    while (pthread_rwlock_tryrdlock(&fair) == 0) {
        rw_unlock(&fair);
        sleep_ms(1);
    }
    read_lock(&fair);
    rw_unlock(&fair);
    rw_unlock(&fair);
}
void write_fair() {
    meet(0);
    write_lock(&fair);
    rw_unlock(&fair);
}
void hang_recursive_read() {
    RUN(at_once, read_twice, write_fair);
}

void take_first() {
    lock(&locks[0]);
    unlock(&locks[0]);
}
void leave_first() {
    lock(&locks[0]);
}
void hang_join_holding() {
    lock(&locks[0]);
    RUN(at_once, take_first);
    unlock(&locks[0]);
}
void hang_left_by_thread() {
    RUN(at_once, leave_first);
    take_first();
}
bool ready;
void wait_holding() {
    lock(&locks[0]);
    lock(&locks[1]);
    tell(1);
    while (!ready) pthread_cond_wait(&condition, &locks[1]);
    unlock(&locks[1]);
    unlock(&locks[0]);
}
void take_and_notify() {
    hear(1);
    take_first();
    lock(&locks[1]);
    ready = true;
    pthread_cond_signal(&condition);
    unlock(&locks[1]);
}
void hang_wait_holding() {
    RUN(at_once, wait_holding, take_and_notify);
}
void hang_signal() {
    signal(SIGUSR1, [](int) { take_first(); });
    lock(&locks[0]);
    raise(SIGUSR1);
    unlock(&locks[0]);
}
void hang_beside_a_busy_thread() {
    RUN(at_once, (nest<0, 1>), (nest<1, 0>), [] {
        meet(0);
        for (;;) {
            lock(&locks[2]);
            unlock(&locks[2]);
            sleep_ms(1);
        }
    });
}
void hang_in_child() {
    const pid_t child = fork();
    if (child == 0) {
        hang_abba();
        _exit(0);
    }
    waitpid(child, nullptr, 0);
}
std::mutex a, b;
void hang_std_mutex() {
    force_world.paths = 2;
    std::thread one([] {
        std::lock_guard outer(a);
        meet(0);
        std::lock_guard inner(b);
    });
    std::thread two([] {
        std::lock_guard outer(b);
        meet(0);
        std::lock_guard inner(a);
    });
    one.join();
    two.join();
}
void mutex_then_read() {
    lock(&locks[0]);
    meet(0);
    read_lock(&rwlocks[0]);
    rw_unlock(&rwlocks[0]);
    unlock(&locks[0]);
}
void write_then_mutex() {
    write_lock(&rwlocks[0]);
    meet(0);
    lock(&locks[0]);
    unlock(&locks[0]);
    rw_unlock(&rwlocks[0]);
}
void hang_mutex_and_read() {
    RUN(at_once, mutex_then_read, write_then_mutex);
}
struct Object {
    std::mutex mutex;
};
Object* objects[2];
template <int I>
void nest_objects() {
    std::lock_guard outer(objects[I]->mutex);
    meet(0);
    std::lock_guard inner(objects[1 - I]->mutex);
}
void hang_class_never_met() {
    for (Object*& object : objects) object = new Object;
    RUN(at_once, nest_objects<0>, nest_objects<1>);
}

void hold_long() {
    lock(&locks[0]);
    tell(1);
    sleep_ms(5000);
    unlock(&locks[0]);
}
void wait_for_it() {
    hear(1);
    take_first();
}
void waits_long_but_ends() {
    RUN(at_once, hold_long, wait_for_it, wait_for_it);
}
void wait_until_ready() {
    lock(&locks[1]);
    while (!ready) pthread_cond_wait(&condition, &locks[1]);
    unlock(&locks[1]);
}
void notify_late() {
    sleep_ms(5000);
    lock(&locks[1]);
    ready = true;
    pthread_cond_broadcast(&condition);
    unlock(&locks[1]);
}
void sleeps_long() {
    RUN(at_once, wait_until_ready, wait_until_ready, notify_late);
}
void idle_server() {
    RUN(at_once, wait_until_ready, wait_until_ready);
}

// --- nobody owns what is waited for ---
sem_t semaphores[2];
pthread_barrier_t barrier;
void hang_lost_notification() {
    pthread_cond_signal(&condition);
    RUN(at_once, wait_until_ready);
}
template <int I>
void wait_then_post() {
    while (sem_wait(&semaphores[I]) != 0) continue;
    sem_post(&semaphores[1 - I]);
}
void hang_semaphores() {
    for (sem_t& each : semaphores) sem_init(&each, 0, 0);
    RUN(at_once, wait_then_post<0>, wait_then_post<1>);
}
void hang_alone_at_semaphore() {
    sem_init(&semaphores[0], 0, 0);
    wait_then_post<0>();
}
void come() {
    pthread_barrier_wait(&barrier);
}
void hang_barrier() {
    pthread_barrier_init(&barrier, nullptr, 4);
    RUN(at_once, come, come, come);
}
void post_first() {
    sem_post(&semaphores[0]);
}
template <typename Set>
void wait_for_one_post(Set set) {
    sem_init(&semaphores[0], 0, 0);
    set();
    check(sem_wait(&semaphores[0]) == 0);
}
void handler_posts_late() {
    struct sigaction action {};
    action.sa_handler = [](int) { post_first(); };
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval after = {{0, 0}, {5, 0}};
    wait_for_one_post([&] { setitimer(ITIMER_REAL, &after, nullptr); });
}
void timer_posts_late() {
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = [](sigval) { post_first(); };
    const itimerspec after = {{0, 0}, {5, 0}};
    timer_t timer{};
    check(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    wait_for_one_post([&] { timer_settime(timer, 0, &after, nullptr); });
}
template <typename Type>
Type* in_shared_memory() {
    void* const memory = mmap(nullptr, sizeof(Type), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED);
    return static_cast<Type*>(memory);
}
void process_posts_late() {
    sem_t* const shared = in_shared_memory<sem_t>();
    sem_init(shared, 1, 0);
    if (fork() == 0) {
        sleep_ms(5000);
        sem_post(shared);
        _exit(0);
    }
    check(sem_wait(shared) == 0);
}
void barrier_fills_late() {
    pthread_barrier_init(&barrier, nullptr, 4);
    RUN(at_once, come, come, come, [] {
        sleep_ms(5000);
        come();
    });
}
void late_semaphore() {
    for (sem_t& each : semaphores) sem_init(&each, 0, 0);
    RUN(at_once, wait_then_post<0>, wait_then_post<1>, [] {
        sleep_ms(5000);
        post_first();
    });
}

// --- what a thread of the parent held at the fork ---
template <void (*Hold)(), void (*Child)()>
void fork_while_held() {
    RUN(at_once, Hold, [] {
        hear(1);
        const pid_t child = fork();
        if (child == 0) {
            Child();
            _exit(0);
        }
        tell(2);
        waitpid(child, nullptr, 0);
    });
}
void hold_first_at_fork() {
    lock(&locks[0]);
    tell(1);
    hear(2);
    unlock(&locks[0]);
}
void hang_after_fork() {
    fork_while_held<hold_first_at_fork, take_first>();
}
void read_first() {
    read_lock(&rwlocks[0]);
    rw_unlock(&rwlocks[0]);
}
void write_at_fork() {
    write_lock(&rwlocks[0]);
    tell(1);
    hear(2);
    rw_unlock(&rwlocks[0]);
}
void hang_after_fork_to_read() {
    fork_while_held<write_at_fork, read_first>();
}
void read_at_fork() {
    read_lock(&rwlocks[0]);
    tell(1);
    hear(2);
    rw_unlock(&rwlocks[0]);
}
void both_read_after_fork() {
    fork_while_held<read_at_fork, read_first>();
}
pthread_mutex_t* shared_lock;
void hold_shared_long() {
    lock(shared_lock);
    tell(1);
    sleep_ms(5000);
    unlock(shared_lock);
}
void take_shared() {
    lock(shared_lock);
    unlock(shared_lock);
}
void shared_lock_after_fork() {
    shared_lock = in_shared_memory<pthread_mutex_t>();
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setpshared(&attribute, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(shared_lock, &attribute);
    fork_while_held<hold_shared_long, take_shared>();
}

}  // namespace

MAIN(CASE(hang_abba), CASE(hang_three_ring), CASE(hang_five_ring), CASE(hang_spinlocks),
     CASE(hang_writers), CASE(hang_two_upgrades), CASE(hang_recursive_read),
     CASE(hang_join_holding), CASE(hang_left_by_thread), CASE(hang_wait_holding), CASE(hang_signal),
     CASE(hang_beside_a_busy_thread), CASE(hang_in_child), CASE(hang_std_mutex),
     CASE(hang_mutex_and_read), CASE(hang_class_never_met), CASE(hang_lost_notification),
     CASE(hang_semaphores), CASE(hang_barrier), CASE(hang_alone_at_semaphore),
     CASE(hang_after_fork), CASE(hang_after_fork_to_read), CASE(waits_long_but_ends),
     CASE(sleeps_long), CASE(idle_server), CASE(handler_posts_late), CASE(timer_posts_late),
     CASE(process_posts_late), CASE(barrier_fills_late), CASE(late_semaphore),
     CASE(both_read_after_fork), CASE(shared_lock_after_fork))
