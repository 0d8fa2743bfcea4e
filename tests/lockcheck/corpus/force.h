// SPDX-License-Identifier: Apache-2.0
// How the programs of the corpus order their threads, without any lock that a checker sees.
//
// Built plainly, the code paths of a case run one after another, so that nothing goes wrong. Built
// with -DFORCE they run at once, and meet() makes each wait until all have come as far: then a
// program that can hang hangs, and one that cannot ends. No wait in here lasts for ever in that
// build, so what hangs hangs in its locks.
//
// FORCE_SEED=N in the environment lets the paths start in another order (for those that must end).
#pragma once

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef FORCE
enum { forced = 1, wait_ms_max = 200 };
#else
enum { forced = 0, wait_ms_max = 8000 };
#endif

enum { points_max = 16, settle_ms = 60 };

struct force_state {
    int paths;                 // That run at once.
    int arrived[points_max];   // At the meeting points.
    int happened[points_max];  // What tell() told.
};

static struct force_state force_world;

/// Sleeps until *word is at least `wanted`; for at most wait_ms_max. Returns whether it is.
static inline int force_wait(int* word, int wanted) {
    const struct timespec slice = {0, 5 * 1000 * 1000};
    for (int waited_ms = 0; waited_ms <= wait_ms_max; waited_ms += 5) {
        const int now = __atomic_load_n(word, __ATOMIC_ACQUIRE);
        if (now >= wanted) return 1;
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, now, &slice, (void*)0, 0);
    }
    return 0;
}

static inline void force_add(int* word) {
    __atomic_fetch_add(word, 1, __ATOMIC_ACQ_REL);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, (void*)0, (void*)0, 0);
}

/// Raw, so that no checker has an opinion about it.
static inline void sleep_ms(int ms) {
    const struct timespec pause = {ms / 1000, (ms % 1000) * 1000000L};
    syscall(SYS_nanosleep, &pause, (void*)0);
}

/// Forced: waits until every path is at this point, or cannot come. Else: nothing.
static inline void meet(int point) {
    if (!forced) return;
    force_add(&force_world.arrived[point]);
    force_wait(&force_world.arrived[point], force_world.paths);
}

/// Forced: time for the others to block where they are about to. Else: nothing.
static inline void settle(void) {
    if (forced) sleep_ms(settle_ms);
}

/// In both builds: what comes after hear(point) comes after tell(point), in another thread.
static inline void tell(int point) {
    force_add(&force_world.happened[point]);
}

static inline void hear(int point) {
    const int told = force_wait(&force_world.happened[point], 1);
    if (told) return;
    if (forced) return;
    fprintf(stderr, "corpus: nobody told %d\n", point);
    abort();
}

/// The same, but the forced build knows no such order.
static inline void first(int point) {
    if (!forced) tell(point);
}

static inline void then(int point) {
    if (!forced) hear(point);
}

typedef void (*path_function)(void);

struct force_start {
    path_function path;
    int delay_ms;
};

static inline void* force_thread(void* argument) {
    const struct force_start* start = (const struct force_start*)argument;
    if (start->delay_ms) sleep_ms(start->delay_ms);
    start->path();
    return (void*)0;
}

/// Starts a thread, and ends the program when that fails.
static inline pthread_t force_spawn(struct force_start* start) {
    pthread_t thread;
    if (pthread_create(&thread, (pthread_attr_t*)0, force_thread, start) != 0) abort();
    return thread;
}

/// All at once: forced only, but for the programs that are to hang in both builds.
static inline void at_once(const path_function* paths, int count) {
    const char* seed = getenv("FORCE_SEED");
    const int shift = seed ? atoi(seed) : 0;
    struct force_start starts[8];
    pthread_t threads[8];
    if (count > 8) abort();
    force_world.paths = count;
    for (int i = 0; i < count; ++i) {
        starts[i].path = paths[i];
        starts[i].delay_ms = shift ? ((i * 5 + 1) * shift) % 7 * 10 : 0;
        threads[i] = force_spawn(&starts[i]);
    }
    for (int i = 0; i < count; ++i) pthread_join(threads[i], (void**)0);
}

/// Each path in a thread of its own, which has ended before the next begins.
static inline void in_threads(const path_function* paths, int count) {
    if (forced) {
        at_once(paths, count);
        return;
    }
    for (int i = 0; i < count; ++i) {
        struct force_start start = {paths[i], 0};
        pthread_join(force_spawn(&start), (void**)0);
    }
}

/// One path after another, all by the thread that calls.
static inline void in_turn(const path_function* paths, int count) {
    if (forced) {
        at_once(paths, count);
        return;
    }
    for (int i = 0; i < count; ++i) paths[i]();
}

/// Runs paths in one of the three ways above: RUN(in_turn, one, two).
#define RUN(way, ...)                                                  \
    do {                                                               \
        const path_function run_paths[] = {__VA_ARGS__};               \
        way(run_paths, (int)(sizeof run_paths / sizeof run_paths[0])); \
    } while (0)
