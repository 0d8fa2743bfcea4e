// SPDX-License-Identifier: Apache-2.0
// What an object may be: the types that code names about it, as far as they fit.
#pragma once

#include <dwarf.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "apps/lockcheck/debug_units.h"
#include "apps/lockcheck/type_evidence.h"
#include "base/limits.h"

namespace braidway::lockcheck {

/// Blocks and inlined functions within each other that are followed.
inline constexpr int code_depth_max = limits::lockcheck_debug_depth_max;
/// Pointers to pointers, and the like.
inline constexpr int pointers_max = limits::lockcheck_pointers_max;

/// The name of a template, or another one.
std::string without_arguments(const std::string& name);

/// What is pointed to: by a pointer, a reference, a smart pointer, an array of any of them.
std::optional<Dwarf_Die> pointee(DebugUnits& units, Dwarf_Die type);

/// The class of which the function is a constructor.
std::optional<Dwarf_Die> constructed(DebugUnits& units, Dwarf_Die function);

/// The only operation of an entry's expression.
std::optional<Dwarf_Op> only_operation(Dwarf_Die die, unsigned name);

/// Calls each(variable) for a function's own parameters and variables, also those in blocks.
void for_variables(Dwarf_Die die, const auto& each, int depth = 0) {
    if (depth > code_depth_max) return;
    for (const Dwarf_Die& child : children(die)) {
        const int tag = tag_of(child);
        if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter) each(child);
        if (tag == DW_TAG_lexical_block) for_variables(child, each, depth + 1);
    }
}

/// Where the function's code may be that of another one, too, which works with another type that
/// has locks, what it says of types is not sure: then this is the evidence, by the block's size.
/// Source: gcc's identical code folding (-fipa-icf), which leaves entries without code.
std::optional<Evidence> evidence_of_doubles(DebugUnits& units, const CodeScope& scope,
                                            const LockedBlock& block);

/// What a block may be, by the types that were found so far.
class Candidates {
  public:
    Candidates(DebugUnits& units, const LockedBlock& block) : units_(units), block_(block) {}

    /// An object on its own or, with `maybe_array`, the elements of an array.
    void add(Dwarf_Die type, bool maybe_array = true);

    /// Where something that has a lock was added, a lock by itself is taken for a part of that.
    void drop_parts();

    /// The verdict, when one can be given by what was added.
    std::optional<Evidence> verdict() const;

  private:
    void add(std::set<std::string>& to, Dwarf_Die type, uint64_t offset);

    DebugUnits& units_;
    const LockedBlock& block_;
    std::set<std::string> objects_;
    std::set<std::string> elements_;
};

}  // namespace braidway::lockcheck
