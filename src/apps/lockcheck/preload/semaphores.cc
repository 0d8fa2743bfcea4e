// SPDX-License-Identifier: Apache-2.0
// sem_wait() and pthread_barrier_wait(): nobody owns what they wait for, so that they make no
// order; but who waits there must be known where every thread of the process waits.
#include <semaphore.h>

#include <cerrno>
#include <cstring>

#include "apps/lockcheck/preload/acquire.h"
#include "apps/lockcheck/preload/raw_calls.h"
#include "apps/lockcheck/preload/real.h"

namespace braidway::lockcheck {
namespace {

/// Does this word of the object say that other processes use it, too? The words are a part of
/// glibc's ABI: the objects may be made by one version and used by another.
bool is_shared(const void* object, size_t word) {
    int value = 0;
    std::memcpy(&value, static_cast<const std::byte*>(object) + word * sizeof value, sizeof value);
    return value != 0;
}
bool is_shared(const sem_t* semaphore) {
    constexpr size_t word = 2;
    return is_shared(semaphore, word);
}
bool is_shared(const pthread_barrier_t* barrier) {
    constexpr size_t word = 3;
    return is_shared(barrier, word);
}

Object describe(const sem_t* semaphore) {
    Object object;
    object.address = semaphore;
    object.bytes = sizeof *semaphore;
    object.traits.type = lockdep::LockType::semaphore;
    return object;
}
Object describe(const pthread_barrier_t* barrier) {
    Object object;
    object.address = barrier;
    object.bytes = sizeof *barrier;
    object.traits.type = lockdep::LockType::barrier;
    return object;
}

/// One wait, of which others are told.
struct Wait {
    ThreadRecord* self = nullptr;
    sem_t* semaphore = nullptr;
};

void stop_waiting(void* argument) {
    const KeptErrno kept;
    validator().unblocked(*static_cast<Wait*>(argument)->self->thread);
}

/// Do all handlers of the process let what they interrupt go on? A wait with an end is always left.
bool handlers_restart() {
    constexpr int last_signal = 64;
    constexpr uintptr_t ignored = 1;
    constexpr unsigned long restarts = SA_RESTART;
    for (int number = 1; number <= last_signal; ++number) {
        const KernelAction action = action_of_signal(number);
        if (action.function > ignored && (action.flags & restarts) == 0) return false;
    }
    return true;
}

int wait_slice(void* object, int64_t until_ns) {
    const timespec until = monotonic_time(until_ns);
    for (;;) {
        if (real.sem_clockwait(static_cast<Wait*>(object)->semaphore, CLOCK_MONOTONIC, &until) == 0)
            return 0;
        if (errno != EINTR || !handlers_restart()) return errno;
    }
}

[[gnu::noinline]] int wait_in_slices(Wait& wait) {
    int result = 0;
    pthread_cleanup_push(stop_waiting, &wait);
    result = wait_watching(*wait.self, &wait, wait_slice);
    pthread_cleanup_pop(1);
    return result;
}

[[gnu::noinline]] int wait_watched(ThreadRecord& self, sem_t* semaphore, uintptr_t site) {
    const int errno_before = errno;
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    Wait wait{.self = &self, .semaphore = semaphore};
    in_validator(self, [&] {
        const lockdep::Lock* const at = lock_at(self, describe(semaphore), site, frame);
        validator().blocks_waiting(*self.thread, nullptr, at, 0);
    });
    const int result = wait_in_slices(wait);
    errno = result == 0 ? errno_before : result;
    return result == 0 ? 0 : -1;
}

/// The stack of a thread that waits at a barrier, which cannot look for a hang itself: kept from
/// the first time at this place.
lockdep::StackId stack_at(ThreadRecord& self, const lockdep::Lock& barrier, uintptr_t site) {
    constexpr uint64_t what = 0x9e3779b97f4a7c15;
    const uint64_t id = barrier.id.load(std::memory_order_relaxed);
    const uint64_t key = ((id << 32 ^ site) * what) | 1;
    ThreadRecord::Meeting& kept = self.meetings[(key >> 32) & (ThreadRecord::meetings_cached - 1)];
    if (kept.key != key) kept = {.key = key, .stack = validator().stack_here()};
    return kept.stack;
}

}  // namespace
}  // namespace braidway::lockcheck

using namespace braidway::lockcheck;
namespace lockdep = braidway::lockdep;

LOCKCHECK_EXPORT int sem_wait(sem_t* semaphore) {
    ThreadRecord* const self = watched();
    if (self == nullptr || real.sem_clockwait == nullptr || is_shared(semaphore))
        return real.sem_wait(semaphore);
    pthread_testcancel();  // As the real one does also when it need not wait.
    const int errno_before = errno;
    if (real.sem_trywait(semaphore) == 0) return 0;
    const bool must_wait = errno == EAGAIN;
    errno = errno_before;
    return must_wait ? wait_watched(*self, semaphore, LOCKCHECK_SITE) : real.sem_wait(semaphore);
}

LOCKCHECK_EXPORT int sem_destroy(sem_t* semaphore) noexcept {
    if (ThreadRecord* const self = watched()) destroyed(*self, semaphore);
    return real.sem_destroy(semaphore);
}

LOCKCHECK_EXPORT int pthread_barrier_wait(pthread_barrier_t* barrier) noexcept {
    ThreadRecord* const self = watched();
    if (self == nullptr || is_shared(barrier)) return real.pthread_barrier_wait(barrier);
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const uintptr_t site = LOCKCHECK_SITE;
    in_validator(*self, [&] {
        const lockdep::Lock* const at = lock_at(*self, describe(barrier), site, frame);
        if (at != nullptr)
            validator().blocks_waiting(*self->thread, nullptr, at, stack_at(*self, *at, site));
    });
    const int result = real.pthread_barrier_wait(barrier);
    validator().unblocked(*self->thread);
    return result;
}

LOCKCHECK_EXPORT int pthread_barrier_destroy(pthread_barrier_t* barrier) noexcept {
    if (ThreadRecord* const self = watched()) destroyed(*self, barrier);
    return real.pthread_barrier_destroy(barrier);
}
