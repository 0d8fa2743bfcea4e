// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/lock_types.h"

#include <algorithm>

#include "apps/lockcheck/lock_members.h"
#include "apps/lockcheck/naming.h"
#include "apps/lockcheck/type_evidence.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// What the library does between the program and the runtime: operator new, and whatever calls
/// pthread_mutex_init(). Any other memory it asks for is its own.
bool is_passed(const ElfModule& module, uint64_t address, bool initialised) {
    if (initialised) return true;
    const auto symbol = module.symbol(address - 1);
    return symbol && (symbol->name.starts_with("_Znw") || symbol->name.starts_with("_Zna"));
}

}  // namespace

LockTypes::Module& LockTypes::module(const std::string& path) {
    std::unique_ptr<Module>& found = modules_[path];
    if (!found) found = std::make_unique<Module>(path, deadline_);
    return *found;
}

std::string LockTypes::type_of(const LockOrigin& origin) {
    if (origin.lock_bytes == 0) return "";
    if (origin.place == "static") return type_of_static(origin);
    if (origin.place == "stack" && !origin.module.empty() && origin.offset_bytes != 0)
        if (std::string found = type_on_stack(origin); !found.empty()) return found;
    return type_by_stack(origin);
}

std::string LockTypes::type_on_stack(const LockOrigin& origin) {
    Module& from = module(origin.module);
    if (!from.elf.opened()) return "";
    const std::vector<CodeScope> scopes = from.units.scopes(from.elf.address_of(origin.address));
    if (scopes.empty()) return "";
    const Evidence found =
        evidence_of_frame(from.units, scopes.back().die, origin.offset_bytes, origin.lock_bytes);
    return from.units.gave_up() ? "" : found.identity;
}

std::string LockTypes::type_of_static(const LockOrigin& origin) {
    if (origin.module.empty()) return "";
    Module& from = module(origin.module);
    if (!from.elf.opened() || !from.units.read_all()) return "";
    const uint64_t address = from.elf.address_of(origin.address);
    const StaticVariable* const variable = from.units.variable(address);
    if (variable == nullptr) return "";
    const std::optional<LockMember> member =
        lock_member(from.units, variable->type, address - variable->begin, origin.lock_bytes);
    return member && !from.units.gave_up() ? member->identity : "";
}

std::string LockTypes::type_by_stack(const LockOrigin& origin) {
    const LockedBlock block{.block_bytes = origin.block_bytes,
                            .offset_bytes = origin.offset_bytes,
                            .lock_bytes = origin.lock_bytes};
    if (block.block_bytes == 0 && !origin.initialised) return "";
    Stack made = origin.made;
    mark_libraries(made);
    size_t left = limits::lockcheck_making_frames_max;
    for (const Frame& frame : made) {
        if (left-- == 0 || frame.module.empty() || !frame.offset) return "";
        Module& from = module(frame.module);
        if (!from.elf.opened()) return "";
        // What is returned to may be of the next line or function.
        const uint64_t address = from.elf.address_of(*frame.offset);
        if (frame.library) {
            if (is_passed(from.elf, address, origin.initialised)) continue;
            return "";
        }
        const std::vector<CodeScope> scopes = from.units.scopes(address - 1);
        if (scopes.empty()) return "";
        const Evidence found = origin.initialised
                                   ? evidence_of_initialisation(from.units, scopes, block)
                                   : evidence_of_allocation(from.units, scopes, address, block);
        if (from.units.gave_up()) return "";
        if (found.verdict == Evidence::Verdict::known) return found.identity;
        if (found.verdict == Evidence::Verdict::unknown) return "";
    }
    return "";
}

}  // namespace braidway::lockcheck
