// SPDX-License-Identifier: Apache-2.0
// The program's modules (itself and its libraries): which object of theirs an address belongs to,
// and which code is only a wrapper.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace braidway::lockcheck {

/// An object with static storage.
struct StaticObject {
    const char* name = nullptr;  ///< As the linker knows it; for good. nullptr: no symbol is there.
    uintptr_t begin = 0;         ///< With a name.
    uint64_t bytes = 0;
};

/// Is `address` in the memory of a loaded module? If so, `object` says which object it is in.
/// Reads the module's symbol table at the first question about it, and remembers that locks live in
/// the module. Not for addresses in a thread's stack or TLS.
bool find_static_object(const void* address, StaticObject& object);

/// Is `address` in a loaded module at all?
bool is_in_module(uintptr_t address);

/// Is `address` in a module with debug information, in its file or one of its own?
bool may_know_types(uintptr_t address);

/// Is the code that is returned to at `address` only on the way to a lock's making: the C or C++
/// library, or an inline function of the C++ library's headers? (Inlined ones are not seen; their
/// code counts as that of the function that they are in, as it should.)
bool is_wrapper_code(uintptr_t address);

/// Is it a function of the C++ library's headers, compiled into the program or a library of its?
bool is_header_code(uintptr_t address);

/// Modules with locks in them, before dlclose(). Afterwards, `gone` is called for the memory of
/// each that is no longer there.
class LoadedModules {
  public:
    static constexpr size_t modules_max = limits::lockcheck_modules_max;

    LoadedModules();
    /// Calls gone(begin, end) for each module that went away.
    template <typename Gone>
    void tell_gone(Gone gone) const {
        for (size_t i = 0; i < count_; ++i)
            if (!is_loaded(i)) gone(modules_[i].begin, modules_[i].end);
    }

  private:
    struct Range {
        const void* link_map = nullptr;
        uintptr_t begin = 0;
        uintptr_t end = 0;
    };

    bool is_loaded(size_t index) const;

    size_t count_ = 0;
    Range modules_[modules_max];
};

}  // namespace braidway::lockcheck
