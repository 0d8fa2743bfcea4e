// SPDX-License-Identifier: Apache-2.0
// pthread_spin_*.
#include <cerrno>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/real.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// A spinlock does not say that it is shared between processes; those that were made so are few.
/// Only ever grows: a spinlock that lives there later is not asked who unlocks it.
struct SharedSpinlocks {
    std::atomic<uint32_t> count = 0;
    std::atomic<const void*> entries[limits::lockcheck_shared_spinlocks_max] = {};

    void add(const void* lock) {
        if (has(lock)) return;
        const uint32_t at = count.fetch_add(1, std::memory_order_relaxed);
        if (at < limits::lockcheck_shared_spinlocks_max)
            entries[at].store(lock, std::memory_order_relaxed);
    }
    bool has(const void* lock) const {
        const uint32_t used = count.load(std::memory_order_relaxed);
        if (used >= limits::lockcheck_shared_spinlocks_max) return true;
        for (uint32_t i = 0; i < used; ++i)
            if (entries[i].load(std::memory_order_relaxed) == lock) return true;
        return false;
    }
};
constinit SharedSpinlocks shared_spinlocks;

const void* address_of(const volatile pthread_spinlock_t* lock) {
    return const_cast<const int*>(lock);
}

Object describe(const void* lock) {
    Object object;
    object.address = lock;
    object.bytes = sizeof(pthread_spinlock_t);
    object.traits.type = lockdep::LockType::spinlock;
    object.shared_between_processes = shared_spinlocks.has(lock);
    return object;
}

void breathe() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

int spin(void* object, int64_t until_ns) {
    auto* const lock = static_cast<int*>(object);
    for (;;) {
        for (int i = 0; i < limits::lockcheck_spins_between_looks; ++i) {
            const int result = real.pthread_spin_trylock(lock);
            if (result != EBUSY) return result;
            breathe();
        }
        if (monotonic_now().ns >= until_ns) return ETIMEDOUT;
    }
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;
namespace lockdep = braidway::lockdep;

LOCKCHECK_EXPORT int pthread_spin_init(volatile pthread_spinlock_t* lock, int shared) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_spin_init(lock, shared);
    if (result == 0 && self != nullptr) {
        if (shared == PTHREAD_PROCESS_SHARED) shared_spinlocks.add(address_of(lock));
        initialised(*self, describe(address_of(lock)));
    }
    return result;
}

LOCKCHECK_EXPORT int pthread_spin_destroy(volatile pthread_spinlock_t* lock) noexcept {
    if (ThreadRecord* const self = watched()) destroyed(*self, address_of(lock));
    return real.pthread_spin_destroy(lock);
}

LOCKCHECK_EXPORT int pthread_spin_lock(volatile pthread_spinlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    if (self == nullptr) [[unlikely]]
        return real.pthread_spin_lock(lock);
    const void* const address = address_of(lock);
    lockdep::Pending pending;
    wants(*self, address, write_endlessly, LOCKCHECK_SITE, pending,
          [=] { return describe(address); });
    int result = real.pthread_spin_trylock(lock);
    if (result == EBUSY) [[unlikely]]
        result = wait_for_lock(*self, pending, const_cast<int*>(lock), spin);
    if (result == 0) has(*self, pending);
    return result;
}

LOCKCHECK_EXPORT int pthread_spin_trylock(volatile pthread_spinlock_t* lock) noexcept {
    ThreadRecord* const self = watched();
    const int result = real.pthread_spin_trylock(lock);
    if (result != 0 || self == nullptr) return result;
    const void* const address = address_of(lock);
    lockdep::Pending pending;
    wants(*self, address, write_bounded, LOCKCHECK_SITE, pending,
          [=] { return describe(address); });
    has(*self, pending);
    return result;
}

LOCKCHECK_EXPORT int pthread_spin_unlock(volatile pthread_spinlock_t* lock) noexcept {
    const void* const address = address_of(lock);
    if (ThreadRecord* const self = watched()) [[likely]]
        releases(*self, address, LOCKCHECK_SITE, [=] { return describe(address); });
    return real.pthread_spin_unlock(lock);
}
