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

/// `address` is in the stack of another thread: that one forgets it when it has left the frame, at
/// the next use of any lock that it makes from further up. False: it is in no known stack.
bool is_in_other_stack(const ThreadState& self, uintptr_t address);

/// In the child of fork(): of all stacks only the survivor's is left.
void keep_only_stack(ThreadState& survivor);

}  // namespace braidway::lockcheck
