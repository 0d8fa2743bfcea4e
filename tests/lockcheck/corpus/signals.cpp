// SPDX-License-Identifier: Apache-2.0
// Signal handlers that take what the interrupted code may hold. Forced, the signal comes then.
// case: handler_takes_mutex | signal | main holds L with the signal open, the handler takes L; it came when L was free
// case: handler_by_signal | signal | the handler was set by signal()
// case: handler_with_siginfo | signal | SA_SIGINFO
// case: handler_takes_spinlock | signal | a spinlock
// case: handler_writes_rwlock | signal | main reads, the handler writes
// case: handler_reads_written_rwlock | open | main writes, the handler reads: it would get EDEADLK, which nobody looks at, and unlock what main holds
// case: handler_takes_std_mutex | signal | std::mutex by std::lock_guard
// case: handler_in_function | signal | L is taken by a function that the handler calls
// case: handler_in_thread | signal | a thread holds L, and is the one that is signalled
// case: handler_by_signal_before_use | signal | signal() set it, and it ran before anybody had ever locked L
// case: handler_before_use | signal | the signal came before anybody had ever locked L
// case: handler_of_timer | signal | SIGALRM of a timer
// case: handler_interrupts_handler | signal | two handlers take L, neither blocks the other's signal
// case: handler_blocked_only_sometimes | signal | one place blocks the signal, another does not
// case: handler_fair_read_again | signal/recursive-read | main reads a fair rwlock, the handler reads it, and something writes it
// case: handler_blocked_while_held | silent | the signal is blocked wherever L is held
// case: handler_blocked_in_thread | silent | pthread_sigmask in the thread that holds L; main never takes it
// case: handler_tries | silent | the handler only tries L
// case: handler_times | silent | the handler gives up its wait for L
// case: handler_takes_another | silent | the handler's lock is taken by nobody else
// case: handler_reads_read_rwlock | silent | main and handler read, the default kind, with a writer elsewhere whose thread blocks the signal
// case: sigwait_thread | silent | a thread waits for the signal with sigwait, and takes L there
// case: handler_removed_before | silent | SIG_IGN is set before L is ever taken by main
// case: handlers_block_each_other | silent | two handlers take L, and block each other's signal
// case: handler_blocked_for_good | silent | the signal came before it was blocked for good; main takes L only after that
// case: handler_of_own_fault | silent | a fault that the code raises at one place, where L is not held | noproof
// case: handler_at_thread_begin | signal | a thread is signalled as soon as it is made; main holds L elsewhere
// case: handler_recursive_mutex | silent | the mutex is recursive: a thread that holds it takes it again
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <mutex>

#include "corpus.h"

namespace {

pthread_mutex_t l = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
pthread_rwlock_t r = PTHREAD_RWLOCK_INITIALIZER;
pthread_rwlock_t fair = FAIR_RWLOCK;
pthread_spinlock_t spin;
std::mutex std_l;
volatile sig_atomic_t handled;

void take_l(int) {
    lock(&l);
    handled = handled + 1;
    unlock(&l);
}
void take_spin(int) {
    spin_lock(&spin);
    spin_unlock(&spin);
}
void write_r(int) {
    write_lock(&r);
    rw_unlock(&r);
}
void read_r(int) {
    read_lock(&r);
    rw_unlock(&r);
}
void read_fair(int) {
    read_lock(&fair);
    rw_unlock(&fair);
}
void take_std(int) {
    std::lock_guard hold(std_l);
}
__attribute__((noinline)) void log_it() {
    take_l(0);
}
void call_log(int) {
    log_it();
}
void try_l(int) {
    if (try_lock(&l) == 0) unlock(&l);
}
void time_l(int) {
    const timespec until = soon(50);
    if (pthread_mutex_timedlock(&l, &until) == 0) unlock(&l);
}
void take_own(int) {
    lock(&own);
    unlock(&own);
}
void take_recursive(int) {
    lock(&recursive);
    unlock(&recursive);
}

void on(int number, void (*handler)(int), int also_blocked = 0) {
    struct sigaction action = {};
    action.sa_handler = handler;
    if (also_blocked) sigaddset(&action.sa_mask, also_blocked);
    check(sigaction(number, &action, nullptr) == 0);
}
/// Forced: the signal comes here.
void maybe_now(int number = SIGUSR1) {
    if (forced) raise(number);
}
void hold_l() {
    lock(&l);
    maybe_now();
    unlock(&l);
}
void set_blocked(int how, int number = SIGUSR1) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    pthread_sigmask(how, &signals, nullptr);
}

void handler_takes_mutex() {
    on(SIGUSR1, take_l);
    hold_l();
    raise(SIGUSR1);
}
void handler_by_signal() {
    signal(SIGUSR1, take_l);
    hold_l();
    raise(SIGUSR1);
}
void handler_with_siginfo() {
    struct sigaction action = {};
    action.sa_sigaction = [](int number, siginfo_t*, void*) { take_l(number); };
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    hold_l();
    raise(SIGUSR1);
}
void handler_takes_spinlock() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    on(SIGUSR1, take_spin);
    spin_lock(&spin);
    maybe_now();
    spin_unlock(&spin);
    raise(SIGUSR1);
}
void handler_writes_rwlock() {
    on(SIGUSR1, write_r);
    read_lock(&r);
    maybe_now();
    rw_unlock(&r);
    raise(SIGUSR1);
}
// glibc gives EDEADLK to a reader that is the writer: it does not wait, but it wanted to.
void handler_reads_written_rwlock() {
    on(SIGUSR1, read_r);
    write_lock(&r);
    rw_unlock(&r);
    raise(SIGUSR1);
}
void handler_takes_std_mutex() {
    on(SIGUSR1, take_std);
    {
        std::lock_guard hold(std_l);
        maybe_now();
    }
    raise(SIGUSR1);
}
void handler_in_function() {
    on(SIGUSR1, call_log);
    hold_l();
    raise(SIGUSR1);
}
void hold_and_be_signalled() {
    hold_l();
    pthread_kill(pthread_self(), SIGUSR1);
}
void handler_in_thread() {
    on(SIGUSR1, take_l);
    RUN(in_threads, hold_and_be_signalled);
}
void handler_by_signal_before_use() {
    signal(SIGUSR1, take_l);
    raise(SIGUSR1);
    hold_l();
}
void handler_before_use() {
    on(SIGUSR1, take_l);
    raise(SIGUSR1);
    hold_l();
}
void handler_of_timer() {
    on(SIGALRM, take_l);
    lock(&l);
    maybe_now(SIGALRM);
    unlock(&l);
    const itimerval soon_once = {{0, 0}, {0, 10000}};
    setitimer(ITIMER_REAL, &soon_once, nullptr);
    while (!handled) sleep_ms(1);
}
void take_and_maybe(int) {
    lock(&l);
    maybe_now(SIGUSR2);
    unlock(&l);
}
void handler_interrupts_handler() {
    on(SIGUSR1, take_and_maybe);
    on(SIGUSR2, take_l);
    raise(SIGUSR1);
    raise(SIGUSR2);
}
void handlers_block_each_other() {
    on(SIGUSR1, take_and_maybe, SIGUSR2);
    on(SIGUSR2, take_l, SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR2);
}
void hold_l_blocked() {
    set_blocked(SIG_BLOCK);
    hold_l();
    set_blocked(SIG_UNBLOCK);
}
void handler_blocked_only_sometimes() {
    on(SIGUSR1, take_l);
    hold_l_blocked();
    hold_l();
    raise(SIGUSR1);
}
void write_fair_blocked() {
    set_blocked(SIG_BLOCK);
    meet(0);
    write_lock(&fair);
    rw_unlock(&fair);
}
void handler_fair_read_again() {
    on(SIGUSR1, read_fair);
    RUN(
        in_threads,
        [] {
            read_lock(&fair);
            meet(0);
            settle();
            maybe_now();
            rw_unlock(&fair);
            raise(SIGUSR1);
        },
        write_fair_blocked);
}

void handler_blocked_while_held() {
    on(SIGUSR1, take_l);
    hold_l_blocked();
    raise(SIGUSR1);
}
void handler_blocked_in_thread() {
    on(SIGUSR1, take_l);
    RUN(in_threads, [] {
        set_blocked(SIG_BLOCK);
        hold_l();
    });
    raise(SIGUSR1);
}
void handler_tries() {
    on(SIGUSR1, try_l);
    hold_l();
    raise(SIGUSR1);
}
void handler_times() {
    on(SIGUSR1, time_l);
    hold_l();
    raise(SIGUSR1);
}
void handler_takes_another() {
    on(SIGUSR1, take_own);
    hold_l();
    raise(SIGUSR1);
}
void write_r_blocked() {
    set_blocked(SIG_BLOCK);
    meet(0);
    write_r(0);
}
void handler_reads_read_rwlock() {
    on(SIGUSR1, read_r);
    RUN(
        in_threads,
        [] {
            read_lock(&r);
            meet(0);
            settle();
            maybe_now();
            rw_unlock(&r);
            raise(SIGUSR1);
        },
        write_r_blocked);
}
void wait_for_signal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    int number = 0;
    check(sigwait(&signals, &number) == 0);
    take_l(number);
}
void sigwait_thread() {
    set_blocked(SIG_BLOCK);
    static force_start start = {wait_for_signal, 0};
    const pthread_t thread = force_spawn(&start);
    lock(&l);
    kill(getpid(), SIGUSR1);
    unlock(&l);
    pthread_join(thread, nullptr);
}
void handler_removed_before() {
    on(SIGUSR1, take_l);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    hold_l();
}
void handler_blocked_for_good() {
    on(SIGUSR1, take_l);
    raise(SIGUSR1);
    set_blocked(SIG_BLOCK);
    hold_l();
}
char* guarded_page;
void open_page(int, siginfo_t*, void*) {
    lock(&l);
    check(mprotect(guarded_page, 4096, PROT_READ | PROT_WRITE) == 0);
    unlock(&l);
}
void handler_of_own_fault() {
    void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(page != MAP_FAILED);
    guarded_page = static_cast<char*>(page);
    struct sigaction action = {};
    action.sa_sigaction = open_page;
    action.sa_flags = SA_SIGINFO;
    check(sigaction(SIGSEGV, &action, nullptr) == 0);
    *static_cast<volatile char*>(guarded_page) = 1;
    lock(&l);
    unlock(&l);
}
void* wait_until_handled(void*) {
    while (handled == 0) sched_yield();
    return nullptr;
}
void handler_at_thread_begin() {
    on(SIGUSR1, take_l);
    pthread_t thread;
    check(pthread_create(&thread, nullptr, wait_until_handled, nullptr) == 0);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, nullptr);
    hold_l();
}
void handler_recursive_mutex() {
    on(SIGUSR1, take_recursive);
    lock(&recursive);
    maybe_now();
    unlock(&recursive);
    raise(SIGUSR1);
}

}  // namespace

MAIN(CASE(handler_takes_mutex), CASE(handler_by_signal), CASE(handler_with_siginfo),
     CASE(handler_takes_spinlock), CASE(handler_writes_rwlock), CASE(handler_reads_written_rwlock),
     CASE(handler_takes_std_mutex), CASE(handler_in_function), CASE(handler_in_thread),
     CASE(handler_before_use), CASE(handler_by_signal_before_use), CASE(handler_of_timer), CASE(handler_interrupts_handler),
     CASE(handler_blocked_only_sometimes), CASE(handler_fair_read_again),
     CASE(handler_blocked_while_held), CASE(handler_blocked_in_thread), CASE(handler_tries),
     CASE(handler_times), CASE(handler_takes_another), CASE(handler_reads_read_rwlock),
     CASE(sigwait_thread), CASE(handler_removed_before), CASE(handlers_block_each_other),
     CASE(handler_blocked_for_good), CASE(handler_recursive_mutex),
     CASE(handler_of_own_fault), CASE(handler_at_thread_begin))
