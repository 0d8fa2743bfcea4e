// SPDX-License-Identifier: Apache-2.0
// Locks that are local variables: of the next turn of a loop or the next block in the same place of
// a frame, which are new locks; and those whose type debug information tells by their place there.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "corpus.h"

#define APART __attribute__((noinline))

namespace {

std::mutex session;
constexpr pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
constexpr pthread_rwlock_t rw_unlocked = PTHREAD_RWLOCK_INITIALIZER;

template <class First, class Second>
APART void nest(First& outer, Second& inner) {
    std::lock_guard first(outer);
    meet(0);
    std::lock_guard second(inner);
}
/// The same, by a thread of its own.
template <class First, class Second>
APART void nest_elsewhere(First& outer, Second& inner) {
    struct Both {
        First& outer;
        Second& inner;
    } both{outer, inner};
    const auto run = [](void* argument) -> void* {
        nest(static_cast<Both*>(argument)->outer, static_cast<Both*>(argument)->inner);
        return nullptr;
    };
    pthread_t thread;
    check(pthread_create(&thread, nullptr, run, &both) == 0);
    check(pthread_join(thread, nullptr) == 0);
}

/// Turns of a loop; forced, each path has one of its own.
template <void (*Turns)(int, int)>
void run_turns() {
    if (forced)
        RUN(in_turn, [] { Turns(0, 1); }, [] { Turns(1, 2); });
    else
        Turns(0, 2);
}

// --- made anew in every turn ---
APART void std_turns(int from, int to) {
    for (int turn = from; turn < to; ++turn) {
        std::mutex both[2];
        nest_elsewhere(both[turn], both[1 - turn]);
    }
}
void array_in_a_loop() {
    run_turns<std_turns>();
}
APART void own_turns(int from, int to) {
    for (int turn = from; turn < to; ++turn) {
        std::recursive_mutex both[2];
        nest(both[turn], both[1 - turn]);
    }
}
void array_of_its_own_in_a_loop() {
    run_turns<own_turns>();
}
struct Guarded {
    pthread_mutex_t mutex;
    void lock() { ::lock(&mutex); }
    void unlock() { ::unlock(&mutex); }
};
APART void c_turns(int from, int to) {
    for (int turn = from; turn < to; ++turn) {
        Guarded both[2] = {{unlocked}, {unlocked}};
        nest_elsewhere(both[turn], both[1 - turn]);
    }
}
void initialisers_in_a_loop() {
    run_turns<c_turns>();
}
struct Written {
    pthread_rwlock_t rwlock;
    void lock() { ::write_lock(&rwlock); }
    void unlock() { ::rw_unlock(&rwlock); }
};
APART void rw_turns(int from, int to) {
    for (int turn = from; turn < to; ++turn) {
        Written both[2] = {{rw_unlocked}, {rw_unlocked}};
        nest_elsewhere(both[turn], both[1 - turn]);
    }
}
void rwlocks_in_a_loop() {
    run_turns<rw_turns>();
}
APART void shared_turns(int from, int to) {
    for (int turn = from; turn < to; ++turn) {
        std::shared_mutex own;
        if (turn == 0)
            nest_elsewhere(own, session);
        else
            nest_elsewhere(session, own);
    }
}
void shared_mutex_in_a_loop() {
    run_turns<shared_turns>();
}
APART void two_blocks(int from, int to) {
    if (from == 0) {
        std::mutex one;
        nest(session, one);
    }
    if (to == 2) {
        std::mutex other;
        nest(other, session);
    }
}
void blocks_of_one_function() {
    run_turns<two_blocks>();
}
APART void optional_turns(int from, int to) {
    std::optional<std::mutex> own;
    for (int turn = from; turn < to; ++turn) {
        own.emplace();
        if (turn == 0)
            nest_elsewhere(*own, session);
        else
            nest_elsewhere(session, *own);
    }
}
void optional_made_again() {
    run_turns<optional_turns>();
}

// --- the same ones in every turn ---
/// Apart, or the compiler warns of what is kept of a frame.
template <class Object>
APART void keep(Object*& kept, Object* object) {
    kept = object;
}
template <class Lock>
void use_both_ways() {
    static Lock* both;
    Lock array[2] = {};
    keep(both, array);
    if (forced)
        RUN(in_turn, [] { nest(both[0], both[1]); }, [] { nest(both[1], both[0]); });
    else
        for (int turn = 0; turn < 2; ++turn) nest_elsewhere(array[turn], array[1 - turn]);
}
void array_before_the_loop() {
    use_both_ways<std::mutex>();
}
void rwlocks_before_the_loop() {
    use_both_ways<std::shared_mutex>();
}
void recursive_before_the_loop() {
    use_both_ways<std::recursive_mutex>();
}
void of_one_turn() {
    static std::mutex *one, *other;
    for (int turn = 0; turn < 2; ++turn) {
        std::mutex both[2];
        keep(one, &both[0]);
        keep(other, &both[1]);
        if (turn == 1) RUN(in_threads, [] { nest(*one, *other); }, [] { nest(*other, *one); });
    }
}

// --- types by the place in the frame: two paths, whose objects never meet ---
struct Shard {
    std::mutex mutex;
    int value = 0;
};
struct Job {
    int id = 0;
    std::mutex mutex;
};
/// Opposite orders over two objects of each type; forced, over the same.
template <class A, class B>
APART void use_pairs(A& a, A& next_a, B& b, B& next_b) {
    static A *first_a, *second_a;
    static B *first_b, *second_b;
    first_a = &a;
    second_a = forced ? &a : &next_a;
    first_b = &b;
    second_b = forced ? &b : &next_b;
    RUN(
        in_threads, [] { nest(first_a->mutex, first_b->mutex); },
        [] { nest(second_b->mutex, second_a->mutex); });
}
void arrays_seen_by_others() {
    std::array<Shard, 4> shards;
    Job jobs[3];
    use_pairs(shards[0], shards[2], jobs[0], jobs[1]);
}
void optionals_seen_by_others() {
    std::optional<Shard> shard, next_shard;
    std::optional<Job> job, next_job;
    shard.emplace();
    next_shard.emplace();
    job.emplace();
    next_job.emplace();
    use_pairs(*shard, *next_shard, *job, *next_job);
}
/// The lock is all they have; and they do something when they are made and go.
struct Tidy {
    std::mutex mutex;
    ~Tidy() { std::lock_guard last(mutex); }
};
struct Early {
    std::mutex mutex;
    Early() { std::lock_guard first(mutex); }
    Early(const Early&) = delete;
};
void only_a_lock_each() {
    Tidy one, other;
    Early early, next_early;
    use_pairs(one, other, early, next_early);
}
struct Hook {
    std::mutex mutex;
};
/// On the stack in one block; on the heap in the next, with pointers in the same place of the
/// frame.
void stack_and_heap() {
    static Hook* shared_hook = forced ? new Hook : nullptr;
    static Shard* shared_shard = forced ? new Shard : nullptr;
    RUN(
        in_turn,
        [] {
            Hook hook;
            Shard shard;
            nest(forced ? shared_shard->mutex : shard.mutex,
                 forced ? shared_hook->mutex : hook.mutex);
        },
        [] {
            auto hook = std::make_unique<Hook>();
            auto shard = std::make_unique<Shard>();
            nest(forced ? shared_hook->mutex : hook->mutex,
                 forced ? shared_shard->mutex : shard->mutex);
        });
}

// --- and what is not of one type ---
struct Engine {
    std::mutex mutex;
    long speed = 0;
};
struct Window {
    std::mutex mutex;
    long width = 0;
};
/// In one place of one frame, one after the other.
APART void types_in_two_blocks(int from, int to) {
    if (from == 0) {
        Engine engine;
        nest_elsewhere(engine.mutex, session);
    }
    if (to == 2) {
        Window window;
        nest_elsewhere(session, window.mutex);
    }
}
void types_of_two_blocks() {
    run_turns<types_in_two_blocks>();
}
/// A lock of another make: who makes it must say so, for pthread's need it.
struct Handle {
    pthread_mutex_t mutex;
    Handle() { pthread_mutex_init(&mutex, nullptr); }
    ~Handle() { pthread_mutex_destroy(&mutex); }
};
/// And this: its copy has a lock of its own.
struct Copied {
    std::mutex mutex;
    Copied() = default;
    Copied(const Copied&) {}
};
template <class Lock>
APART Lock* new_inner() {
    return new Lock;
}
template <class Lock>
APART Lock* new_outer() {
    return new Lock;
}
APART void lock(Handle& handle) {
    lock(&handle.mutex);
}
APART void unlock(Handle& handle) {
    unlock(&handle.mutex);
}
APART void lock(Copied& copied) {
    copied.mutex.lock();
}
APART void unlock(Copied& copied) {
    copied.mutex.unlock();
}
template <class Lock>
void use_inner_and_outer() {
    static Lock *inner, *outer;
    inner = new_inner<Lock>();
    outer = new_outer<Lock>();
    RUN(
        in_threads,
        [] {
            lock(*outer);
            meet(0);
            std::unique_lock last(session);
            last.unlock();
            unlock(*outer);
        },
        [] {
            std::unique_lock last(session);
            meet(0);
            lock(*inner);
            unlock(*inner);
        });
}
void locks_of_another_make() {
    use_inner_and_outer<Handle>();
}
void locks_that_are_copied() {
    use_inner_and_outer<Copied>();
}

// --- arrays of locks and nothing else, whose loop is unrolled ---
struct Bare {
    pthread_mutex_t mutex;
    void lock() { ::lock(&mutex); }
    void unlock() { ::unlock(&mutex); }
};
Bare *bare, *next_bare;
APART Bare* new_array() {
    auto* const array = static_cast<Bare*>(malloc(2 * sizeof(Bare)));
    for (int i = 0; i < 2; ++i) pthread_mutex_init(&array[i].mutex, nullptr);
    return array;
}
/// As an order by address or by what is in it would give it, of two arrays.
void unrolled_array() {
    bare = new_array();
    next_bare = new_array();
    RUN(in_threads, [] { nest(bare[0], bare[1]); }, [] { nest(next_bare[1], next_bare[0]); });
}
APART void own_array(int first) {
    Bare array[2];
    for (int i = 0; i < 2; ++i) pthread_mutex_init(&array[i].mutex, nullptr);
    nest(array[first], array[1 - first]);
}
void unrolled_array_in_a_frame() {
    RUN(in_turn, [] { own_array(0); }, [] { own_array(1); });
}
void unrolled_array_both_ways() {
    bare = new_array();
    RUN(in_threads, [] { nest(bare[0], bare[1]); }, [] { nest(bare[1], bare[0]); });
}
/// Two members, initialised in one line.
struct Doors {
    Bare in, out;
};
APART Doors* new_doors() {
    auto* const doors = static_cast<Doors*>(malloc(sizeof(Doors)));
    // clang-format off
    pthread_mutex_init(&doors->in.mutex, nullptr); pthread_mutex_init(&doors->out.mutex, nullptr);
    // clang-format on
    return doors;
}
void two_locks_in_one_line() {
    static Doors *doors, *next_doors;
    doors = new_doors();
    next_doors = forced ? doors : new_doors();
    RUN(
        in_threads, [] { nest(doors->in, doors->out); },
        [] { nest(next_doors->out, next_doors->in); });
}

}  // namespace

#define LEVEL_CASE(name) {#name LEVEL, name}
MAIN(LEVEL_CASE(array_in_a_loop), LEVEL_CASE(array_of_its_own_in_a_loop),
     LEVEL_CASE(initialisers_in_a_loop), LEVEL_CASE(rwlocks_in_a_loop),
     LEVEL_CASE(shared_mutex_in_a_loop), LEVEL_CASE(blocks_of_one_function),
     LEVEL_CASE(optional_made_again), LEVEL_CASE(array_before_the_loop),
     LEVEL_CASE(rwlocks_before_the_loop), LEVEL_CASE(recursive_before_the_loop),
     LEVEL_CASE(of_one_turn), LEVEL_CASE(arrays_seen_by_others),
     LEVEL_CASE(optionals_seen_by_others), LEVEL_CASE(only_a_lock_each), LEVEL_CASE(stack_and_heap),
     LEVEL_CASE(types_of_two_blocks), LEVEL_CASE(locks_of_another_make),
     LEVEL_CASE(locks_that_are_copied), LEVEL_CASE(unrolled_array),
     LEVEL_CASE(unrolled_array_in_a_frame), LEVEL_CASE(unrolled_array_both_ways),
     LEVEL_CASE(two_locks_in_one_line))
