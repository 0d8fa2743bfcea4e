// SPDX-License-Identifier: Apache-2.0
// What the code that asks for memory says of the memory's type.
#pragma once

#include <cstddef>
#include <cstdint>

namespace braidway::lockcheck {

/// Does the code that was returned to at `site` ask for objects of one type, of `bytes` (rounded up
/// to 8) each? Yes where the size is a constant of the call, `malloc(sizeof(Thing))` and
/// `new Thing`; and in the templates of the C++ library's headers, of which there is one per type.
/// No where it is computed or handed through: an allocator on top of malloc(), or an array.
///
/// Errors:  no, where nothing can be said: code of no module, an unknown processor.
/// Threads: any.
bool asks_for_one_type(uintptr_t site, uint64_t bytes);

/// Is there a load of the constant `bytes`, rounded up to 8, into one of the first three registers
/// for arguments, among these `length` bytes of code that end with a call? (The first three: the
/// size is the first argument of malloc, the second of calloc, the third of posix_memalign.)
bool loads_constant(const unsigned char* code, size_t length, uint64_t bytes);

/// Does this code, to which an allocation returns, only look whether there is a block, and return
/// it as it is? Then it is an allocator's, whatever its size: compilers put the size into a
/// function that all callers want the same of. `length` bytes are looked at.
bool hands_block_on(const unsigned char* code, size_t length);

}  // namespace braidway::lockcheck
