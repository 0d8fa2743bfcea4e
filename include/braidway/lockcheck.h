/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program can tell lockcheck about its locks. Nothing needs to be linked: without lockcheck
 * every call here is a test of a pointer that is null, and does nothing.
 *
 * Locks of pthread and C11 are seen without any of this; naming them makes reports easier to read.
 * A lock that a program makes itself (of futexes or atomics) is declared:
 *
 *     struct my_lock lock;
 *     lockcheck_init(&lock, sizeof lock, LOCKCHECK_MUTEX, "pool");    - when it is made
 *     lockcheck_wants(&lock, LOCKCHECK_WRITE);                        - before it may block
 *     ... take it ...
 *     lockcheck_acquired(&lock, LOCKCHECK_WRITE);                     - when the thread has it
 *     lockcheck_released(&lock);                                      - before giving it back
 *     lockcheck_destroy(&lock);                                       - when it goes
 *
 * A try is told by lockcheck_acquired() alone, when it has succeeded. A try or a wait with a time
 * limit can block nobody for ever, so nothing is told before it.
 *
 * Threads: any. Texts must stay as long as the program runs: literals do.
 */
#ifndef BRAIDWAY_LOCKCHECK_H
#define BRAIDWAY_LOCKCHECK_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* NOLINTBEGIN(readability-identifier-naming,modernize-use-nullptr): C names its own way. */

/* What a lock is. */
enum {
    LOCKCHECK_MUTEX = 0,
    LOCKCHECK_RECURSIVE_MUTEX = 1,    /* its holder may take it again */
    LOCKCHECK_FAIR_RWLOCK = 2,        /* a reader waits behind a writer that waits */
    LOCKCHECK_READER_FIRST_RWLOCK = 3 /* a reader waits only for a writer that has it */
};

/* How it is taken. */
enum { LOCKCHECK_WRITE = 0, LOCKCHECK_READ = 1 };

/* The library's side; use the functions below. */
#define LOCKCHECK_WEAK __attribute__((weak, visibility("default")))
LOCKCHECK_WEAK void braidway_lockcheck_name(const void* lock, const char* name);
LOCKCHECK_WEAK void braidway_lockcheck_init(const void* lock, size_t bytes, int kind,
                                            const char* lock_class);
LOCKCHECK_WEAK void braidway_lockcheck_destroy(const void* lock);
LOCKCHECK_WEAK void braidway_lockcheck_wants(const void* lock, int how);
LOCKCHECK_WEAK void braidway_lockcheck_acquired(const void* lock, int how);
LOCKCHECK_WEAK void braidway_lockcheck_released(const void* lock);
LOCKCHECK_WEAK void braidway_lockcheck_may_sleep(const char* where);

/* Is the program watched? */
static inline int lockcheck_is_watching(void) {
    return braidway_lockcheck_name != NULL;
}

/*
 * Names one lock for reports: any that lockcheck knows by now, which one of pthread is once it was
 * initialised by a call or used.
 */
static inline void lockcheck_name(const void* lock, const char* name) {
    if (braidway_lockcheck_name != NULL) braidway_lockcheck_name(lock, name);
}

/*
 * Declares a lock of the program's own, of one of the kinds above. Locks with one `lock_class` (by
 * its text) belong together: the order of two classes is judged over all of their locks. NULL:
 * its class is found as for other locks, by where it is made.
 */
static inline void lockcheck_init(const void* lock, size_t bytes, int kind,
                                  const char* lock_class) {
    if (braidway_lockcheck_init != NULL) braidway_lockcheck_init(lock, bytes, kind, lock_class);
}

/* It goes. Reported when it is held. */
static inline void lockcheck_destroy(const void* lock) {
    if (braidway_lockcheck_destroy != NULL) braidway_lockcheck_destroy(lock);
}

/* This thread is about to take it and may wait without end. */
static inline void lockcheck_wants(const void* lock, int how) {
    if (braidway_lockcheck_wants != NULL) braidway_lockcheck_wants(lock, how);
}

/* This thread has it now; without lockcheck_wants() before, by a try. */
static inline void lockcheck_acquired(const void* lock, int how) {
    if (braidway_lockcheck_acquired != NULL) braidway_lockcheck_acquired(lock, how);
}

/* This thread gives it back. Reported when it does not hold it. */
static inline void lockcheck_released(const void* lock) {
    if (braidway_lockcheck_released != NULL) braidway_lockcheck_released(lock);
}

/*
 * Here the thread may sleep for long, or calls what must not be called with a lock held; `where`
 * says what it is. Reported (held-while-sleep) when it holds any lock.
 */
static inline void lockcheck_may_sleep(const char* where) {
    if (braidway_lockcheck_may_sleep != NULL) braidway_lockcheck_may_sleep(where);
}

/* NOLINTEND(readability-identifier-naming,modernize-use-nullptr) */

#ifdef __cplusplus
}
#endif

#endif /* BRAIDWAY_LOCKCHECK_H */
