// SPDX-License-Identifier: Apache-2.0
// Who initialises a lock: which of the functions on the stack stands for the lock's class.
#pragma once

#include <cstdint>

namespace braidway::lockcheck {

/// What the stack of an init call says.
struct Initialiser {
    /// What is known of the site.
    enum class Kind : uint8_t {
        unknown,  ///< Nothing: no function that could be read.
        makes,    ///< It initialises a lock of an object that is its own, or that it made.
        knows,    ///< It was handed the object, and does more with it: one type's function.
        passes,   ///< It was handed the lock, or an object that begins with it: who can tell?
        pointed,  ///< It called through a pointer, and what it called has left no frame maybe.
    };

    uintptr_t site = 0;      ///< A return address in it; 0: there is no stack.
    uintptr_t user = 0;      ///< With `passes`: a return address in who handed it the address.
    uint64_t stack_key = 0;  ///< Of this and some frames further up.
    Kind kind = Kind::unknown;
    bool has_frame = true;     ///< It is on the stack, for everybody to see.
    uint64_t block_bytes = 0;  ///< With `makes`: the size that it allocates, if that can be told.
};

/// The initialiser on this stack: the library's wrappers are passed over, as are functions that
/// leave no frame for they call by a jump; and the program's own wrappers by these rules.
///
/// A function that is handed an address and only hands it on (its code says so: passing.h) may be a
/// wrapper of pthread_mutex_init() or initialise a type whose first member is the lock and that
/// needs no more. It counts as a wrapper
/// - where it looks at the result of the call, or makes attributes for it: init functions of a type
///   that has nothing else to initialise mostly do not,
/// - where it adds something to the object and ends in a jump to what it calls: then that is a lock
///   of another make,
/// - where its caller hands it a part of an object that the caller was handed itself.
/// Otherwise it is taken for the initialiser, of kind `passes`: other things must tell its users
/// apart.
///
/// Call it in in_validator().
Initialiser initialiser_on_the_stack();

}  // namespace braidway::lockcheck
