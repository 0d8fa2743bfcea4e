// SPDX-License-Identifier: Apache-2.0
// pthread_mutex_* and mtx_*: they are one object in glibc.
#include <cerrno>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"

namespace braidway::lockcheck {
namespace {

/// Bits of pthread_mutex_t's kind. They are a part of glibc's ABI: static initialisers hold them.
constexpr int kind_bits = 3;
constexpr int robust_bit = 16;
constexpr int inherit_bit = 32;
constexpr int shared_bit = 128;

/// A slice of pthread_mutex_lock(). Mutexes with priority inheritance take the wall clock only,
/// on kernels before 5.14.
int wait_slice(void* object, int64_t until_ns) {
    auto* const mutex = static_cast<pthread_mutex_t*>(object);
    const int kind = __atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED);
    if ((kind & inherit_bit) != 0 || real.pthread_mutex_clocklock == nullptr) {
        const timespec until = wall_time(until_ns);
        return real.pthread_mutex_timedlock(mutex, &until);
    }
    const timespec until = monotonic_time(until_ns);
    return real.pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
}

bool is_taken(int result) {
    return result == 0 || result == EOWNERDEAD;
}

[[gnu::always_inline]] inline int lock(pthread_mutex_t* mutex, uintptr_t site) {
    ThreadRecord* const self = watched();
    if (self == nullptr) [[unlikely]]
        return real.pthread_mutex_lock(mutex);
    lockdep::Pending pending;
    wants(*self, mutex, write_endlessly, site, pending, [=] { return describe_mutex(mutex); });
    int result = real.pthread_mutex_trylock(mutex);
    if (result == EBUSY) [[unlikely]]
        result = wait_for_lock(*self, pending, mutex, wait_slice);
    if (is_taken(result)) has(*self, pending);
    return result;
}

/// After an acquisition that could not block for ever.
int took(ThreadRecord& self, pthread_mutex_t* mutex, int result, uintptr_t site) {
    if (!is_taken(result)) return result;
    lockdep::Pending pending;
    wants(self, mutex, write_bounded, site, pending, [=] { return describe_mutex(mutex); });
    has(self, pending);
    return result;
}

[[gnu::always_inline]] inline int try_lock(pthread_mutex_t* mutex, uintptr_t site) {
    ThreadRecord* const self = watched();
    const int result = real.pthread_mutex_trylock(mutex);
    return self == nullptr ? result : took(*self, mutex, result, site);
}

[[gnu::always_inline]] inline int timed_lock(pthread_mutex_t* mutex, const timespec* until,
                                             uintptr_t site) {
    ThreadRecord* const self = watched();
    const int result = real.pthread_mutex_timedlock(mutex, until);
    return self == nullptr ? result : took(*self, mutex, result, site);
}

[[gnu::always_inline]] inline int unlock(pthread_mutex_t* mutex, uintptr_t site) {
    if (ThreadRecord* const self = watched()) [[likely]]
        releases(*self, mutex, site, [=] { return describe_mutex(mutex); });
    return real.pthread_mutex_unlock(mutex);
}

int destroy(pthread_mutex_t* mutex, uintptr_t site) {
    ThreadRecord* const self = watched();
    if (self == nullptr) return real.pthread_mutex_destroy(mutex);
    const bool held_here = holds(*self, mutex);
    destroyed(*self, mutex);
    const int result = real.pthread_mutex_destroy(mutex);
    // Refused: it has been reported, and the thread still holds it.
    return result == EBUSY && held_here ? took(*self, mutex, 0, site), result : result;
}

/// C11's words for the results of pthread functions.
int c11_result(int result) {
    switch (result) {
        case 0:
            return thrd_success;
        case ENOMEM:
            return thrd_nomem;
        case ETIMEDOUT:
            return thrd_timedout;
        case EBUSY:
            return thrd_busy;
        default:
            return thrd_error;
    }
}

pthread_mutex_t* as_mutex(mtx_t* mutex) {
    return reinterpret_cast<pthread_mutex_t*>(mutex);
}

}  // namespace

Object describe_mutex(const pthread_mutex_t* mutex) {
    const int kind = __atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED);
    Object object;
    object.address = mutex;
    object.bytes = sizeof *mutex;
    object.traits.type = lockdep::LockType::mutex;
    object.traits.recursive = (kind & kind_bits) == PTHREAD_MUTEX_RECURSIVE;
    object.traits.error_checking = (kind & kind_bits) == PTHREAD_MUTEX_ERRORCHECK;
    object.traits.robust = (kind & robust_bit) != 0;
    object.shared_between_processes = (kind & shared_bit) != 0;
    return object;
}

}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;

LOCKCHECK_EXPORT int pthread_mutex_init(pthread_mutex_t* mutex,
                                        const pthread_mutexattr_t* attributes) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_mutex_init(mutex, attributes);
    if (result == 0 && self != nullptr) initialised(*self, describe_mutex(mutex));
    return result;
}

LOCKCHECK_EXPORT int pthread_mutex_destroy(pthread_mutex_t* mutex) noexcept {
    return destroy(mutex, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    return lock(mutex, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
    return try_lock(mutex, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_mutex_timedlock(pthread_mutex_t* mutex,
                                             const timespec* until) noexcept {
    return timed_lock(mutex, until, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                             const timespec* until) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_mutex_clocklock(mutex, clock, until);
    return self == nullptr ? result : took(*self, mutex, result, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
    return unlock(mutex, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int mtx_init(mtx_t* mutex, int type) {
    ThreadRecord* const self = watched();
    const int result = real.mtx_init(mutex, type);
    if (result == thrd_success && self != nullptr)
        initialised(*self, describe_mutex(as_mutex(mutex)));
    return result;
}

LOCKCHECK_EXPORT void mtx_destroy(mtx_t* mutex) {
    destroy(as_mutex(mutex), LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int mtx_lock(mtx_t* mutex) {
    return c11_result(lock(as_mutex(mutex), LOCKCHECK_SITE));
}

LOCKCHECK_EXPORT int mtx_trylock(mtx_t* mutex) {
    return c11_result(try_lock(as_mutex(mutex), LOCKCHECK_SITE));
}

LOCKCHECK_EXPORT int mtx_timedlock(mtx_t* __restrict mutex, const timespec* __restrict until) {
    return c11_result(timed_lock(as_mutex(mutex), until, LOCKCHECK_SITE));
}

LOCKCHECK_EXPORT int mtx_unlock(mtx_t* mutex) {
    return c11_result(unlock(as_mutex(mutex), LOCKCHECK_SITE));
}

// Names under which programs that were linked long ago, and some libraries, call them.
LOCKCHECK_ALIAS(__pthread_mutex_init, pthread_mutex_init)
LOCKCHECK_ALIAS(__pthread_mutex_destroy, pthread_mutex_destroy)
LOCKCHECK_ALIAS(__pthread_mutex_lock, pthread_mutex_lock)
LOCKCHECK_ALIAS(__pthread_mutex_trylock, pthread_mutex_trylock)
LOCKCHECK_ALIAS(__pthread_mutex_unlock, pthread_mutex_unlock)
