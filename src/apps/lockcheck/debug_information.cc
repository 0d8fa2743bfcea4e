// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/debug_information.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <vector>

#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using namespace std::string_view_literals;

/// These are what a lock is; their own members are nobody's business.
constexpr std::array lock_types{"pthread_mutex_t"sv,
                                "pthread_rwlock_t"sv,
                                "pthread_spinlock_t"sv,
                                "pthread_cond_t"sv,
                                "mtx_t"sv,
                                "cnd_t"sv};

std::string text_of(Dwarf_Die* die, unsigned name) {
    Dwarf_Attribute attribute;
    const char* text = dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
    return text == nullptr ? "" : text;
}

std::optional<Dwarf_Word> number_of(Dwarf_Die* die, unsigned name) {
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_formudata(dwarf_attr_integrate(die, name, &attribute), &value) != 0)
        return std::nullopt;
    return value;
}

std::string linkage_name(Dwarf_Die* die) {
    std::string name = text_of(die, DW_AT_linkage_name);
    return name.empty() ? text_of(die, DW_AT_MIPS_linkage_name) : name;
}

/// A file's name as the unit has it, made absolute by the folder in which it was compiled.
std::string whole_path(Dwarf_Die* unit, const char* path) {
    if (path == nullptr) return "";
    if (*path == '/') return path;
    const std::string folder = text_of(unit, DW_AT_comp_dir);
    return folder.empty() ? path : folder + "/" + path;
}

std::string function_name(Dwarf_Die* die) {
    const std::string linkage = linkage_name(die);
    if (!linkage.empty()) return demangled(linkage);
    return text_of(die, DW_AT_name);
}

/// Adds the entries below `parent` that lie in each other around `pc`, outermost first.
/// (dwarf_getscopes() would do it, but not in namespaces, where clang puts its functions.)
bool find_scopes(Dwarf_Die* parent, Dwarf_Addr pc, int depth, std::vector<Dwarf_Die>& scopes) {
    Dwarf_Die each;
    if (depth > limits::lockcheck_unit_scopes_max || dwarf_child(parent, &each) != 0) return false;
    do {
        switch (dwarf_tag(&each)) {
            case DW_TAG_namespace:
                if (find_scopes(&each, pc, depth + 1, scopes)) return true;
                break;
            case DW_TAG_subprogram:
            case DW_TAG_inlined_subroutine:
            case DW_TAG_lexical_block:
                if (dwarf_haspc(&each, pc) != 1) break;
                scopes.push_back(each);
                find_scopes(&each, pc, depth + 1, scopes);
                return true;
            default:
                break;
        }
    } while (dwarf_siblingof(&each, &each) == 0);
    return false;
}

/// The functions around `pc`, innermost first. With split debug information they are in a file of
/// their own.
std::vector<Dwarf_Die> scopes_at(Dwarf_Die unit, Dwarf_Addr pc) {
    Dwarf_Die split{};
    uint8_t type = 0;
    if (dwarf_cu_info(unit.cu, nullptr, &type, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
        type == DW_UT_skeleton && split.cu != nullptr)
        unit = split;
    std::vector<Dwarf_Die> scopes;
    find_scopes(&unit, pc, 0, scopes);
    std::ranges::reverse(scopes);
    return scopes;
}

/// What a member's or element's type is behind its typedefs, unless it is a lock's.
bool enter(Dwarf_Die type, Dwarf_Die& into) {
    for (int depth = 0; depth < limits::lockcheck_named_depth_max; ++depth) {
        const std::string name = text_of(&type, DW_AT_name);
        if (std::ranges::find(lock_types, name) != lock_types.end()) return false;
        switch (dwarf_tag(&type)) {
            case DW_TAG_typedef:
            case DW_TAG_const_type:
            case DW_TAG_volatile_type:
            case DW_TAG_atomic_type: {
                Dwarf_Attribute attribute;
                if (dwarf_formref_die(dwarf_attr_integrate(&type, DW_AT_type, &attribute), &type) ==
                    nullptr)
                    return false;
                break;
            }
            default:
                into = type;
                return true;
        }
    }
    return false;
}

bool type_of(Dwarf_Die* die, Dwarf_Die& type) {
    Dwarf_Attribute attribute;
    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), &type) != nullptr;
}

/// The member of a structure that contains the byte at `offset`.
bool member_of(Dwarf_Die* structure, uint64_t offset, Dwarf_Die& member, uint64_t& begin) {
    Dwarf_Die each;
    if (dwarf_child(structure, &each) != 0) return false;
    do {
        const int tag = dwarf_tag(&each);
        if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
        if (tag == DW_TAG_member && dwarf_hasattr(&each, DW_AT_external)) continue;
        const uint64_t at = number_of(&each, DW_AT_data_member_location).value_or(0);
        Dwarf_Die type;
        Dwarf_Word size = 0;
        if (at > offset || !type_of(&each, type) || dwarf_aggregate_size(&type, &size) != 0)
            continue;
        if (offset - at >= size) continue;
        member = each;
        begin = at;
        return true;
    } while (dwarf_siblingof(&each, &each) == 0);
    return false;
}

/// The way from an object of this type to the byte at `offset`: ".lock", "[3].lock", "".
std::string way_to(Dwarf_Die type, uint64_t offset) {
    std::string way;
    Dwarf_Die inner;
    for (int depth = 0; depth < limits::lockcheck_named_depth_max && enter(type, inner); ++depth) {
        const int tag = dwarf_tag(&inner);
        if (tag == DW_TAG_array_type) {
            Dwarf_Word size = 0;
            if (!type_of(&inner, type) || dwarf_aggregate_size(&type, &size) != 0 || size == 0)
                break;
            way += fmt::format("[{}]", offset / size);
            offset %= size;
            continue;
        }
        if (tag != DW_TAG_structure_type && tag != DW_TAG_class_type && tag != DW_TAG_union_type)
            break;
        Dwarf_Die member;
        uint64_t begin = 0;
        if (!member_of(&inner, offset, member, begin)) break;
        const std::string name = text_of(&member, DW_AT_name);
        const bool is_base = dwarf_tag(&member) == DW_TAG_inheritance;
        // The insides of the library's own types.
        if (name.starts_with('_')) break;
        if (!is_base && !name.empty()) way += "." + name;
        offset -= begin;
        if (!type_of(&member, type)) break;
    }
    return way;
}

/// Looks for the variable of this symbol below `parent`, in namespaces too.
bool find_variable(Dwarf_Die* parent, const std::string& symbol, size_t& left, Dwarf_Die& found) {
    Dwarf_Die each;
    if (dwarf_child(parent, &each) != 0) return false;
    do {
        if (left == 0) return false;
        --left;
        const int tag = dwarf_tag(&each);
        if (tag == DW_TAG_namespace && find_variable(&each, symbol, left, found)) return true;
        if (tag != DW_TAG_variable) continue;
        const std::string linkage = linkage_name(&each);
        if (linkage.empty() ? text_of(&each, DW_AT_name) != symbol : linkage != symbol) continue;
        found = each;
        return true;
    } while (dwarf_siblingof(&each, &each) == 0);
    return false;
}

}  // namespace

Stack functions_at(const ElfModule& module, uint64_t address) {
    std::optional<Dwarf_Die> unit = module.unit(address);
    if (!unit) return {};
    const Dwarf_Addr pc = address - module.unit_bias();
    Frame frame;
    if (Dwarf_Line* line = dwarf_getsrc_die(&*unit, pc); line != nullptr) {
        int number = 0;
        dwarf_lineno(line, &number);
        frame.line = static_cast<unsigned>(std::max(number, 0));
        frame.file = whole_path(&*unit, dwarf_linesrc(line, nullptr, nullptr));
    }
    Dwarf_Files* files = nullptr;
    size_t files_count = 0;
    dwarf_getsrcfiles(&*unit, &files, &files_count);
    Stack frames;
    for (Dwarf_Die& scope : scopes_at(*unit, pc)) {
        const int tag = dwarf_tag(&scope);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
        frame.function = function_name(&scope);
        frame.inlined = tag == DW_TAG_inlined_subroutine;
        frames.push_back(frame);
        if (!frame.inlined) break;
        // The next one around it is where it was called.
        const size_t file = number_of(&scope, DW_AT_call_file).value_or(0);
        frame.line = static_cast<unsigned>(number_of(&scope, DW_AT_call_line).value_or(0));
        frame.file = file < files_count
                         ? whole_path(&*unit, dwarf_filesrc(files, file, nullptr, nullptr))
                         : "";
    }
    if (frames.empty() && !frame.file.empty()) frames.push_back(frame);
    return frames;
}

std::string member_at(const ElfModule& module, std::span<const uint64_t> code,
                      const std::string& symbol, uint64_t offset) {
    std::set<Dwarf_Off> seen;
    for (const uint64_t address : code) {
        std::optional<Dwarf_Die> unit = module.unit(address);
        if (!unit || !seen.insert(dwarf_dieoffset(&*unit)).second) continue;
        size_t left = limits::lockcheck_unit_entries_max;
        Dwarf_Die variable;
        Dwarf_Die type;
        if (find_variable(&*unit, symbol, left, variable) && type_of(&variable, type))
            return demangled(symbol) + way_to(type, offset);
    }
    return "";
}

}  // namespace braidway::lockcheck
