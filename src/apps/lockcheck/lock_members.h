// SPDX-License-Identifier: Apache-2.0
// Which member of which structure a lock is, by the types in debug information.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/lockcheck/debug_units.h"

namespace braidway::lockcheck {

/// A lock in an object of some type.
struct LockMember {
    /// "account (bank.h:12)::mutex", or "" for a lock that is no member of a structure of the
    /// program's own: a lock by itself, also one in a class that makes a lock of another kind.
    std::string identity;
};

/// The lock of `lock_bytes` that is `offset` bytes into an object of this type. Nothing when there
/// is none, or when it depends on what a union holds.
///
/// The identity is that of the innermost structure of the program's own: what it is a member or
/// element of is left out, and so are classes of the C++ library around the lock or between the
/// structures. Not taken for that structure are classes that make a lock of another kind
/// (recognised by their name, or by lock() and unlock()), and one that the structure that it is a
/// part of has twice.
std::optional<LockMember> lock_member(DebugUnits& units, Dwarf_Die type, uint64_t offset,
                                      uint64_t lock_bytes);

/// Whether the type is a lock's: of pthreads, C11 or the C++ library, or one that makes another
/// kind of it.
bool is_lock_type(DebugUnits& units, Dwarf_Die type);

/// Where objects of this type have locks of `lock_bytes`, as far as that is seen without following
/// pointers. Of long arrays the first elements count.
std::vector<uint64_t> lock_offsets(DebugUnits& units, Dwarf_Die type, uint64_t lock_bytes);

/// Whether objects of this type start with a pointer to a table of virtual functions.
bool is_polymorphic(Dwarf_Die type, int depth = 0);

}  // namespace braidway::lockcheck
