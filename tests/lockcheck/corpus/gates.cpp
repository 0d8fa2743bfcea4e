// SPDX-License-Identifier: Apache-2.0
// A ring needs waits that can all happen at once: a gate that is held exclusively for two of its
// edges dissolves it.
// case: mutex_gate | silent | AB and BA, both under one mutex
// case: write_gate | silent | both under one rwlock held for writing
// case: gate_read_by_one_written_by_other | silent | a reader and a writer of the gate are never inside at once
// case: recursive_gate | silent | the gate is a recursive mutex
// case: recursive_gate_still_held | silent | the gate was taken twice and given up once
// case: spin_gate | silent | the gate is a spinlock
// case: tried_gate | silent | one path got the gate by a try: it holds it all the same
// case: shared_mutex_gate_written | silent | the gate is a std::shared_mutex that both write-lock
// case: gate_for_two_of_three | silent | AB and BC under the gate, CA without: AB and BC never wait at once
// case: two_gates_one_common | silent | one path holds G and H, the other H alone
// case: gate_outside_of_functions | silent | the gate is taken by the callers
// case: read_gate | order | both hold the gate for reading: both can be inside
// case: read_gate_fair | order | the same with a fair rwlock
// case: gate_on_one_path | order | BA is done without the gate, too
// case: gated_then_ungated | order | AB and BA under the gate, and later AB once without
// case: two_gates | order | AB under one gate, BA under another
// case: gate_instances_differ | order | gates of one class, but each path has its own
// case: gate_given_up_before | order | the gate is released before the second lock is wanted
// case: gate_in_the_middle | order | A, gate, B and B, gate, A: the gate itself is waited for under A and B
// case: gate_of_the_starter | order | the thread that starts the paths holds the gate, the paths do not
// case: gated_class_ring | silent | AB and BA over other objects of the classes, under one gate
// case: two_gates_class_ring | order | the same, but each path has another gate
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "corpus.h"

namespace {

std::mutex a, b, c, gate, other_gate;
std::recursive_mutex recursive;
std::shared_mutex shared;
pthread_rwlock_t fair = FAIR_RWLOCK;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spin;

void nest(std::mutex& outer, std::mutex& inner) {
    std::lock_guard hold_outer(outer);
    meet(0);
    std::lock_guard hold_inner(inner);
}
void ab() {
    nest(a, b);
}
void ba() {
    nest(b, a);
}
void ca() {
    nest(c, a);
}

void mutex_gate() {
    RUN(
        in_threads,
        [] {
            std::lock_guard hold(gate);
            ab();
        },
        [] {
            std::lock_guard hold(gate);
            ba();
        });
}

template <int (*Enter)(pthread_rwlock_t*), pthread_rwlock_t& Gate, void (*Path)()>
void through() {
    Enter(&Gate);
    Path();
    rw_unlock(&Gate);
}
constexpr auto to_read = pthread_rwlock_rdlock;
constexpr auto to_write = pthread_rwlock_wrlock;

void write_gate() {
    RUN(in_threads, (through<to_write, rwlock, ab>), (through<to_write, rwlock, ba>));
}
void gate_read_by_one_written_by_other() {
    RUN(in_threads, (through<to_read, rwlock, ab>), (through<to_write, rwlock, ba>));
}
void read_gate() {
    RUN(in_threads, (through<to_read, rwlock, ab>), (through<to_read, rwlock, ba>));
}
void read_gate_fair() {
    RUN(in_threads, (through<to_read, fair, ab>), (through<to_read, fair, ba>));
}

template <class Gate, Gate& gate, void (*Path)()>
void inside() {
    std::lock_guard hold(gate);
    Path();
}
void recursive_gate() {
    RUN(in_threads, (inside<std::recursive_mutex, recursive, ab>),
        (inside<std::recursive_mutex, recursive, ba>));
}
void shared_mutex_gate_written() {
    RUN(in_threads, (inside<std::shared_mutex, shared, ab>),
        (inside<std::shared_mutex, shared, ba>));
}
template <void (*Path)()>
void inside_twice() {
    recursive.lock();
    recursive.lock();
    recursive.unlock();
    Path();
    recursive.unlock();
}
void recursive_gate_still_held() {
    RUN(in_threads, inside_twice<ab>, inside_twice<ba>);
}
template <void (*Path)()>
constexpr path_function gated = inside<std::mutex, gate, Path>;
template <void (*Path)()>
constexpr path_function other_gated = inside<std::mutex, other_gate, Path>;

template <void (*Path)()>
void spinning() {
    spin_lock(&spin);
    Path();
    spin_unlock(&spin);
}
void spin_gate() {
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    RUN(in_turn, spinning<ab>, spinning<ba>);
}

void tried_ab() {
    if (!gate.try_lock()) return;
    ab();
    gate.unlock();
}
void tried_gate() {
    RUN(in_turn, tried_ab, gated<ba>);
}

void bc() {
    nest(b, c);
}
void gate_for_two_of_three() {
    RUN(in_threads, gated<ab>, gated<bc>, ca);
}
void two_gates_one_common() {
    RUN(in_threads, (inside<std::mutex, other_gate, gated<ab>>), gated<ba>);
}

void ab_from_outside() {
    ab();
}
void ba_from_outside() {
    ba();
}
void gate_outside_of_functions() {
    RUN(in_turn, gated<ab_from_outside>, gated<ba_from_outside>);
}

void gate_on_one_path() {
    RUN(in_threads, gated<ab>, ba);
}
void gated_then_ungated() {
    if (!forced) RUN(in_turn, gated<ab>, gated<ba>, ab);
    if (forced) RUN(in_turn, gated<ba>, ab);
}
void two_gates() {
    RUN(in_threads, gated<ab>, other_gated<ba>);
}

struct Shelf {
    std::mutex gate;
};
Shelf* shelves[2];
template <int Which, void (*Path)()>
void at_shelf() {
    std::lock_guard hold(shelves[Which]->gate);
    Path();
}
void gate_instances_differ() {
    for (Shelf*& shelf : shelves) shelf = new Shelf;
    RUN(in_threads, (at_shelf<0, ab>), (at_shelf<1, ba>));
}

template <std::mutex& Outer, std::mutex& Inner>
void give_up_gate() {
    std::unique_lock enter(gate);
    std::lock_guard hold_outer(Outer);
    enter.unlock();
    meet(0);
    std::lock_guard hold_inner(Inner);
}
void gate_given_up_before() {
    RUN(in_threads, (give_up_gate<a, b>), (give_up_gate<b, a>));
}

template <std::mutex& Outer, std::mutex& Inner>
void gate_between() {
    std::lock_guard hold_outer(Outer);
    meet(0);
    std::lock_guard enter(gate);
    std::lock_guard hold_inner(Inner);
}
void gate_in_the_middle() {
    RUN(in_threads, (gate_between<a, b>), (gate_between<b, a>));
}

void gate_of_the_starter() {
    std::lock_guard hold(gate);
    RUN(in_threads, ab, ba);
}

struct Account {
    std::mutex in, out, gate;
};
std::unique_ptr<Account> accounts[2];

Account& second() {
    return *accounts[forced ? 0 : 1];
}
void in_out() {
    nest(accounts[0]->in, accounts[0]->out);
}
void out_in() {
    nest(second().out, second().in);
}
void make_accounts() {
    for (auto& account : accounts) account = std::make_unique<Account>();
}
void gated_class_ring() {
    make_accounts();
    RUN(in_threads, gated<in_out>, gated<out_in>);
}
void two_gates_class_ring() {
    make_accounts();
    RUN(
        in_threads,
        [] {
            std::lock_guard enter(gate);
            in_out();
        },
        [] {
            std::lock_guard enter(other_gate);
            out_in();
        });
}

}  // namespace

MAIN(CASE(mutex_gate), CASE(write_gate), CASE(gate_read_by_one_written_by_other),
     CASE(recursive_gate), CASE(recursive_gate_still_held), CASE(spin_gate), CASE(tried_gate),
     CASE(shared_mutex_gate_written), CASE(gate_for_two_of_three), CASE(two_gates_one_common),
     CASE(gate_outside_of_functions), CASE(read_gate), CASE(read_gate_fair), CASE(gate_on_one_path),
     CASE(gated_then_ungated), CASE(two_gates), CASE(gate_instances_differ),
     CASE(gate_given_up_before), CASE(gate_in_the_middle), CASE(gate_of_the_starter),
     CASE(gated_class_ring), CASE(two_gates_class_ring))
