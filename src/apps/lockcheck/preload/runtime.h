// SPDX-License-Identifier: Apache-2.0
// What the parts of the preloaded library share: the validator, this thread, and the way into the
// validator that changes nothing of the program.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/validator.h"

namespace braidway::lockcheck {

/// Of the stack on which the validator works.
inline constexpr size_t own_stack_bytes = limits::lockcheck_own_stack_bytes;

/// What the library knows of one thread. In memory of its own, never in the thread's stack or TLS,
/// of which it uses one pointer.
struct ThreadState {
    lockdep::Thread* thread = nullptr;
    uintptr_t stack_low = 0;  ///< The thread's own stack: [stack_low, stack_high).
    uintptr_t stack_high = 0;
    /// An event of this thread's from further up than this has to look at its stack first: locks
    /// below may have been left. 0: so has every one. (Kept by stack_locks.h, by others, too.)
    uintptr_t lowest_stack_lock = UINTPTR_MAX;
    /// Another thread has used a lock in this stack; 2: since this one looked at them last.
    uint32_t lends = 0;
    uint32_t lent_left = 0;  ///< Counts those that were found to have been left.
    /// A frame further up than all of the program's in this stack; 0: not known.
    uintptr_t first_frame = 0;
    /// Of the event that is looked at now: where the program's stack is.
    uintptr_t event_frame = 0;
    uint32_t inside = 0;  ///< > 0: in the library's own work; interposed calls only pass through.
    void* own_stack = nullptr;  ///< The top of the stack on which the validator works.
};

/// This thread's state; nullptr before the library is ready, in a thread that it does not watch,
/// and after the thread's last destructor. A load of one pointer of TLS.
ThreadState* this_thread();

/// As this_thread(), but makes the library ready and starts to watch the thread. nullptr: it
/// cannot, or it is at work already on this thread (`inside`): pass the call through.
ThreadState* watched_thread();

/// The validator; valid when this_thread() is not nullptr.
lockdep::Validator& validator();

/// Runs `work` on the thread's own_stack with all signals blocked, `inside` set, and errno kept: a
/// thread with the smallest stack has no need of a larger one. Stacks captured inside go through to
/// the program's frames.
template <typename Work>
void in_validator(ThreadState& self, Work&& work);
void in_validator_call(ThreadState& self, void (*work)(void*), void* argument);

template <typename Work>
void in_validator(ThreadState& self, Work&& work) {
    in_validator_call(self, [](void* argument) { (*static_cast<Work*>(argument))(); }, &work);
}

}  // namespace braidway::lockcheck
