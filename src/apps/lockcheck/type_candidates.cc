// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/type_candidates.h"

#include <algorithm>
#include <vector>

#include "apps/lockcheck/lock_members.h"

namespace braidway::lockcheck {
namespace {

/// What new[] puts before objects with destructors.
constexpr uint64_t cookie_bytes = 8;

/// The structures with locks that a function's parameters, variables and result point to.
std::vector<Dwarf_Die> structures_of(DebugUnits& units, Dwarf_Die function, uint64_t lock_bytes) {
    std::vector<Dwarf_Die> found;
    const auto add = [&](const std::optional<Dwarf_Die>& type) {
        const std::optional<Dwarf_Die> object = type ? pointee(units, *type) : std::nullopt;
        const std::optional<Dwarf_Die> bare = object ? bare_type(*object) : std::nullopt;
        if (bare && is_structure(*bare) && !lock_offsets(units, *bare, lock_bytes).empty())
            found.push_back(*bare);
    };
    add(entry_type(function));
    for_variables(function, [&](const Dwarf_Die& each) { add(entry_type(each)); });
    return found;
}

}  // namespace

std::string without_arguments(const std::string& name) {
    return name.substr(0, name.find('<'));
}

std::optional<Dwarf_Die> pointee(DebugUnits& units, Dwarf_Die type) {
    bool is_pointer = false;
    for (int depth = 0; depth < 2 * pointers_max; ++depth) {
        const std::optional<Dwarf_Die> bare = bare_type(type);
        if (!bare) return std::nullopt;
        const int tag = tag_of(*bare);
        std::optional<Dwarf_Die> next;
        if (tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
            tag == DW_TAG_rvalue_reference_type) {
            next = entry_type(*bare);
            is_pointer = true;
        } else if (tag == DW_TAG_array_type) {
            next = entry_type(*bare);
        } else if (is_structure(*bare)) {
            const std::string name = without_arguments(entry_name(*bare));
            if ((name == "unique_ptr" || name == "shared_ptr") && units.is_of_library(*bare)) {
                next = template_type(*bare);
                is_pointer = true;
            } else {
                return is_pointer ? units.complete(*bare) : std::nullopt;
            }
        } else {
            return std::nullopt;
        }
        // A typedef may be what makes a lock of it.
        if (!next || (is_pointer && is_lock_type(units, *next))) return next;
        type = *next;
    }
    return std::nullopt;
}

std::optional<Dwarf_Die> constructed(DebugUnits& units, Dwarf_Die function) {
    const std::optional<Dwarf_Die> parent = units.parent(function);
    if (!parent || !is_structure(*parent)) return std::nullopt;
    if (without_arguments(entry_name(function)) != without_arguments(entry_name(*parent)))
        return std::nullopt;
    return units.complete(*parent);
}

std::optional<Dwarf_Op> only_operation(Dwarf_Die die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_getlocation(dwarf_attr(&die, name, &attribute), &operations, &count) != 0 ||
        count != 1)
        return std::nullopt;
    return *operations;
}

std::optional<Evidence> evidence_of_doubles(DebugUnits& units, const CodeScope& scope,
                                            const LockedBlock& block) {
    const std::vector<Dwarf_Die> doubles = units.doubles(scope.die);
    if (doubles.empty()) return std::nullopt;
    const auto own = structures_of(units, scope.origin, block.lock_bytes);
    // What says nothing of types may be for any.
    if (own.empty()) return std::nullopt;
    std::vector<Dwarf_Die> all = own;
    for (const Dwarf_Die& each : doubles)
        for (const Dwarf_Die& other : structures_of(units, each, block.lock_bytes))
            if (std::ranges::none_of(own, [&](const auto& is) { return is.addr == other.addr; }))
                all.push_back(other);
    if (all.size() == own.size()) return std::nullopt;
    // The one that is as large as the block, if there is but one.
    std::set<std::string> fitting;
    for (const Dwarf_Die& each : all) {
        const auto member = size_of(each) == block.block_bytes
                                ? lock_member(units, each, block.offset_bytes, block.lock_bytes)
                                : std::nullopt;
        if (member) fitting.insert(member->identity);
    }
    if (fitting.size() != 1)
        return Evidence{
            .verdict = Evidence::Verdict::unknown, .identity = "", .is_mixed = !fitting.empty()};
    return Evidence{.verdict = Evidence::Verdict::known, .identity = *fitting.begin()};
}

void Candidates::add(Dwarf_Die type, bool maybe_array) {
    const uint64_t bytes = size_of(type).value_or(0);
    if (bytes == 0 || block_.block_bytes == 0) return;
    if (bytes == block_.block_bytes) {
        add(objects_, type, block_.offset_bytes);
    } else if (maybe_array && bytes < block_.block_bytes) {
        if (block_.block_bytes % bytes == 0) {
            add(elements_, type, block_.offset_bytes % bytes);
        } else if ((block_.block_bytes - cookie_bytes) % bytes == 0 &&
                   block_.offset_bytes >= cookie_bytes) {
            add(elements_, type, (block_.offset_bytes - cookie_bytes) % bytes);
        }
    }
}

void Candidates::drop_parts() {
    if (objects_.size() > 1) objects_.erase("");
}

std::optional<Evidence> Candidates::verdict() const {
    const std::set<std::string>& found = objects_.empty() ? elements_ : objects_;
    if (found.empty()) return std::nullopt;
    if (found.size() > 1) return Evidence{};
    return Evidence{.verdict = Evidence::Verdict::known, .identity = *found.begin()};
}

void Candidates::add(std::set<std::string>& to, Dwarf_Die type, uint64_t offset) {
    const std::optional<LockMember> member = lock_member(units_, type, offset, block_.lock_bytes);
    if (member) to.insert(member->identity);
}

}  // namespace braidway::lockcheck
