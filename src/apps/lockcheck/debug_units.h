// SPDX-License-Identifier: Apache-2.0
// The entries of one file's debug information (DWARF) that say what objects are: its types, its
// variables and its functions, with what encloses each. Helpers that read one entry are here, too.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "apps/lockcheck/elf_module.h"
#include "base/time.h"

namespace braidway::lockcheck {

/// The tag of an entry (DW_TAG_...).
int tag_of(Dwarf_Die die);
/// The name of an entry (DW_AT_name, of what it specifies or was copied from too), or "".
std::string entry_name(Dwarf_Die die);
/// A number that the entry has, or nothing.
std::optional<uint64_t> entry_number(Dwarf_Die die, unsigned attribute);
/// The entry that another one refers to by this attribute.
std::optional<Dwarf_Die> entry_reference(Dwarf_Die die, unsigned attribute);
/// The type of a variable, member, typedef and the like.
std::optional<Dwarf_Die> entry_type(Dwarf_Die die);
/// The size of an object of this type, in bytes.
std::optional<uint64_t> size_of(Dwarf_Die type);
/// Struct, class or union.
bool is_structure(Dwarf_Die die);
/// A type without its typedefs, const and volatile.
std::optional<Dwarf_Die> bare_type(Dwarf_Die type);
/// The file that an entry was declared in, as the unit spells it, or "".
std::string declaring_file(Dwarf_Die die);
/// The file and line that an entry was declared in: "bank.h:12", or "".
std::string declared_at(Dwarf_Die die);
/// The first, or n-th, type among the arguments of a template. Packs are looked into.
std::optional<Dwarf_Die> template_type(Dwarf_Die die, size_t index = 0);
/// The entries directly below.
std::vector<Dwarf_Die> children(Dwarf_Die die);

/// Where a return address is: a function, or what was inlined there.
struct CodeScope {
    Dwarf_Die die{};       ///< Of this copy of the function: its variables have places.
    Dwarf_Die function{};  ///< As it was declared: its parent is its class or namespace.
    Dwarf_Die origin{};    ///< As it was defined: has the template's arguments.
    bool inlined = false;
    std::string file;  ///< Where in this function the call is. As the unit spells it.
    unsigned line = 0;
    unsigned column = 0;
};

/// A variable with static storage.
struct StaticVariable {
    uint64_t begin = 0;  ///< Address in the ELF file.
    uint64_t bytes = 0;
    Dwarf_Die type{};
};

/// What one module's debug information has of types, functions and variables.
///
/// Units are read when they are first asked for, or all at once by read_all().
/// Errors:  none: what is missing or malformed is not there.
/// Threads: one at a time. It must not outlive its ElfModule.
class DebugUnits {
  public:
    /// Nothing more is found after `deadline`, nor where there is too much to be read by then.
    DebugUnits(const ElfModule& module, Instant deadline) : module_(module), deadline_(deadline) {}

    /// Reads all units. False, for good, when there is too much.
    bool read_all();
    /// Whether something was left out because time was up.
    bool gave_up() const { return gave_up_; }

    /// The functions around the code at `address`, innermost first.
    std::vector<CodeScope> scopes(uint64_t address);
    /// The static variable that contains the address, among the units read.
    const StaticVariable* variable(uint64_t address) const;
    /// All complete structures of this size in the module; nothing when there is too much to read.
    const std::vector<Dwarf_Die>* structures_of(uint64_t bytes);
    /// The structure itself, or its definition where this unit has only a declaration.
    std::optional<Dwarf_Die> complete(Dwarf_Die structure);
    /// A complete structure by its qualified name.
    std::optional<Dwarf_Die> structure(const std::string& name);

    /// Functions of the same unit that were defined, with results and parameters of the same sizes,
    /// but have no code: the compiler may have found them to do the same, so that this one's code
    /// is theirs, too.
    std::vector<Dwarf_Die> doubles(Dwarf_Die function);

    /// What an entry lies in: a namespace, class or function.
    std::optional<Dwarf_Die> parent(Dwarf_Die die);
    /// "bank::account<int>"; anonymous ones are "(anonymous)".
    std::string qualified_name(Dwarf_Die die);
    /// Whether it is the C++ library's (namespaces std and __gnu_cxx).
    bool is_of_library(Dwarf_Die die);

    const ElfModule& module() const { return module_; }

  private:
    void read_unit(Dwarf_Die unit);
    void read_below(Dwarf_Die parent, int depth, std::vector<Dwarf_Die>& functions);
    bool is_time_up();
    void add_variable(Dwarf_Die variable);
    std::optional<Dwarf_Die> function_at(Dwarf_Die unit, uint64_t pc);

    const ElfModule& module_;
    std::set<const void*> read_;  ///< Units, by the address of their first entry.
    std::unordered_map<const void*, Dwarf_Die> parents_;
    std::unordered_map<const void*, std::vector<Dwarf_Die>> functions_;  ///< By unit.
    std::unordered_map<const Dwarf_CU*, std::vector<Dwarf_Die>> without_code_;
    std::vector<Dwarf_Die> structures_;
    std::map<uint64_t, StaticVariable> variables_;  ///< By where they begin.
    std::unordered_map<std::string, Dwarf_Die> by_name_;
    size_t named_ = 0;  ///< Structures that are in by_name_.
    std::unordered_map<uint64_t, std::vector<Dwarf_Die>> by_size_;
    std::optional<bool> all_;
    Instant deadline_;
    size_t entries_ = 0;
    bool gave_up_ = false;
};

}  // namespace braidway::lockcheck
