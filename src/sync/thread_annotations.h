// SPDX-License-Identifier: Apache-2.0
// Words for clang's thread-safety analysis: which mutex guards what. They mean nothing to other
// compilers; the clang preset checks them.
#pragma once

#if defined(__clang__)
#define BRAIDWAY_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define BRAIDWAY_THREAD_ANNOTATION(x)
#endif

/// On a class: it is a lock.
#define CAPABILITY(name) BRAIDWAY_THREAD_ANNOTATION(capability(name))
/// On a class: it holds a lock for as long as it lives.
#define SCOPED_CAPABILITY BRAIDWAY_THREAD_ANNOTATION(scoped_lockable)
/// On a member: touched only with this lock held.
#define GUARDED_BY(x) BRAIDWAY_THREAD_ANNOTATION(guarded_by(x))
/// On a function: the caller holds these locks.
#define REQUIRES(...) BRAIDWAY_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
/// On a function: the caller does not hold these locks, for it takes them.
#define EXCLUDES(...) BRAIDWAY_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
/// On a function: it takes these locks and returns with them held.
#define ACQUIRE(...) BRAIDWAY_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
/// On a function: it gives these locks up.
#define RELEASE(...) BRAIDWAY_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
