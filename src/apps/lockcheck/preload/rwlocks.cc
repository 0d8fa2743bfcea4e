// SPDX-License-Identifier: Apache-2.0
// pthread_rwlock_*.
#include <cerrno>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"

namespace braidway::lockcheck {
namespace {

Object describe(const pthread_rwlock_t* lock) {
    Object object;
    object.address = lock;
    object.bytes = sizeof *lock;
    object.traits.type = lockdep::LockType::rwlock;
    object.traits.fair = lock->__data.__flags == PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
    object.shared_between_processes = lock->__data.__shared != 0;
    return object;
}

int wait_to_write(void* object, int64_t until_ns) {
    auto* const lock = static_cast<pthread_rwlock_t*>(object);
    if (real.pthread_rwlock_clockwrlock == nullptr) {
        const timespec until = wall_time(until_ns);
        return real.pthread_rwlock_timedwrlock(lock, &until);
    }
    const timespec until = monotonic_time(until_ns);
    return real.pthread_rwlock_clockwrlock(lock, CLOCK_MONOTONIC, &until);
}

int wait_to_read(void* object, int64_t until_ns) {
    auto* const lock = static_cast<pthread_rwlock_t*>(object);
    if (real.pthread_rwlock_clockrdlock == nullptr) {
        const timespec until = wall_time(until_ns);
        return real.pthread_rwlock_timedrdlock(lock, &until);
    }
    const timespec until = monotonic_time(until_ns);
    return real.pthread_rwlock_clockrdlock(lock, CLOCK_MONOTONIC, &until);
}

/// After an acquisition that could not block for ever.
int took(ThreadRecord* self, pthread_rwlock_t* lock, int result, lockdep::Access access,
         uintptr_t site) {
    if (result != 0 || self == nullptr) return result;
    lockdep::Pending pending;
    wants(*self, lock, access, site, pending, [=] { return describe(lock); });
    has(*self, pending);
    return result;
}

int destroy(pthread_rwlock_t* lock) {
    if (ThreadRecord* const self = watched()) destroyed(*self, lock);
    return real.pthread_rwlock_destroy(lock);
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;
namespace lockdep = braidway::lockdep;

LOCKCHECK_EXPORT int pthread_rwlock_init(pthread_rwlock_t* __restrict lock,
                                         const pthread_rwlockattr_t* __restrict attr) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_rwlock_init(lock, attr);
    if (result == 0 && self != nullptr) initialised(*self, describe(lock));
    return result;
}

LOCKCHECK_EXPORT int pthread_rwlock_destroy(pthread_rwlock_t* lock) noexcept {
    return destroy(lock);
}

LOCKCHECK_EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    if (self == nullptr) [[unlikely]]
        return real.pthread_rwlock_rdlock(lock);
    lockdep::Pending pending;
    wants(*self, lock, read_endlessly, LOCKCHECK_SITE, pending, [=] { return describe(lock); });
    int result = real.pthread_rwlock_tryrdlock(lock);
    if (result == EBUSY) [[unlikely]]
        result = wait_for_lock(*self, pending, lock, wait_to_read);
    if (result == 0) has(*self, pending);
    return result;
}

LOCKCHECK_EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    if (self == nullptr) [[unlikely]]
        return real.pthread_rwlock_wrlock(lock);
    lockdep::Pending pending;
    wants(*self, lock, write_endlessly, LOCKCHECK_SITE, pending, [=] { return describe(lock); });
    int result = real.pthread_rwlock_trywrlock(lock);
    if (result == EBUSY) [[unlikely]]
        result = wait_for_lock(*self, pending, lock, wait_to_write);
    if (result == 0) has(*self, pending);
    return result;
}

LOCKCHECK_EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    return took(self, lock, real.pthread_rwlock_tryrdlock(lock), read_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    return took(self, lock, real.pthread_rwlock_trywrlock(lock), write_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t* __restrict lock,
                                                const timespec* __restrict until) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_rwlock_timedrdlock(lock, until);
    return took(self, lock, result, read_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t* __restrict lock,
                                                const timespec* __restrict until) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_rwlock_timedwrlock(lock, until);
    return took(self, lock, result, write_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t* __restrict lock, clockid_t clock,
                                                const timespec* __restrict until) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_rwlock_clockrdlock(lock, clock, until);
    return took(self, lock, result, read_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t* __restrict lock, clockid_t clock,
                                                const timespec* __restrict until) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_rwlock_clockwrlock(lock, clock, until);
    return took(self, lock, result, write_bounded, LOCKCHECK_SITE);
}

LOCKCHECK_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t* lock) noexcept {
    if (ThreadRecord* const self = watched()) [[likely]]
        releases(*self, lock, LOCKCHECK_SITE, [=] { return describe(lock); });
    return real.pthread_rwlock_unlock(lock);
}

// Names under which programs that were linked long ago call them.
LOCKCHECK_ALIAS(__pthread_rwlock_init, pthread_rwlock_init)
LOCKCHECK_ALIAS(__pthread_rwlock_destroy, pthread_rwlock_destroy)
LOCKCHECK_ALIAS(__pthread_rwlock_rdlock, pthread_rwlock_rdlock)
LOCKCHECK_ALIAS(__pthread_rwlock_wrlock, pthread_rwlock_wrlock)
LOCKCHECK_ALIAS(__pthread_rwlock_tryrdlock, pthread_rwlock_tryrdlock)
LOCKCHECK_ALIAS(__pthread_rwlock_trywrlock, pthread_rwlock_trywrlock)
LOCKCHECK_ALIAS(__pthread_rwlock_unlock, pthread_rwlock_unlock)
