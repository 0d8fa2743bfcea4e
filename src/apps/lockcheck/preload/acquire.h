// SPDX-License-Identifier: Apache-2.0
// How every kind of lock is taken and given back: the short way inline, the long way apart.
#pragma once

#include <cstdint>

#include "apps/lockcheck/preload/call_places.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {

/// An object of the program's that is a lock.
struct Object {
    const void* address = nullptr;
    uint32_t bytes = 0;
    lockdep::LockTraits traits;
    /// Other processes may hold it and give it back.
    bool shared_between_processes = false;
};

inline constexpr lockdep::Access write_endlessly{lockdep::Hold::exclusive,
                                                 lockdep::Patience::endless};
inline constexpr lockdep::Access write_bounded{lockdep::Hold::exclusive,
                                               lockdep::Patience::bounded};
inline constexpr lockdep::Access read_endlessly{lockdep::Hold::shared, lockdep::Patience::endless};
inline constexpr lockdep::Access read_bounded{lockdep::Hold::shared, lockdep::Patience::bounded};

/// The lock that `object` is; makes it known if it is not. nullptr: the tables are full. Call it in
/// in_validator(). `site`: where the program uses it; `frame`: its stack pointer.
lockdep::Lock* lock_at(ThreadRecord& self, const Object& object, uintptr_t site, uintptr_t frame);

/// The object was initialised by the call that is on the stack.
void initialised(ThreadRecord& self, const Object& object, const char* name = nullptr,
                 uint64_t class_key = 0);

/// The object is destroyed by the call that is on the stack.
void destroyed(ThreadRecord& self, const void* address);

/// Does the thread hold what is at `address`?
bool holds(const ThreadRecord& self, const void* address);

/// Before an acquisition, the long way. pending.lock is nullptr when it cannot be watched. `place`:
/// as place_of_call() says.
void wants_slowly(ThreadRecord& self, const Object& object, lockdep::Access access, uintptr_t site,
                  uintptr_t place, uintptr_t frame, lockdep::Pending& pending);

/// A mutex as it is now: its kind is in its memory.
Object describe_mutex(const pthread_mutex_t* mutex);

/// Giving back what was not the last lock taken; reports what is not held.
void released_slowly(ThreadRecord& self, const Object& object, uintptr_t site);

/// Is what wants_known() found still the lock that it was, and no frame left behind?
inline bool still_there(const ThreadRecord& self, const lockdep::Pending& pending, uintptr_t site,
                        uintptr_t frame) {
    if (frame > self.lowest_stack_lock) [[unlikely]]
        return false;
    return pending.lock->making.place != lockdep::Place::stack ||
           stack_lock_is_same(self, *pending.lock, site);
}

/// An event of the thread's that is no use of a lock, made from `frame`: locks in frames that were
/// left are forgotten before another thread sees their memory used again.
inline void look_at_stack(ThreadRecord& self, uintptr_t frame) {
    if (frame > self.lowest_stack_lock) [[unlikely]]
        in_validator(self, [&self, frame] { forget_left_frames(self, frame); });
}

/// What tells this acquisition from others: `site`, or, where that is in a wrapper, something made
/// of the callers. `frame`: of the function that was called at the site.
inline uintptr_t place_of_call(ThreadRecord& self, uintptr_t site, uintptr_t frame) {
    const uintptr_t slot = frame + sizeof(uintptr_t);
    if (*reinterpret_cast<const uintptr_t*>(slot) != site) return site;
    uintptr_t place = site;
    if (call_places.find(site, slot, place)) return place;
    in_validator(self, [&] { call_places.learn(site, slot); });
    return call_places.find(site, slot, place) ? place : site;
}

/// Before an acquisition. `describe()` gives the Object when it must be looked at.
template <typename Describe>
[[gnu::always_inline]] inline void wants(ThreadRecord& self, const void* address,
                                         lockdep::Access access, uintptr_t site,
                                         lockdep::Pending& pending, const Describe& describe) {
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    const lockdep::KnownStep* step = self.thread->hot_step(address, access, site);
    uintptr_t place = site;
    if (step == nullptr) [[unlikely]] {
        place = place_of_call(self, site, frame);
        step = self.thread->known_step(address, access, place);
    }
    if (step != nullptr && still_there(self, step->pending, site, frame)) [[likely]] {
        pending = step->pending;
        return;
    }
    wants_slowly(self, describe(), access, site, place, frame, pending);
}

/// After it.
[[gnu::always_inline]] inline void has(ThreadRecord& self, const lockdep::Pending& pending) {
    if (pending.lock != nullptr) [[likely]]
        self.thread->acquired(pending);
}

/// Before a lock is given back.
template <typename Describe>
[[gnu::always_inline]] inline void releases(ThreadRecord& self, const void* address, uintptr_t site,
                                            const Describe& describe) {
    if (!self.thread->release_last(address)) [[unlikely]]
        released_slowly(self, describe(), site);
}

/// Waits for part of the time; ETIMEDOUT: not yet. `until_ns` is monotonic_now()'s.
using WaitSlice = int (*)(void* object, int64_t until_ns);

/// Blocks until the lock is there, in slices between which it looks for deadlocks. Returns what
/// the slice returned when it was not ETIMEDOUT.
int wait_for_lock(ThreadRecord& self, const lockdep::Pending& pending, void* object,
                  WaitSlice slice);

/// The same for what else can hang, once told to the validator by blocks...().
int wait_watching(ThreadRecord& self, void* object, WaitSlice slice);

/// `until_ns` as what the pthread functions want: on CLOCK_MONOTONIC, or on the wall clock.
timespec monotonic_time(int64_t until_ns);
timespec wall_time(int64_t until_ns);

}  // namespace braidway::lockcheck
