// SPDX-License-Identifier: Apache-2.0
// What the programs of the corpus share: main(), which runs the case that it is given, and little
// words for the calls of pthread.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "force.h"

struct corpus_case {
    const char* name;
    void (*run)(void);
};

/// Runs the case that the first argument names. Exit statuses: 0, 2 = no such case, 3 = check().
static inline int corpus_main(int argc, char** argv, const struct corpus_case* cases, int count) {
    for (int i = 0; argc > 1 && i < count; ++i)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    fprintf(stderr, "corpus: no such case\n");
    return 2;
}

#define CASE(name) {#name, name}
#define MAIN(...)                                                                \
    static const struct corpus_case corpus_cases[] = {__VA_ARGS__};              \
    int main(int argc, char** argv) {                                            \
        return corpus_main(argc, argv, corpus_cases,                             \
                           (int)(sizeof corpus_cases / sizeof corpus_cases[0])); \
    }

/// Ends the program when what must be so is not: a case that does not do its thing proves nothing.
#define check(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "corpus: line %d: not so: %s\n", __LINE__, #what); \
            _exit(3);                                                          \
        }                                                                      \
    } while (0)

/// For what the machine usually does but need not, as to give the same memory again: with
/// CORPUS_STRICT in the environment it must be so.
#define check_usual(what)                         \
    do {                                          \
        if (getenv("CORPUS_STRICT")) check(what); \
    } while (0)

/// An absolute time on CLOCK_REALTIME, in a little while.
static inline struct timespec soon(int ms) {
    struct timespec at;
    timespec_get(&at, TIME_UTC);
    at.tv_nsec += ms * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

/// Inlined always, so that each place that locks is a place of its own.
#define CORPUS_WORD(name, call, type)                                     \
    static inline __attribute__((always_inline)) int name(type* object) { \
        return call(object);                                              \
    }
CORPUS_WORD(lock, pthread_mutex_lock, pthread_mutex_t)
CORPUS_WORD(unlock, pthread_mutex_unlock, pthread_mutex_t)
CORPUS_WORD(try_lock, pthread_mutex_trylock, pthread_mutex_t)
CORPUS_WORD(read_lock, pthread_rwlock_rdlock, pthread_rwlock_t)
CORPUS_WORD(write_lock, pthread_rwlock_wrlock, pthread_rwlock_t)
CORPUS_WORD(rw_unlock, pthread_rwlock_unlock, pthread_rwlock_t)
CORPUS_WORD(spin_lock, pthread_spin_lock, pthread_spinlock_t)
CORPUS_WORD(spin_unlock, pthread_spin_unlock, pthread_spinlock_t)

/// A mutex of another kind than the plain one, and a reader/writer lock of any.
static inline void make_mutex(pthread_mutex_t* mutex, int type) {
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_settype(&attribute, type);
    pthread_mutex_init(mutex, &attribute);
    pthread_mutexattr_destroy(&attribute);
}

#define FAIR_RWLOCK PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
