// SPDX-License-Identifier: Apache-2.0
// What a function does with the object whose address it hands on: is it only a wrapper of what it
// calls, or does it know the object?
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::lockcheck {

/// The code of one function, as the tables for unwinding have it. begin == 0: it is not known.
struct FunctionCode {
    uintptr_t begin = 0;
    uintptr_t end = 0;
};

/// The function that the code at `address` belongs to.
///
/// Source: the format of .eh_frame (Linux Standard Base, "Exception Frames").
FunctionCode function_at(uintptr_t address);

/// The function that a call goes to which returns to `site`, past the linker's stubs; 0 where the
/// call does not say. Call it while that call has not returned, so that stubs are bound.
uintptr_t function_called_before(uintptr_t site);

/// Does a call that returns to `site` go where a register or a table says, so that nobody can tell
/// by the code which function it was? To be asked where function_called_before() knows none.
bool is_call_through_pointer(uintptr_t site);

/// Is the code at `address` of the library that this is a part of?
bool is_of_this_library(uintptr_t address);

/// Whose the object is that a function hands on by a call.
enum class Role : uint8_t {
    unknown,  ///< Its code says nothing: too long, or with instructions that are not followed.
    makes,    ///< Its own: made or found by it, not handed to it.
    whole,    ///< Handed to it; it works with more of the object than the address.
    part,     ///< A part of the object handed to it.
    passes,   ///< Handed to it, and all it does with the address is to hand it on.
};

/// A function's part in a call.
struct Passing {
    Role role = Role::unknown;
    /// With `passes`: it looks at what the call returns, or keeps it; or it hands something of its
    /// own frame on besides, as attributes are.
    bool cares = false;
    /// Of its parameters, that which is handed on, from 0; with whole, part and passes.
    uint8_t parameter = 0;
    /// With `makes`: from an allocation of so many bytes. 0: from elsewhere, or it cannot be told.
    uint64_t block_bytes = 0;
};

/// What `function` does with the address that it hands on as parameter `parameter` (from 0) of the
/// call or jump that ends at `call_end`.
///
/// A pass over the code that follows copies of the parameters through registers and the stack, in
/// the order of addresses: jumps are not followed. What that misjudges is a function that uses the
/// object in ways that look like none, and a wrapper that does more than it must.
/// Errors:  Role::unknown.
/// Threads: any.
Passing passing_of(const FunctionCode& function, uintptr_t call_end, uint8_t parameter);

/// The calls in a function's code.
struct CallsMade {
    bool known = false;  ///< Its code could be read.
    uint32_t all = 0;
    uint32_t near = 0;   ///< To functions of its own module, not by way of the linker's stubs.
    uint32_t to_us = 0;  ///< To functions of this library.
};

CallsMade calls_made(const FunctionCode& function);

/// A function that calls another by a jump at its end has no frame of its own while that one runs.
struct TailCall {
    FunctionCode function;
    uintptr_t jump_end = 0;
};

/// Whether the function at `begin` goes on to the function `next` by such jumps, itself or through
/// others; fills in those on the way, innermost first, and returns how many. `next` == 0: to any
/// function of this library, which stands in front of the C library's.
size_t tail_calls(uintptr_t begin, uintptr_t next, TailCall* found, size_t found_max);

/// The same, and 0 where one of those functions goes on there in more ways than one.
size_t sure_tail_calls(uintptr_t begin, uintptr_t next, TailCall* found, size_t found_max);

}  // namespace braidway::lockcheck
