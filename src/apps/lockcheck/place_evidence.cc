// SPDX-License-Identifier: Apache-2.0
// What initialisations and frames tell: the two other functions of type_evidence.h.
#include <dwarf.h>

#include <set>

#include "apps/lockcheck/lock_members.h"
#include "apps/lockcheck/type_candidates.h"
#include "apps/lockcheck/type_evidence.h"

namespace braidway::lockcheck {
namespace {

/// All variables in a function's frame: also those of functions that were inlined in it.
void for_frame(Dwarf_Die die, int depth, const auto& each) {
    if (depth > code_depth_max) return;
    for (const Dwarf_Die& child : children(die)) {
        const int tag = tag_of(child);
        if (tag == DW_TAG_variable || tag == DW_TAG_formal_parameter) each(child);
        if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine)
            for_frame(child, depth + 1, each);
    }
}

/// Whether a member of the structure points to another one with locks.
bool has_lock_behind_pointer(DebugUnits& units, Dwarf_Die structure, uint64_t lock_bytes) {
    for (const Dwarf_Die& member : children(structure)) {
        if (tag_of(member) != DW_TAG_member) continue;
        const std::optional<Dwarf_Die> type = entry_type(member);
        const std::optional<Dwarf_Die> other = type ? pointee(units, *type) : std::nullopt;
        if (other && other->addr != structure.addr &&
            !lock_offsets(units, *other, lock_bytes).empty())
            return true;
    }
    return false;
}

/// Whether there are locks in the structure, or next to it.
bool has_lock_about(DebugUnits& units, Dwarf_Die type, uint64_t lock_bytes) {
    return !lock_offsets(units, type, lock_bytes).empty() ||
           has_lock_behind_pointer(units, type, lock_bytes);
}

/// What one function of the program's own tells of the lock that it initialises.
Evidence initialised_in(DebugUnits& units, const CodeScope& scope, const LockedBlock& block) {
    bool is_wrapper = false;
    std::vector<Dwarf_Die> objects;
    std::optional<Dwarf_Die> first;
    for_variables(scope.die, [&](const Dwarf_Die& each) {
        const std::optional<Dwarf_Die> type = entry_type(each);
        const bool is_parameter = tag_of(each) == DW_TAG_formal_parameter;
        std::optional<Dwarf_Die> object = type ? pointee(units, *type) : std::nullopt;
        if (object && is_lock_type(units, *object)) {
            is_wrapper |= is_parameter;
            return;
        }
        // A variable that has the lock in it, in the stack.
        if (!object && !is_parameter && type && block.block_bytes == 0) object = bare_type(*type);
        if (!object) return;
        if (objects.empty() && (is_parameter || block.block_bytes == 0)) first = object;
        objects.push_back(*object);
    });
    if (is_wrapper) return {.verdict = Evidence::Verdict::passed, .identity = ""};

    Candidates whole(units, block);
    for (const Dwarf_Die& each : objects) whole.add(each, !is_polymorphic(each));
    if (const auto found = whole.verdict()) return *found;
    // A part of something bigger: the lock is sure to be its only if there is but one lock about.
    std::set<const void*> with_locks;
    for (const Dwarf_Die& each : objects)
        if (has_lock_about(units, each, block.lock_bytes)) with_locks.insert(each.addr);
    const std::optional<Dwarf_Die> made = constructed(units, scope.function);
    const std::optional<Dwarf_Die> part = made ? made : first;
    if (with_locks.size() != 1 || !part || !with_locks.contains(part->addr)) return {};
    const std::vector<uint64_t> offsets = lock_offsets(units, *part, block.lock_bytes);
    if (offsets.size() != 1 || has_lock_behind_pointer(units, *part, block.lock_bytes)) return {};
    const auto member = lock_member(units, *part, offsets[0], block.lock_bytes);
    if (!member) return {};
    return {.verdict = Evidence::Verdict::known, .identity = member->identity};
}

}  // namespace

Evidence evidence_of_frame(DebugUnits& units, Dwarf_Die function, uint64_t below_end,
                           uint64_t lock_bytes) {
    const std::optional<Dwarf_Op> base = only_operation(function, DW_AT_frame_base);
    if (!base || (base->atom != DW_OP_call_frame_cfa && base->atom != DW_OP_reg6)) return {};
    // Where %rbp is the base, it is where what was pushed ends: a return address, %rbp.
    const int64_t base_offset = base->atom == DW_OP_reg6 ? 16 : 0;
    const int64_t lock_at = base_offset - static_cast<int64_t>(below_end);
    std::set<std::string> found;
    for_frame(function, 0, [&](const Dwarf_Die& variable) {
        const std::optional<Dwarf_Op> place = only_operation(variable, DW_AT_location);
        const std::optional<Dwarf_Die> type = entry_type(variable);
        const uint64_t bytes = type ? size_of(*type).value_or(0) : 0;
        if (!place || place->atom != DW_OP_fbreg) return;
        const auto begin = static_cast<int64_t>(place->number);
        if (lock_at < begin || lock_at - begin >= static_cast<int64_t>(bytes)) return;
        const auto member =
            lock_member(units, *type, static_cast<uint64_t>(lock_at - begin), lock_bytes);
        found.insert(member ? member->identity : "");
    });
    if (found.size() != 1) return {};
    return {.verdict = Evidence::Verdict::known, .identity = *found.begin()};
}

Evidence evidence_of_initialisation(DebugUnits& units, const std::vector<CodeScope>& scopes,
                                    const LockedBlock& block) {
    for (const CodeScope& scope : scopes) {
        if (units.is_of_library(scope.function)) continue;
        const Evidence found = initialised_in(units, scope, block);
        if (found.verdict != Evidence::Verdict::passed) return found;
    }
    return {.verdict = Evidence::Verdict::passed, .identity = ""};
}

}  // namespace braidway::lockcheck
