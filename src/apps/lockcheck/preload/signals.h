// SPDX-License-Identifier: Apache-2.0
// Signals: blocked around the library's own work, and handlers whose beginning and end are told to
// the validator.
#pragma once

#include <cstdint>

#include "apps/lockcheck/preload/watch.h"

namespace braidway::lockcheck {

/// Blocks every signal for this thread; `old_mask` is what to restore.
void block_all_signals(uint64_t& old_mask);
void restore_signals(uint64_t old_mask);

/// The signals that the calling thread blocks now.
uint64_t blocked_signals();

/// Tells it of handlers that were left by siglongjmp(): code runs above their frames. `frame`: the
/// program's stack pointer. Call it in in_validator().
void forget_left_handlers(ThreadRecord& self, uintptr_t frame);

}  // namespace braidway::lockcheck
