// SPDX-License-Identifier: Apache-2.0
// Locks that live on stacks: watch_stack_lock(), stack_lock_is_same(), stack_lock_stays() and
// forget_left_frames() of making.h, and what a thread does about a lock in the stack of another
// one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/runtime.h"

namespace braidway::lockcheck {

/// The thread's stack is known from here on (its bounds are set), so that locks in it are
/// recognised by other threads, too. Call it when a thread starts. Without it, they count as memory
/// of no known kind.
void know_stack(ThreadState& owner);

/// Call it before `owner` goes away.
void forget_stack(const ThreadState& owner);

/// Is `address` in this thread's stack, or in the frames of a fiber whose stack is elsewhere, which
/// the thread runs now? Call it with self.event_frame set.
bool is_in_own_frame(const ThreadState& self, uintptr_t address);

/// Where `address` is in its frame, in this thread's stack or a fiber's. Call it with
/// self.event_frame set.
struct PlaceInFrame {
    uintptr_t function = 0;     ///< Where the code begins that runs in the frame; 0: not known.
    uintptr_t bytes_below = 0;  ///< From the end of the frame (its CFA) down to the address.
};
PlaceInFrame place_in_frame(const ThreadState& self, uintptr_t address);

/// `address` is in the stack of another thread: that one forgets it when it has left the frame, at
/// its next event from further up. False: it is in no known stack.
bool is_in_other_stack(const ThreadState& self, uintptr_t address);

/// A thread begins, and no code of the program's ran in its stack: what is still known there is of
/// a former one, which was not seen to end. Call it in in_validator().
void forget_former_stack(ThreadState& self);

/// In the child of fork(): of all stacks only the survivor's is left.
void keep_only_stack(ThreadState& survivor);

}  // namespace braidway::lockcheck
