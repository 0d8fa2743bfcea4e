// SPDX-License-Identifier: Apache-2.0
// The calling thread's stack, frame by frame, without the frames of this library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace braidway::lockcheck {

/// Return addresses of the program's frames, innermost first; returns how many. Works through
/// in_validator() to the program's stack.
size_t program_frames(std::span<uintptr_t> frames);

/// A frame on a stack.
struct StackFrame {
    const uintptr_t* return_address = nullptr;  ///< Where it stands.
    uintptr_t function = 0;                     ///< Where the code begins that runs in it.
};

/// The frame that `address`, a place in the calling thread's stack, belongs to. Its return_address
/// is nullptr when it was not found. A function that the compiler has split (`.cold`) has a second
/// beginning.
StackFrame frame_around(uintptr_t address, uintptr_t stack_low, uintptr_t stack_high);

/// Do the frames of the calling thread lead to one that ends in [begin, end)? On a fiber they do
/// not lead to the thread's first ones.
bool stack_reaches(uintptr_t begin, uintptr_t end);

}  // namespace braidway::lockcheck
