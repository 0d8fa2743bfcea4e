// SPDX-License-Identifier: Apache-2.0
// What initialisations and frames tell: the two other functions of type_evidence.h.
#include <dwarf.h>

#include <set>
#include <span>

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

/// Part of a variable in the frame of a function.
struct FramePart {
    int64_t begin = 0;    ///< In the frame, from its end (its CFA): negative.
    uint64_t within = 0;  ///< In the variable.
    uint64_t bytes = 0;
};

/// What the places of a function's variables are counted from.
class FrameBase {
  public:
    FrameBase(DebugUnits& units, Dwarf_Die function) {
        // At the function's start and ends %rsp is elsewhere; this is where it is in the body.
        Dwarf_Addr begin = 0;
        Dwarf_Addr end = 0;
        if (dwarf_lowpc(&function, &begin) == 0 && dwarf_highpc(&function, &end) == 0) {
            const uint64_t bias = units.module().unit_bias();
            const auto bytes = units.module().frame_bytes(begin + bias, end + bias);
            if (bytes) stack_pointer_ = -static_cast<int64_t>(*bytes);
        }
        const std::optional<Dwarf_Op> base = only_operation(function, DW_AT_frame_base);
        if (!base) return;
        if (base->atom == DW_OP_call_frame_cfa) base_ = 0;
        // %rbp is where what was pushed ends: a return address, %rbp.
        if (base->atom == DW_OP_reg6) base_ = -16;
        if (base->atom == DW_OP_reg7) base_ = stack_pointer_;
    }

    /// Where it is in the frame what the operation stands for.
    std::optional<int64_t> place(const Dwarf_Op& operation) const {
        const std::optional<int64_t>& from = operation.atom == DW_OP_breg7 ? stack_pointer_ : base_;
        if ((operation.atom != DW_OP_fbreg && operation.atom != DW_OP_breg7) || !from)
            return std::nullopt;
        return *from + static_cast<int64_t>(operation.number);
    }

  private:
    std::optional<int64_t> stack_pointer_;
    std::optional<int64_t> base_;
};

/// Calls each(FramePart) for what of the variable is in the frame by this expression.
void for_parts(std::span<const Dwarf_Op> operations, const FrameBase& base, uint64_t bytes,
               const auto& each) {
    FramePart part{.bytes = bytes};
    bool is_there = false;
    for (const Dwarf_Op& operation : operations) {
        if (operation.atom == DW_OP_piece) {
            part.bytes = operation.number;
            if (is_there) each(part);
            is_there = false;
            part.within += part.bytes;
        } else if (operation.atom == DW_OP_plus_uconst && is_there) {
            part.begin += static_cast<int64_t>(operation.number);
        } else {
            const std::optional<int64_t> place = base.place(operation);
            is_there = place.has_value();
            part.begin = place.value_or(0);
        }
    }
    if (is_there && part.within == 0) each(part);
}

/// The same for wherever the variable is at some time.
void for_parts(Dwarf_Die variable, const FrameBase& base, uint64_t bytes, const auto& each) {
    Dwarf_Attribute attribute;
    if (dwarf_attr(&variable, DW_AT_location, &attribute) == nullptr) return;
    ptrdiff_t at = 0;
    Dwarf_Addr unit = 0;
    Dwarf_Addr begin = 0;
    Dwarf_Addr end = 0;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    while ((at = dwarf_getlocations(&attribute, at, &unit, &begin, &end, &operations, &count)) > 0)
        for_parts(std::span(operations, count), base, bytes, each);
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
    const FrameBase base(units, function);
    const int64_t lock_at = -static_cast<int64_t>(below_end);
    std::set<std::string> found;
    for_frame(function, 0, [&](const Dwarf_Die& variable) {
        const std::optional<Dwarf_Die> type = entry_type(variable);
        const std::optional<uint64_t> bytes = type ? size_of(*type) : std::nullopt;
        if (!bytes) return;
        for_parts(variable, base, *bytes, [&](const FramePart& part) {
            // What does not reach to the lock's end cannot have it: it is there at other times.
            const int64_t end = part.begin + static_cast<int64_t>(part.bytes);
            if (lock_at < part.begin || lock_at + static_cast<int64_t>(lock_bytes) > end) return;
            const uint64_t offset = part.within + static_cast<uint64_t>(lock_at - part.begin);
            const auto member = lock_member(units, *type, offset, lock_bytes);
            found.insert(member ? member->identity : "");
        });
    });
    if (found.size() != 1) return {};
    return {.verdict = Evidence::Verdict::known, .identity = *found.begin()};
}

Evidence evidence_of_initialisation(DebugUnits& units, const std::vector<CodeScope>& scopes,
                                    const LockedBlock& block) {
    for (const CodeScope& scope : scopes) {
        if (units.is_of_library(scope.function)) continue;
        const Evidence found = initialised_in(units, scope, block);
        if (found.verdict == Evidence::Verdict::known)
            if (const auto doubt = evidence_of_doubles(units, scope, block)) return *doubt;
        if (found.verdict != Evidence::Verdict::passed) return found;
    }
    return {.verdict = Evidence::Verdict::passed, .identity = ""};
}

}  // namespace braidway::lockcheck
