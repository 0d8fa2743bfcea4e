// SPDX-License-Identifier: Apache-2.0
// What the code that makes an object tells of the object's type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/lockcheck/debug_units.h"

namespace braidway::lockcheck {

/// A block of memory with a lock in it, as its making is known.
struct LockedBlock {
    uint64_t block_bytes = 0;  ///< What was asked for; 0 when that is not known.
    uint64_t offset_bytes = 0;
    uint64_t lock_bytes = 0;
};

/// What one function, or one copy of it, tells.
struct Evidence {
    enum class Verdict : uint8_t {
        known,    ///< `identity` is it; "" for a lock that is no member of anything.
        unknown,  ///< It cannot be told: nobody further out is to be asked.
        passed,   ///< The function only hands memory or a lock on: ask who called it.
    };
    Verdict verdict = Verdict::unknown;
    std::string identity;
    /// With `unknown`: the same code makes objects of another type, which look the same.
    bool is_mixed = false;
};

/// What the functions around a return address tell of the type of a block that was asked for
/// there. `address` is the one returned to, in the ELF file; `scopes` are its functions.
Evidence evidence_of_allocation(DebugUnits& units, const std::vector<CodeScope>& scopes,
                                uint64_t address, const LockedBlock& block);

/// The same for a lock that was initialised there.
Evidence evidence_of_initialisation(DebugUnits& units, const std::vector<CodeScope>& scopes,
                                    const LockedBlock& block);

/// What the variables of a function tell of a lock in its frame, `below_end` bytes below the
/// frame's end (its CFA): all that may live there must agree.
Evidence evidence_of_frame(DebugUnits& units, Dwarf_Die function, uint64_t below_end,
                           uint64_t lock_bytes);

}  // namespace braidway::lockcheck
