// SPDX-License-Identifier: Apache-2.0
// Working on another stack than the program's.
#pragma once

namespace braidway::lockcheck {

/// Calls `work(argument)` with the stack pointer at `top` (16-aligned), and comes back. Who walks
/// the stack inside goes through to the caller's frames. `work` does not throw.
extern "C" void lockcheck_call_on_stack(void* top, void (*work)(void*), void* argument);

}  // namespace braidway::lockcheck
