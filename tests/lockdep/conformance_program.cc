// SPDX-License-Identifier: Apache-2.0
// One row of a conformance table as a real program: real threads, pthread locks and signals.
//
//     conformance_program --list          table, row, kind of finding or "clean", "writers" or "-"
//     conformance_program TABLE ROW       does what the row says, and ends with 0
//
// Knows nothing of a validator; tests/e2e/lock_conformance.py runs it under lockcheck. A row in
// which a thread waits for itself really waits.
#include <pthread.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {
namespace {

union Lock {
    pthread_spinlock_t spin;
    pthread_mutex_t mutex;
    pthread_rwlock_t rwlock;
};

/// Objects of which nobody knows how they were made: static, all zero, no call.
Lock lone_a;
Lock lone_b;
Lock lone_c;

volatile char last_class;

/// Makes a lock of the class that `Letter` names: each has a call of its own, which is what makes
/// them classes. The stores keep the compiler from making one function of all, and the calls from
/// being jumps, which would leave no trace of where they stand.
template <char Letter>
[[gnu::noinline]] void initialise(Lock& lock, Kind kind) {
    if (kind == Kind::spin) {
        pthread_spin_init(&lock.spin, PTHREAD_PROCESS_PRIVATE);
        last_class = Letter;
        return;
    }
    if (kind == Kind::rwlock || kind == Kind::fair) {
        pthread_rwlockattr_t attributes;
        pthread_rwlockattr_init(&attributes);
        if (kind == Kind::fair)
            pthread_rwlockattr_setkind_np(&attributes,
                                          PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(&lock.rwlock, &attributes);
        pthread_rwlockattr_destroy(&attributes);
        last_class = Letter;
        return;
    }
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (kind == Kind::recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    if (kind == Kind::error_check) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    if (kind == Kind::pi) pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (kind == Kind::robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&lock.mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    last_class = Letter;
}

using Initialise = void (*)(Lock&, Kind);

template <size_t... Index>
constexpr std::array<Initialise, sizeof...(Index)> initialisers_of(std::index_sequence<Index...>) {
    return {&initialise<static_cast<char>('A' + Index)>...};
}
constexpr auto initialisers = initialisers_of(std::make_index_sequence<26>());

/// The row that runs; handlers of signals go on in it where they interrupt.
const Row* row = nullptr;
std::vector<Lock*> locks;
/// The next event; who has its turn does it. Threads wait for their turns without any lock.
std::atomic<int> turn = 0;

bool is_rwlock(Kind kind) {
    return kind == Kind::rwlock || kind == Kind::fair;
}

void take(Lock& lock, Kind kind) {
    if (kind == Kind::spin)
        pthread_spin_lock(&lock.spin);
    else if (is_rwlock(kind))
        pthread_rwlock_wrlock(&lock.rwlock);
    else
        pthread_mutex_lock(&lock.mutex);
}

void try_to_take(Lock& lock, Kind kind) {
    if (kind == Kind::spin)
        pthread_spin_trylock(&lock.spin);
    else if (is_rwlock(kind))
        pthread_rwlock_trywrlock(&lock.rwlock);
    else
        pthread_mutex_trylock(&lock.mutex);
}

void take_in_time(Lock& lock, Kind kind) {
    timespec deadline{};
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 1;
    if (is_rwlock(kind))
        pthread_rwlock_timedwrlock(&lock.rwlock, &deadline);
    else
        pthread_mutex_timedlock(&lock.mutex, &deadline);
}

void give_back(Lock& lock, Kind kind) {
    if (kind == Kind::spin)
        pthread_spin_unlock(&lock.spin);
    else if (is_rwlock(kind))
        pthread_rwlock_unlock(&lock.rwlock);
    else
        pthread_mutex_unlock(&lock.mutex);
}

void destroy(Lock& lock, Kind kind) {
    if (kind == Kind::spin)
        pthread_spin_destroy(&lock.spin);
    else if (is_rwlock(kind))
        pthread_rwlock_destroy(&lock.rwlock);
    else
        pthread_mutex_destroy(&lock.mutex);
}

void initialise_anew(Lock& lock, const Object& object) {
    const char letter = object.has_class() ? object.name[0] : 'Z';
    initialisers[static_cast<size_t>(letter - 'A')](lock, object.kind);
}

void mask_signals(const Event& event) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    if (event.signal == Signal::hard) sigaddset(&set, SIGUSR1);
    pthread_sigmask(event.verb == Verb::off ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

void do_with_lock(const Event& event) {
    Lock& lock = *locks[event.object];
    const Object& object = row->objects[event.object];
    switch (event.verb) {
        case Verb::lock:
            return take(lock, object.kind);
        case Verb::read:
            pthread_rwlock_rdlock(&lock.rwlock);
            return;
        case Verb::try_lock:
            return try_to_take(lock, object.kind);
        case Verb::try_read:
            pthread_rwlock_tryrdlock(&lock.rwlock);
            return;
        case Verb::timed_lock:
            return take_in_time(lock, object.kind);
        case Verb::unlock:
            return give_back(lock, object.kind);
        case Verb::init:
            return initialise_anew(lock, object);
        case Verb::destroy:
            return destroy(lock, object.kind);
        default:
            std::free(&lock);
    }
}

/// Does events of `thread` until the row or the handler that runs it ends.
void go_on(unsigned thread, bool in_handler) {
    for (;;) {
        const int at = turn.load();
        if (at == static_cast<int>(row->events.size())) return;
        const Event& event = row->events[static_cast<size_t>(at)];
        if (event.thread != thread) {
            turn.wait(at);
            continue;
        }
        if (event.verb == Verb::enter) {
            turn = at + 1;
            raise(event.signal == Signal::hard ? SIGUSR1 : SIGUSR2);
            continue;
        }
        const bool leaves = event.verb == Verb::end || (in_handler && event.verb == Verb::exit);
        if (event.verb == Verb::on || event.verb == Verb::off)
            mask_signals(event);
        else if (!leaves)
            do_with_lock(event);
        turn = at + 1;
        turn.notify_all();
        if (leaves) return;
    }
}

void on_signal(int /*number*/) {
    go_on(1, true);
}

void* run_thread(void* number) {
    go_on(static_cast<unsigned>(reinterpret_cast<uintptr_t>(number)), false);
    return nullptr;
}

Lock* place_of(const Object& object) {
    if (object.name == "a") return &lone_a;
    if (object.name == "b") return &lone_b;
    if (object.name == "c") return &lone_c;
    return static_cast<Lock*>(std::calloc(1, sizeof(Lock)));
}

void run() {
    for (const Object& object : row->objects) {
        locks.push_back(place_of(object));
        if (object.has_class()) initialise_anew(*locks.back(), object);
    }
    struct sigaction action{};
    action.sa_handler = on_signal;
    sigaddset(&action.sa_mask, SIGUSR1);
    sigaddset(&action.sa_mask, SIGUSR2);
    for (const Event& event : row->events) {
        if (event.verb != Verb::enter) continue;
        sigaction(SIGUSR1, &action, nullptr);
        sigaction(SIGUSR2, &action, nullptr);
        break;
    }
    std::vector<pthread_t> threads(row->threads() - 1);
    for (size_t at = 0; at < threads.size(); ++at)
        pthread_create(&threads[at], nullptr, run_thread, reinterpret_cast<void*>(at + 2));
    go_on(1, false);
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
}

void list() {
    for (const Table& table : all_tables())
        for (const Row& each : table.rows)
            std::printf("%.*s\t%s\t%s\t%s\n", static_cast<int>(table.name.size()),
                        table.name.data(), each.name.c_str(),
                        each.expected ? word(*each.expected) : "clean",
                        each.assume_writers ? "writers" : "-");
}

int run_named(std::string_view table_name, std::string_view row_name) {
    for (const Table& table : all_tables()) {
        if (table.name != table_name) continue;
        for (const Row& each : table.rows) {
            if (each.name != row_name) continue;
            row = &each;
            run();
            return 0;
        }
    }
    std::fprintf(stderr, "conformance_program: no such row\n");
    return 2;
}

}  // namespace
}  // namespace braidway::lockdep::conformance

int main(int argc, char** argv) {
    namespace table = braidway::lockdep::conformance;
    if (argc == 2 && std::string_view(argv[1]) == "--list") {
        table::list();
        return 0;
    }
    if (argc == 3) return table::run_named(argv[1], argv[2]);
    std::fprintf(stderr, "Usage: conformance_program --list | TABLE ROW\n");
    return 2;
}
