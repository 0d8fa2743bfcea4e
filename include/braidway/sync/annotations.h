// SPDX-License-Identifier: Apache-2.0
// Words for clang's thread-safety analysis: which lock guards what. They mean nothing to other
// compilers.
#pragma once

#if defined(__clang__)
#define BRAIDWAY_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define BRAIDWAY_THREAD_ANNOTATION(x)
#endif

/// On a class: it is a lock.
#define BRAIDWAY_CAPABILITY(name) BRAIDWAY_THREAD_ANNOTATION(capability(name))
/// On a class: it holds a lock for as long as it lives.
#define BRAIDWAY_SCOPED_CAPABILITY BRAIDWAY_THREAD_ANNOTATION(scoped_lockable)
/// On a member: touched only with this lock held.
#define BRAIDWAY_GUARDED_BY(x) BRAIDWAY_THREAD_ANNOTATION(guarded_by(x))
/// On a function: the caller holds these locks.
#define BRAIDWAY_REQUIRES(...) BRAIDWAY_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
/// On a function: the caller holds these locks, for reading at least.
#define BRAIDWAY_REQUIRES_SHARED(...) \
    BRAIDWAY_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
/// On a function: the caller does not hold these locks, for it takes them.
#define BRAIDWAY_EXCLUDES(...) BRAIDWAY_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
/// On a function: it takes these locks and returns with them held.
#define BRAIDWAY_ACQUIRE(...) BRAIDWAY_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define BRAIDWAY_ACQUIRE_SHARED(...) \
    BRAIDWAY_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
/// On a function that returns true when it took the lock.
#define BRAIDWAY_TRY_ACQUIRE(...) BRAIDWAY_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define BRAIDWAY_TRY_ACQUIRE_SHARED(...) \
    BRAIDWAY_THREAD_ANNOTATION(try_acquire_shared_capability(__VA_ARGS__))
/// On a function: it gives these locks up.
#define BRAIDWAY_RELEASE(...) BRAIDWAY_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define BRAIDWAY_RELEASE_SHARED(...) \
    BRAIDWAY_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))
/// On the function of a lock itself, whose body the analysis cannot follow.
#define BRAIDWAY_NO_THREAD_SAFETY_ANALYSIS BRAIDWAY_THREAD_ANNOTATION(no_thread_safety_analysis)
