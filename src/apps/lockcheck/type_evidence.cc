// SPDX-License-Identifier: Apache-2.0
// Long because: it is one chain of evidence, from the strongest to the weakest.
#include "apps/lockcheck/type_evidence.h"

#include <dwarf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string_view>

#include "apps/lockcheck/lock_members.h"
#include "apps/lockcheck/type_candidates.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// The type that a function of the C++ library allocates.
std::optional<Dwarf_Die> allocated_type(DebugUnits& units, const CodeScope& scope) {
    const std::string name = without_arguments(entry_name(scope.function));
    if (name == "make_unique" || name == "make_unique_for_overwrite") {
        const std::optional<Dwarf_Die> type = template_type(scope.origin);
        if (type && tag_of(*type) == DW_TAG_array_type) return entry_type(*type);
        return type;
    }
    const std::optional<Dwarf_Die> parent = units.parent(scope.function);
    if (name != "allocate" || !parent) return std::nullopt;
    const std::string allocator = without_arguments(entry_name(*parent));
    if (allocator != "__new_allocator" && allocator != "new_allocator" && allocator != "allocator")
        return std::nullopt;
    return template_type(*parent);
}

bool is_declared_in_line(Dwarf_Die die, const CodeScope& scope) {
    int line = 0;
    if (scope.line == 0 || dwarf_decl_line(&die, &line) != 0) return false;
    return static_cast<unsigned>(line) == scope.line && declaring_file(die) == scope.file;
}

/// Whether the variable lives in the frame, at this offset from its base.
bool is_in_frame_at(Dwarf_Die variable, int64_t offset) {
    const std::optional<Dwarf_Op> place = only_operation(variable, DW_AT_location);
    return place && place->atom == DW_OP_fbreg && static_cast<int64_t>(place->number) == offset;
}

/// Where the first instruction behind a call stores its result.
struct StoredResult {
    std::optional<int64_t> frame_offset;  ///< In the frame, as DW_OP_fbreg counts.
    std::optional<uint64_t> address;      ///< In static storage.
    std::optional<unsigned> copy;         ///< In a register, of DWARF's number.
};

/// How long the instruction is that copies a result from one register to another.
constexpr uint64_t copy_bytes = 3;

/// Whether the variable gets what the call that returns to `pc` returned: it is in the register of
/// results from there on, or in the one that this is copied to. `in_line`: it is declared there,
/// so that some instructions may come between.
bool is_in_result_register(Dwarf_Die variable, Dwarf_Addr pc, const StoredResult& stored,
                           bool in_line) {
    Dwarf_Attribute attribute;
    if (dwarf_attr(&variable, DW_AT_location, &attribute) == nullptr) return false;
    ptrdiff_t at = 0;
    Dwarf_Addr base = 0;
    Dwarf_Addr begin = 0;
    Dwarf_Addr end = 0;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    while ((at = dwarf_getlocations(&attribute, at, &base, &begin, &end, &operations, &count)) >
           0) {
        if (count != 1 || operations->atom < DW_OP_reg0 || operations->atom > DW_OP_reg15) continue;
        if (begin == pc && operations->atom == DW_OP_reg0) return true;
        if (begin == pc + copy_bytes && stored.copy &&
            (operations->atom == DW_OP_reg0 || operations->atom == DW_OP_reg0 + *stored.copy))
            return true;
        // A copy that is used later, or a list that begins late.
        if (in_line && begin > pc && begin - pc <= limits::lockcheck_result_code_bytes) return true;
    }
    return false;
}

/// Without optimisation, debug information does not tell when a variable is set; the code does.
StoredResult stored_result(const ElfModule& module, Dwarf_Die function, uint64_t address) {
    const std::string code = module.x86_code(address, 7);
    StoredResult stored;
    // mov %rax, TO
    if (code.size() >= 3 && (code[0] == '\x48' || code[0] == '\x49') && code[1] == '\x89' &&
        (code[2] & '\xf8') == '\xc0') {
        constexpr std::array<unsigned, 8> low{0, 2, 1, 3, 7, 6, 4, 5};
        const unsigned to = static_cast<unsigned char>(code[2]) & 7u;
        stored.copy = code[0] == '\x48' ? low[to] : 8 + to;
        return stored;
    }
    if (code.size() < 7 || code[0] != '\x48' || code[1] != '\x89') return stored;
    int32_t distance = 0;
    std::memcpy(&distance, &code[3], sizeof distance);
    if (code[2] == '\x05') {
        stored.address = address + 7 + static_cast<uint64_t>(int64_t{distance});
        return stored;
    }
    if (code[2] != '\x45' && code[2] != '\x85') return stored;
    const int64_t from_rbp = code[2] == '\x45' ? static_cast<signed char>(code[3]) : distance;
    // %rbp is that of the frame in functions that begin so: push %rbp; mov %rsp, %rbp
    Dwarf_Addr begin = 0;
    if (dwarf_entrypc(&function, &begin) != 0) return stored;
    std::string entry = module.x86_code(begin + module.unit_bias(), 8);
    if (entry.starts_with("\xf3\x0f\x1e\xfa")) entry.erase(0, 4);  // endbr64
    const std::optional<Dwarf_Op> base = only_operation(function, DW_AT_frame_base);
    if (!base || !entry.starts_with("\x55\x48\x89\xe5")) return stored;
    constexpr int64_t to_caller_bytes = 16;  // What was pushed: a return address, %rbp.
    if (base->atom == DW_OP_call_frame_cfa) stored.frame_offset = from_rbp - to_caller_bytes;
    if (base->atom == DW_OP_reg6) stored.frame_offset = from_rbp;
    return stored;
}

/// void* or char*.
bool is_pointer_to_bytes(Dwarf_Die type) {
    const std::optional<Dwarf_Die> bare = bare_type(type);
    if (!bare || tag_of(*bare) != DW_TAG_pointer_type) return false;
    const std::optional<Dwarf_Die> target = entry_type(*bare);
    return !target || size_of(*target) == 1;
}

/// What one function of the program's own tells of what it allocates.
class Allocation {
  public:
    Allocation(DebugUnits& units, const std::vector<CodeScope>& scopes, const CodeScope& scope,
               uint64_t address, const LockedBlock& block)
        : units_(units), scopes_(scopes), scope_(scope), address_(address), block_(block) {}

    /// The strongest evidence that there is decides.
    Evidence evidence() {
        if (const auto found = by_result()) return *found;
        if (const auto found = by_constructor()) return *found;
        if (is_returned_at_once())
            if (const auto found = by_signature()) return *found;
        if (hands_memory_on()) return {.verdict = Evidence::Verdict::passed, .identity = ""};
        if (is_raw_) return {};
        if (const auto found = by_line(); found && is_only(*found)) return *found;
        if (const auto found = by_signature(); found && is_only(*found)) return *found;
        return by_size();
    }

  private:
    /// What the result of the allocation is put in.
    std::optional<Evidence> by_result() {
        Candidates found(units_, block_);
        const StoredResult stored = stored_result(units_.module(), scopes_.back().die, address_);
        find_results(scopes_.back().die, 0, stored, found);
        if (stored.address)
            if (const StaticVariable* const variable = static_variable(*stored.address))
                add_pointee(variable->type, found);
        for_variables(scope_.die, [&](const Dwarf_Die& each) {
            const std::optional<Dwarf_Die> type = entry_type(each);
            if (type && is_pointer_to_bytes(*type) && holds_result(each, stored)) is_raw_ = true;
        });
        found.drop_parts();  // `this` of what is constructed first in it.
        return found.verdict();
    }

    const StaticVariable* static_variable(uint64_t address) {
        const StaticVariable* const found = units_.variable(address);
        if (found != nullptr || !units_.read_all()) return found;
        return units_.variable(address);
    }

    bool holds_result(Dwarf_Die variable, const StoredResult& stored) {
        const uint64_t pc = address_ - units_.module().unit_bias();
        return is_in_result_register(variable, pc, stored, is_declared_in_line(variable, scope_)) ||
               (stored.frame_offset && is_in_frame_at(variable, *stored.frame_offset));
    }

    void find_results(Dwarf_Die die, int depth, const StoredResult& stored, Candidates& found) {
        if (depth > code_depth_max) return;
        for (const Dwarf_Die& child : children(die)) {
            const int tag = tag_of(child);
            if (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine)
                find_results(child, depth + 1, stored, found);
            if (tag != DW_TAG_variable && tag != DW_TAG_formal_parameter) continue;
            const std::optional<Dwarf_Die> type = entry_type(child);
            if (type && holds_result(child, stored)) add_pointee(*type, found);
        }
    }

    void add_pointee(Dwarf_Die type, Candidates& found) {
        const std::optional<Dwarf_Die> object = pointee(units_, type);
        if (object) found.add(*object, !is_polymorphic(*object));
    }

    /// What is constructed in the same line.
    std::optional<Evidence> by_constructor() {
        Candidates found(units_, block_);
        find_constructors(scope_.die, 0, found);
        find_called_constructors(found);
        found.drop_parts();
        return found.verdict();
    }

    /// What is declared in the same line.
    std::optional<Evidence> by_line() {
        Candidates found(units_, block_);
        for_variables(scope_.die, [&](const Dwarf_Die& each) {
            const std::optional<Dwarf_Die> type = entry_type(each);
            if (type && tag_of(each) == DW_TAG_variable && is_declared_in_line(each, scope_))
                add_pointee(*type, found);
        });
        return found.verdict();
    }

    /// Whether nothing but the end of the function follows.
    bool is_returned_at_once() {
        const std::string code = units_.module().x86_code(address_, 24);
        size_t at = 0;
        const auto byte = [&](size_t i) {
            return at + i < code.size() ? static_cast<unsigned char>(code[at + i]) : 0u;
        };
        for (;; ++at) {
            if (byte(0) == 0xc3) return !scope_.inlined;
            if (byte(0) == 0x48 && byte(1) == 0x83 && byte(2) == 0xc4) {
                at += 3;  // add rsp
            } else if (byte(0) == 0x41 && byte(1) >= 0x58 && byte(1) <= 0x5f) {
                at += 1;  // pop r8 to r15
            } else if (byte(0) != 0xc9 && (byte(0) < 0x58 || byte(0) > 0x5f)) {
                return false;  // neither leave nor pop
            }
        }
    }

    /// Whether no object of another type has that size and such a lock. A lock by itself, in a
    /// block of its own, is not what a type is named for.
    bool is_only(const Evidence& found) {
        if (found.verdict != Evidence::Verdict::known) return false;
        const std::vector<Dwarf_Die>* const all = units_.structures_of(block_.block_bytes);
        if (all == nullptr) return false;
        Candidates others(units_, block_);
        for (const Dwarf_Die& each : *all)
            if (!is_lock_type(units_, each) && !units_.is_of_library(each)) others.add(each, false);
        const std::optional<Evidence> other = others.verdict();
        return !other ||
               (other->verdict == Evidence::Verdict::known && other->identity == found.identity);
    }

    void add_constructor(Dwarf_Die function, Candidates& found) {
        for (int depth = 0; depth < pointers_max; ++depth) {
            std::optional<Dwarf_Die> next = entry_reference(function, DW_AT_abstract_origin);
            if (!next) next = entry_reference(function, DW_AT_specification);
            if (!next) break;
            function = *next;
        }
        const std::optional<Dwarf_Die> type = constructed(units_, function);
        if (type) found.add(*type);
    }

    void find_constructors(Dwarf_Die die, int depth, Candidates& found) {
        if (depth > code_depth_max) return;
        for (const Dwarf_Die& child : children(die)) {
            const int tag = tag_of(child);
            if (tag == DW_TAG_lexical_block) find_constructors(child, depth + 1, found);
            if (tag == DW_TAG_inlined_subroutine &&
                entry_number(child, DW_AT_call_line) == scope_.line)
                add_constructor(child, found);
            if (tag != DW_TAG_call_site && tag != DW_TAG_GNU_call_site) continue;
            std::optional<Dwarf_Die> callee = entry_reference(child, DW_AT_call_origin);
            if (!callee) callee = entry_reference(child, DW_AT_abstract_origin);
            if (callee && is_called_behind(child)) add_constructor(*callee, found);
        }
    }

    /// Whether the call is in the same line, behind the allocation.
    bool is_called_behind(Dwarf_Die call) {
        Dwarf_Attribute attribute;
        Dwarf_Addr pc = 0;
        for (const unsigned name : {DW_AT_call_return_pc, DW_AT_low_pc})
            if (dwarf_formaddr(dwarf_attr(&call, name, &attribute), &pc) == 0) break;
        pc += units_.module().unit_bias();
        return pc > address_ && is_in_same_line(pc - 1);
    }

    bool is_in_same_line(uint64_t address) {
        for (const CodeScope& each : units_.scopes(address))
            if (each.die.addr == scope_.die.addr)
                return each.line == scope_.line && each.file == scope_.file;
        return false;
    }

    /// Without optimisation, only the code itself tells of calls.
    void find_called_constructors(Candidates& found) {
        const std::string code =
            units_.module().x86_code(address_, limits::lockcheck_constructor_code_bytes);
        constexpr char call = '\xe8';
        for (size_t at = 0; at + 5 <= code.size(); ++at) {
            if (code[at] != call) continue;
            int32_t distance = 0;
            std::memcpy(&distance, &code[at + 1], sizeof distance);
            const uint64_t target = address_ + at + 5 + static_cast<uint64_t>(int64_t{distance});
            const std::vector<CodeScope> called = units_.scopes(target);
            Dwarf_Addr begin = 0;
            Dwarf_Die function = called.empty() ? Dwarf_Die{} : called.back().die;
            if (called.empty() || dwarf_entrypc(&function, &begin) != 0 ||
                begin + units_.module().unit_bias() != target || !is_in_same_line(address_ + at))
                continue;
            add_constructor(function, found);
        }
    }

    /// What the function is there to make: what it returns, or has as a template's argument.
    std::optional<Evidence> by_signature() {
        Candidates found(units_, block_);
        if (const auto type = entry_type(scope_.function)) {
            const std::optional<Dwarf_Die> object = pointee(units_, *type);
            if (object) found.add(*object, false);
        }
        for (size_t i = 0; const auto type = template_type(scope_.origin, i); ++i)
            found.add(*type, false);
        const std::optional<Dwarf_Die> parent = units_.parent(scope_.function);
        if (parent && is_structure(*parent) && !has_object())
            if (const auto type = units_.complete(*parent)) found.add(*type, false);
        return found.verdict();
    }

    /// Whether it is called for an object: has `this`.
    bool has_object() {
        for (Dwarf_Die each : children(scope_.function))
            if (tag_of(each) == DW_TAG_formal_parameter && dwarf_hasattr(&each, DW_AT_artificial))
                return true;
        return false;
    }

    bool takes_a_size() {
        for (const Dwarf_Die& each : children(scope_.origin)) {
            if (tag_of(each) != DW_TAG_formal_parameter) continue;
            const std::optional<Dwarf_Die> type = entry_type(each);
            const std::optional<Dwarf_Die> bare = type ? bare_type(*type) : std::nullopt;
            if (bare && tag_of(*bare) == DW_TAG_base_type && size_of(*bare) == 8 &&
                entry_number(*bare, DW_AT_encoding) == DW_ATE_unsigned)
                return true;
        }
        return false;
    }

    /// An allocator on top of another: returns bytes.
    bool hands_memory_on() {
        const std::optional<Dwarf_Die> type = entry_type(scope_.function);
        return type && is_pointer_to_bytes(*type);
    }

    /// The only type in the whole module that has that size, and a lock there.
    Evidence by_size() {
        if (takes_a_size()) return {};
        // It may be locks and nothing else.
        if (block_.block_bytes % block_.lock_bytes == 0 &&
            block_.offset_bytes % block_.lock_bytes == 0)
            return {};
        const std::vector<Dwarf_Die>* const all = units_.structures_of(block_.block_bytes);
        if (all == nullptr) return {};
        Candidates found(units_, block_);
        for (const Dwarf_Die& each : *all) found.add(each, false);
        return found.verdict().value_or(Evidence{});
    }

    DebugUnits& units_;
    const std::vector<CodeScope>& scopes_;
    const CodeScope& scope_;
    uint64_t address_;
    const LockedBlock& block_;
    bool is_raw_ = false;  ///< The result is put in a pointer to bytes.
};

/// A function that ends in a call of malloc() or the like is no longer in the stack then: it has
/// jumped there. What was called here instead of malloc() is such a function.
std::optional<Evidence> by_hidden_function(DebugUnits& units, uint64_t address,
                                           const LockedBlock& block) {
    constexpr uint64_t call_bytes = 5;
    const std::string code = units.module().x86_code(address - call_bytes, call_bytes);
    if (code.size() < call_bytes || code[0] != '\xe8') return std::nullopt;
    int32_t distance = 0;
    std::memcpy(&distance, &code[1], sizeof distance);
    const std::vector<CodeScope> called =
        units.scopes(address + static_cast<uint64_t>(int64_t{distance}));
    if (called.empty()) return std::nullopt;
    if (const auto doubt = evidence_of_doubles(units, called.back(), block)) return *doubt;
    const std::optional<Dwarf_Die> returned = entry_type(called.back().function);
    if (!returned || is_pointer_to_bytes(*returned)) return std::nullopt;
    Candidates found(units, block);
    if (const std::optional<Dwarf_Die> object = pointee(units, *returned))
        found.add(*object, false);
    return found.verdict().value_or(Evidence{});
}

}  // namespace

Evidence evidence_of_allocation(DebugUnits& units, const std::vector<CodeScope>& scopes,
                                uint64_t address, const LockedBlock& block) {
    if (const auto found = by_hidden_function(units, address, block)) return *found;
    bool in_library = false;
    for (const CodeScope& scope : scopes) {
        if (units.is_of_library(scope.function)) {
            in_library = true;
            const std::optional<Dwarf_Die> type = allocated_type(units, scope);
            if (!type) continue;
            Candidates found(units, block);
            found.add(*type);
            return found.verdict().value_or(Evidence{});
        }
        // The library may have needed memory for something of its own.
        if (in_library) return {};
        const Evidence found = Allocation(units, scopes, scope, address, block).evidence();
        if (found.verdict == Evidence::Verdict::known)
            if (const auto doubt = evidence_of_doubles(units, scope, block)) return *doubt;
        if (found.verdict != Evidence::Verdict::passed) return found;
    }
    if (in_library) return {};
    return {.verdict = Evidence::Verdict::passed, .identity = ""};
}

}  // namespace braidway::lockcheck
