// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/lock_types.h"

#include <fmt/format.h>

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
    return evidence_by_stack(origin).identity;
}

bool LockTypes::is_of_mixed_code(const LockOrigin& origin) {
    return origin.place == "heap" && evidence_by_stack(origin).is_mixed;
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

Evidence LockTypes::evidence_by_stack(const LockOrigin& origin) {
    const LockedBlock block{.block_bytes = origin.block_bytes,
                            .offset_bytes = origin.offset_bytes,
                            .lock_bytes = origin.lock_bytes};
    if (block.block_bytes == 0 && !origin.initialised) return {};
    Stack made = origin.made;
    mark_libraries(made);
    size_t left = limits::lockcheck_making_frames_max;
    for (const Frame& frame : made) {
        if (left-- == 0 || frame.module.empty() || !frame.offset) return {};
        Module& from = module(frame.module);
        if (!from.elf.opened()) return {};
        // What is returned to may be of the next line or function.
        const uint64_t address = from.elf.address_of(*frame.offset);
        if (frame.library) {
            if (is_passed(from.elf, address, origin.initialised)) continue;
            return {};
        }
        const std::vector<CodeScope> scopes = from.units.scopes(address - 1);
        if (scopes.empty()) return {};
        const Evidence found = origin.initialised
                                   ? evidence_of_initialisation(from.units, scopes, block)
                                   : evidence_of_allocation(from.units, scopes, address, block);
        if (from.units.gave_up()) return {};
        if (found.verdict != Evidence::Verdict::passed) return found;
    }
    return {};
}

std::string LockTypes::calls_of(const LockOrigin& origin) {
    if (!origin.initialised || origin.lock_bytes == 0 || origin.made.empty()) return "";
    const bool on_stack = origin.place == "stack";
    if (on_stack ? origin.module.empty()
                 : origin.block_bytes <= origin.lock_bytes ||
                       origin.block_bytes % origin.lock_bytes != 0 ||
                       origin.offset_bytes % origin.lock_bytes != 0)
        return "";
    // Elements of one array are of one block or frame, and at multiples of their size from another.
    std::string calls =
        fmt::format("{} {}+{:x} {} {} {}", origin.place, origin.module,
                    on_stack ? origin.address : 0, origin.block_bytes, origin.lock_bytes,
                    on_stack ? origin.offset_bytes % origin.lock_bytes : 0);
    for (const Frame& frame : origin.made) {
        const std::string call = call_in_source(frame);
        if (call.empty()) return "";
        calls += call;
    }
    return calls;
}

std::string LockTypes::call_in_source(const Frame& frame) {
    if (frame.module.empty() || !frame.offset) return "";
    std::string call = fmt::format("\n{}", frame.module);
    Module& from = module(frame.module);
    const uint64_t address = from.elf.opened() ? from.elf.address_of(*frame.offset) - 1 : 0;
    const std::vector<CodeScope> scopes =
        from.elf.opened() ? from.units.scopes(address) : std::vector<CodeScope>();
    if (from.units.gave_up()) return "";
    // Two calls in one line have several columns, where they are told.
    if (scopes.empty() || scopes.front().column == 0)
        return call + fmt::format(" {:x}", *frame.offset);
    Dwarf_Die function = scopes.back().die;
    call += fmt::format(" {:x}", dwarf_dieoffset(&function));
    for (const CodeScope& scope : scopes)
        call += fmt::format(" {}:{}:{}", scope.file, scope.line, scope.column);
    return call;
}

}  // namespace braidway::lockcheck
