// SPDX-License-Identifier: Apache-2.0
// How a lock came to be, found out when it is first seen: by that it gets its class.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/runtime.h"
#include "lockdep/lock.h"

namespace braidway::lockcheck {

/// Finds out what is known of the making of the object at `address`.
///
/// Call it in in_validator(), with self.event_frame set. `initialised`: by a call
/// (pthread_mutex_init, mtx_init, ...) that is on the stack now; otherwise the object is seen at
/// its first use.
///
/// The class key follows these rules. A lock that is a part of something bigger (a struct on the
/// heap or in static storage) belongs to its place in it: the init call's site, or, without one,
/// the site and size of the allocation with the lock's offset. A lock that is an object on its own
/// belongs to who made it: several frames of the initialisation's stack, so that a wrapper around
/// pthread_mutex_init() does not make one class of all its users' locks. Static objects on their
/// own, and objects of which nothing is known, are a class each (key 0).
lockdep::Making making_of(ThreadState& self, const void* address, size_t bytes, bool initialised);

/// For a lock on a stack (place == stack), after it was enlisted: remembers the frame that it lives
/// in. In the stack of another thread, that one is to find it. Call it in in_validator().
void watch_stack_lock(ThreadState& self, lockdep::Lock& lock);

/// Is the frame that `lock` lives in still the one that it was, as far as some loads tell? For
/// every use, at `site`, of a lock with place == stack. False: ask stack_lock_stays().
bool stack_lock_is_same(const ThreadState& self, const lockdep::Lock& lock, uintptr_t site);

/// The same, found out from the stack. False: the lock is another one now. Call it in
/// in_validator(), with self.event_frame set.
bool stack_lock_stays(ThreadState& self, lockdep::Lock& lock, uintptr_t site);

/// The thread uses a lock with place == stack, that it may not have used before. Call it in
/// in_validator().
void stack_lock_is_used(ThreadState& self, const lockdep::Lock& lock);

/// Forgets the locks in frames of this thread's stack that were left, and finds the frames of those
/// that others have seen. Call it in in_validator(); it has something to do when
/// `stack_pointer > self.lowest_stack_lock` (the stack grows down).
void forget_left_frames(ThreadState& self, uintptr_t stack_pointer);

/// The same, and looks whether the locks in this thread's stack that others use are still in the
/// frames that they were in: for events by which others may be told of a new one.
void look_at_frames(ThreadState& self, uintptr_t stack_pointer);

}  // namespace braidway::lockcheck
