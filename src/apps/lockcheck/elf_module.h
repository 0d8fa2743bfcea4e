// SPDX-License-Identifier: Apache-2.0
// One file of machine code with its symbols and debug information.
#pragma once

#include <elfutils/libdwfl.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace braidway::lockcheck {

/// A program or shared library, opened as a file: its process need not be there any more.
///
/// Debug information is looked for in the file itself and where distributions put it
/// (/usr/lib/debug, .gnu_debuglink, the build id); never over the network.
/// Units: addresses are those of the ELF file, before any load bias.
/// Threads: one at a time.
class ElfModule {
  public:
    /// Opens `path`; what cannot be read has no symbols.
    explicit ElfModule(const std::string& path);

    bool opened() const { return module_ != nullptr; }
    /// Whether a loadable segment contains the address.
    bool contains(uint64_t address) const;
    /// The runtime says how far behind the load bias something lies. For a program at fixed
    /// addresses some say it from its first byte on: both are understood.
    uint64_t address_of(uint64_t offset) const;

    /// The symbol that contains the address.
    struct Symbol {
        std::string name;     ///< As the linker knows it.
        uint64_t offset = 0;  ///< Of the address within it.
        bool is_data = false;
    };
    std::optional<Symbol> symbol(uint64_t address) const;

    /// The compilation unit with the code at `address`. Its addresses are those of the ELF file
    /// less unit_bias().
    std::optional<Dwarf_Die> unit(uint64_t address) const;
    uint64_t unit_bias() const { return unit_bias_; }
    /// Calls `each` with every unit of the debug information, until it says false.
    void for_units(const std::function<bool(Dwarf_Die&)>& each) const;
    /// How much debug information there is (the size of .debug_info); 0 without any.
    uint64_t debug_bytes() const;
    /// The machine code at `address`, at most `bytes_max` of it; "" on other machines than x86-64.
    std::string x86_code(uint64_t address, size_t bytes_max) const;
    /// How far the stack pointer is below the end of the frame (its CFA) in the body of a function,
    /// from `begin` to `end`. Nothing where that is not one number, as with alloca() or arguments
    /// that are pushed.
    /// Source: the tables for unwinding (DWARF 5, chapter 6.4).
    std::optional<uint64_t> frame_bytes(uint64_t begin, uint64_t end) const;

  private:
    struct End {
        void operator()(Dwfl* dwfl) const { dwfl_end(dwfl); }
    };
    std::unique_ptr<Dwfl, End> dwfl_;
    Dwfl_Module* module_ = nullptr;  ///< Belongs to dwfl_.
    uint64_t bias_ = 0;              ///< libdwfl's own, on top of the file's addresses.
    uint64_t first_ = 0;             ///< Of the loadable segments.
    mutable uint64_t unit_bias_ = 0;
};

/// The C++ name behind a symbol's name; the same name when it is none.
std::string demangled(std::string_view symbol);

}  // namespace braidway::lockcheck
