// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/debug_units.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>

#include "apps/lockcheck/naming.h"
#include "base/clock.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

/// A unit as it is, or the part of it that -gsplit-dwarf put elsewhere.
Dwarf_Die whole_unit(Dwarf_Die unit) {
    Dwarf_Die split{};
    uint8_t type = 0;
    if (dwarf_cu_info(unit.cu, nullptr, &type, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
        type == DW_UT_skeleton && split.cu != nullptr)
        return split;
    return unit;
}

/// The entry that this one is a copy or the definition of, to the end of such references.
Dwarf_Die followed(Dwarf_Die die, bool to_declaration) {
    for (int depth = 0; depth < limits::lockcheck_debug_depth_max; ++depth) {
        std::optional<Dwarf_Die> next = entry_reference(die, DW_AT_abstract_origin);
        if (!next && to_declaration) next = entry_reference(die, DW_AT_specification);
        if (!next) break;
        die = *next;
    }
    return die;
}

/// Adds the functions inlined around `pc` below `parent`, outermost first.
void find_inlined(Dwarf_Die parent, Dwarf_Addr pc, int depth, std::vector<Dwarf_Die>& found) {
    if (depth > limits::lockcheck_debug_depth_max) return;
    for (Dwarf_Die each : children(parent)) {
        const int tag = dwarf_tag(&each);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) continue;
        if (dwarf_haspc(&each, pc) != 1) continue;
        if (tag == DW_TAG_inlined_subroutine) found.push_back(each);
        return find_inlined(each, pc, depth + 1, found);
    }
}

/// Whether a function's definition has neither code of its own nor was it inlined.
bool is_without_code(Dwarf_Die function) {
    return !dwarf_hasattr(&function, DW_AT_declaration) &&
           !dwarf_hasattr(&function, DW_AT_inline) &&
           !dwarf_hasattr(&function, DW_AT_abstract_origin);
}

/// What a result or parameter is to the machine: a pointer, or so many bytes.
std::string shape_of(const std::optional<Dwarf_Die>& type) {
    const std::optional<Dwarf_Die> bare = type ? bare_type(*type) : std::nullopt;
    if (!bare) return "-";
    const int tag = tag_of(*bare);
    if (tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type) return "*";
    return fmt::format("{}", size_of(*bare).value_or(0));
}

/// The same of a whole function.
std::string signature_of(Dwarf_Die function) {
    std::string signature = shape_of(entry_type(function));
    for (const Dwarf_Die& each : children(function))
        if (tag_of(each) == DW_TAG_formal_parameter) signature += " " + shape_of(entry_type(each));
    return signature;
}

}  // namespace

int tag_of(Dwarf_Die die) {
    return dwarf_tag(&die);
}

std::string entry_name(Dwarf_Die die) {
    Dwarf_Attribute attribute;
    const char* text = dwarf_formstring(dwarf_attr_integrate(&die, DW_AT_name, &attribute));
    return text == nullptr ? "" : text;
}

std::optional<uint64_t> entry_number(Dwarf_Die die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_formudata(dwarf_attr_integrate(&die, name, &attribute), &value) != 0)
        return std::nullopt;
    return value;
}

std::optional<Dwarf_Die> entry_reference(Dwarf_Die die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Die found;
    if (dwarf_formref_die(dwarf_attr(&die, name, &attribute), &found) == nullptr)
        return std::nullopt;
    return found;
}

std::optional<Dwarf_Die> entry_type(Dwarf_Die die) {
    Dwarf_Attribute attribute;
    Dwarf_Die found;
    if (dwarf_formref_die(dwarf_attr_integrate(&die, DW_AT_type, &attribute), &found) == nullptr)
        return std::nullopt;
    return found;
}

std::optional<uint64_t> size_of(Dwarf_Die type) {
    Dwarf_Word bytes = 0;
    if (dwarf_aggregate_size(&type, &bytes) != 0) return std::nullopt;
    return bytes;
}

bool is_structure(Dwarf_Die die) {
    const int tag = tag_of(die);
    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

std::optional<Dwarf_Die> bare_type(Dwarf_Die type) {
    for (int depth = 0; depth < limits::lockcheck_debug_depth_max; ++depth) {
        switch (dwarf_tag(&type)) {
            case DW_TAG_typedef:
            case DW_TAG_const_type:
            case DW_TAG_volatile_type:
            case DW_TAG_restrict_type:
            case DW_TAG_atomic_type: {
                const std::optional<Dwarf_Die> next = entry_type(type);
                if (!next) return std::nullopt;
                type = *next;
                break;
            }
            default:
                return type;
        }
    }
    return std::nullopt;
}

std::string declaring_file(Dwarf_Die die) {
    // Not dwarf_decl_file(), which ends the program where a unit has no table of files.
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0;
    if (dwarf_formudata(dwarf_attr_integrate(&die, DW_AT_decl_file, &attribute), &number) != 0)
        return "";
    Dwarf_Die unit{};
    Dwarf_Die other{};
    if (dwarf_cu_info(attribute.cu, nullptr, nullptr, &unit, &other, nullptr, nullptr, nullptr) !=
        0)
        return "";
    // A split unit's table is with the other part.
    for (Dwarf_Die* const part : {&unit, &other}) {
        Dwarf_Files* files = nullptr;
        size_t count = 0;
        if (part->cu == nullptr || dwarf_getsrcfiles(part, &files, &count) != 0) continue;
        const char* const file =
            number < count ? dwarf_filesrc(files, number, nullptr, nullptr) : nullptr;
        if (file != nullptr) return file;
    }
    return "";
}

std::string declared_at(Dwarf_Die die) {
    int line = 0;
    const std::string file = declaring_file(die);
    if (file.empty() || dwarf_decl_line(&die, &line) != 0) return "";
    return fmt::format("{}:{}", file_name(file), line);
}

std::optional<Dwarf_Die> template_type(Dwarf_Die die, size_t index) {
    for (Dwarf_Die each : children(die)) {
        const int tag = dwarf_tag(&each);
        std::vector<Dwarf_Die> types;
        if (tag == DW_TAG_template_type_parameter) types = {each};
        if (tag == DW_TAG_GNU_template_parameter_pack) types = children(each);
        for (const Dwarf_Die& type : types)
            if (index-- == 0) return entry_type(type);
    }
    return std::nullopt;
}

std::vector<Dwarf_Die> children(Dwarf_Die die) {
    std::vector<Dwarf_Die> found;
    Dwarf_Die each;
    if (dwarf_child(&die, &each) != 0) return found;
    do found.push_back(each);
    while (dwarf_siblingof(&each, &each) == 0);
    return found;
}

bool DebugUnits::is_time_up() {
    // The clock is dearer than an entry.
    if (!gave_up_ && entries_++ % 1024 == 0 && monotonic_now() > deadline_) gave_up_ = true;
    return gave_up_;
}

bool DebugUnits::read_all() {
    if (gave_up_) return false;
    if (all_) return *all_;
    all_ = module_.debug_bytes() <= limits::lockcheck_debug_bytes_max;
    if (*all_)
        module_.for_units([this](Dwarf_Die& unit) {
            read_unit(whole_unit(unit));
            return !gave_up_;
        });
    return *all_ && !gave_up_;
}

void DebugUnits::read_unit(Dwarf_Die unit) {
    if (gave_up_ || !read_.insert(unit.addr).second) return;
    read_below(unit, 0, functions_[unit.addr]);
}

void DebugUnits::read_below(Dwarf_Die parent, int depth, std::vector<Dwarf_Die>& functions) {
    Dwarf_Die each;
    if (depth > limits::lockcheck_debug_depth_max || dwarf_child(&parent, &each) != 0) return;
    do {
        if (is_time_up()) return;
        switch (dwarf_tag(&each)) {
            case DW_TAG_structure_type:
            case DW_TAG_class_type:
            case DW_TAG_union_type:
                if (!dwarf_hasattr(&each, DW_AT_declaration)) structures_.push_back(each);
                parents_.emplace(each.addr, parent);
                read_below(each, depth + 1, functions);
                break;
            case DW_TAG_subprogram:
                if (dwarf_hasattr(&each, DW_AT_low_pc) || dwarf_hasattr(&each, DW_AT_ranges))
                    functions.push_back(each);
                else if (is_without_code(each))
                    without_code_[each.cu].push_back(each);
                parents_.emplace(each.addr, parent);
                read_below(each, depth + 1, functions);
                break;
            case DW_TAG_namespace:
            case DW_TAG_lexical_block:
                parents_.emplace(each.addr, parent);
                read_below(each, depth + 1, functions);
                break;
            case DW_TAG_variable:
                if (dwarf_hasattr(&each, DW_AT_location)) add_variable(each);
                break;
            default:
                break;
        }
    } while (dwarf_siblingof(&each, &each) == 0);
}

void DebugUnits::add_variable(Dwarf_Die variable) {
    Dwarf_Attribute attribute;
    Dwarf_Op* operations = nullptr;
    size_t count = 0;
    if (dwarf_getlocation(dwarf_attr(&variable, DW_AT_location, &attribute), &operations, &count) !=
            0 ||
        count != 1)
        return;
    Dwarf_Addr address = operations->number;
    if (operations->atom == DW_OP_addrx || operations->atom == DW_OP_GNU_addr_index) {
        Dwarf_Attribute indirect;
        if (dwarf_getlocation_attr(&attribute, operations, &indirect) != 0 ||
            dwarf_formaddr(&indirect, &address) != 0)
            return;
    } else if (operations->atom != DW_OP_addr) {
        return;
    }
    const std::optional<Dwarf_Die> type = entry_type(variable);
    const std::optional<uint64_t> bytes = type ? size_of(*type) : std::nullopt;
    if (!bytes || *bytes == 0) return;
    const uint64_t begin = address + module_.unit_bias();
    StaticVariable& added = variables_[begin];
    if (*bytes > added.bytes) added = {.begin = begin, .bytes = *bytes, .type = *type};
}

std::optional<Dwarf_Die> DebugUnits::function_at(Dwarf_Die unit, uint64_t pc) {
    for (Dwarf_Die& each : functions_[unit.addr])
        if (!is_time_up() && dwarf_haspc(&each, pc) == 1) return each;
    return std::nullopt;
}

std::vector<CodeScope> DebugUnits::scopes(uint64_t address) {
    std::optional<Dwarf_Die> unit = module_.unit(address);
    if (!unit) return {};
    const Dwarf_Addr pc = address - module_.unit_bias();
    const Dwarf_Die whole = whole_unit(*unit);
    read_unit(whole);
    const std::optional<Dwarf_Die> function = function_at(whole, pc);
    if (!function) return {};
    std::vector<Dwarf_Die> dies{*function};
    find_inlined(*function, pc, 0, dies);
    std::ranges::reverse(dies);

    CodeScope scope;
    if (Dwarf_Line* const line = dwarf_getsrc_die(&*unit, pc); line != nullptr) {
        int number = 0;
        dwarf_lineno(line, &number);
        scope.line = static_cast<unsigned>(std::max(number, 0));
        int column = 0;
        dwarf_linecol(line, &column);
        scope.column = static_cast<unsigned>(std::max(column, 0));
        const char* const file = dwarf_linesrc(line, nullptr, nullptr);
        scope.file = file == nullptr ? "" : file;
    }
    Dwarf_Files* files = nullptr;
    size_t files_count = 0;
    dwarf_getsrcfiles(&*unit, &files, &files_count);
    std::vector<CodeScope> found;
    for (Dwarf_Die& die : dies) {
        scope.die = die;
        scope.origin = followed(die, false);
        scope.function = followed(die, true);
        scope.inlined = dwarf_tag(&die) == DW_TAG_inlined_subroutine;
        found.push_back(scope);
        const size_t file = entry_number(die, DW_AT_call_file).value_or(0);
        scope.line = static_cast<unsigned>(entry_number(die, DW_AT_call_line).value_or(0));
        scope.column = static_cast<unsigned>(entry_number(die, DW_AT_call_column).value_or(0));
        const char* const name =
            file < files_count ? dwarf_filesrc(files, file, nullptr, nullptr) : nullptr;
        scope.file = name == nullptr ? "" : name;
    }
    return found;
}

const StaticVariable* DebugUnits::variable(uint64_t address) const {
    auto found = variables_.upper_bound(address);
    if (found == variables_.begin()) return nullptr;
    --found;
    return address - found->first < found->second.bytes ? &found->second : nullptr;
}

const std::vector<Dwarf_Die>* DebugUnits::structures_of(uint64_t bytes) {
    if (!read_all()) return nullptr;
    if (by_size_.empty())
        for (const Dwarf_Die& each : structures_)
            by_size_[entry_number(each, DW_AT_byte_size).value_or(0)].push_back(each);
    return &by_size_[bytes];
}

std::optional<Dwarf_Die> DebugUnits::complete(Dwarf_Die structure_entry) {
    if (!dwarf_hasattr(&structure_entry, DW_AT_declaration)) return structure_entry;
    return structure(qualified_name(structure_entry));
}

std::optional<Dwarf_Die> DebugUnits::structure(const std::string& name) {
    if (!read_all()) return std::nullopt;
    for (; named_ < structures_.size(); ++named_)
        by_name_.emplace(qualified_name(structures_[named_]), structures_[named_]);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::nullopt;
    return found->second;
}

std::vector<Dwarf_Die> DebugUnits::doubles(Dwarf_Die function) {
    const Dwarf_Die defined = followed(function, false);
    const std::string signature = signature_of(defined);
    std::vector<Dwarf_Die> found;
    for (const Dwarf_Die& each : without_code_[defined.cu])
        if (each.addr != defined.addr && signature_of(each) == signature) found.push_back(each);
    return found;
}

std::optional<Dwarf_Die> DebugUnits::parent(Dwarf_Die die) {
    auto found = parents_.find(die.addr);
    Dwarf_Die unit;
    if (found == parents_.end() && dwarf_diecu(&die, &unit, nullptr, nullptr) != nullptr) {
        read_unit(unit);
        found = parents_.find(die.addr);
    }
    if (found == parents_.end()) return std::nullopt;
    return found->second;
}

std::string DebugUnits::qualified_name(Dwarf_Die die) {
    std::string name = entry_name(die);
    if (name.empty()) name = "(anonymous)";
    int depth = 0;
    for (auto at = parent(die); at && depth < limits::lockcheck_debug_depth_max;
         at = parent(*at), ++depth) {
        const int tag = tag_of(*at);
        if (tag != DW_TAG_namespace && tag != DW_TAG_subprogram && !is_structure(*at)) continue;
        const std::string outer = entry_name(*at);
        name.insert(0, "::").insert(0, outer.empty() ? "(anonymous)" : outer);
    }
    return name;
}

bool DebugUnits::is_of_library(Dwarf_Die die) {
    std::string outermost;
    int depth = 0;
    for (std::optional<Dwarf_Die> at = die; at && depth < limits::lockcheck_debug_depth_max;
         at = parent(*at), ++depth)
        if (dwarf_tag(&*at) == DW_TAG_namespace) outermost = entry_name(*at);
    return outermost == "std" || outermost == "__gnu_cxx" || outermost == "__cxxabiv1";
}

}  // namespace braidway::lockcheck
