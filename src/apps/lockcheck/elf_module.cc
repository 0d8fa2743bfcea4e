// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/elf_module.h"

#include <cxxabi.h>
#include <gelf.h>

#include <algorithm>
#include <cstdlib>

namespace braidway::lockcheck {
namespace {

const Dwfl_Callbacks callbacks{.find_elf = dwfl_build_id_find_elf,
                               .find_debuginfo = dwfl_standard_find_debuginfo,
                               .section_address = dwfl_offline_section_address,
                               .debuginfo_path = nullptr};

/// Calls `each` with the program header of every loadable segment.
template <typename Each>
void for_loadable_segments(Elf* elf, Each each) {
    size_t count = 0;
    if (elf == nullptr || elf_getphdrnum(elf, &count) != 0) return;
    for (size_t at = 0; at < count; ++at) {
        GElf_Phdr header;
        if (gelf_getphdr(elf, static_cast<int>(at), &header) == nullptr) return;
        if (header.p_type == PT_LOAD) each(header);
    }
}

}  // namespace

ElfModule::ElfModule(const std::string& path) : dwfl_(dwfl_begin(&callbacks)) {
    if (!dwfl_) return;
    dwfl_report_begin(dwfl_.get());
    module_ = dwfl_report_offline(dwfl_.get(), path.c_str(), path.c_str(), -1);
    dwfl_report_end(dwfl_.get(), nullptr, nullptr);
    if (module_ == nullptr) return;
    GElf_Addr bias = 0;
    Elf* elf = dwfl_module_getelf(module_, &bias);
    bias_ = bias;
    first_ = UINT64_MAX;
    for_loadable_segments(
        elf, [this](const GElf_Phdr& header) { first_ = std::min(first_, header.p_vaddr); });
    if (first_ == UINT64_MAX) first_ = 0;
    first_ &= ~uint64_t{0xfff};
}

bool ElfModule::contains(uint64_t address) const {
    if (module_ == nullptr) return false;
    bool found = false;
    GElf_Addr bias = 0;
    for_loadable_segments(dwfl_module_getelf(module_, &bias), [&](const GElf_Phdr& header) {
        found = found || (address >= header.p_vaddr && address - header.p_vaddr < header.p_memsz);
    });
    return found;
}

uint64_t ElfModule::address_of(uint64_t offset) const {
    return offset < first_ ? offset + first_ : offset;
}

std::optional<ElfModule::Symbol> ElfModule::symbol(uint64_t address) const {
    if (module_ == nullptr) return std::nullopt;
    GElf_Off offset = 0;
    GElf_Sym symbol{};
    const char* name =
        dwfl_module_addrinfo(module_, address + bias_, &offset, &symbol, nullptr, nullptr, nullptr);
    if (name == nullptr || *name == '\0') return std::nullopt;
    // The one before may end long before the address.
    if (symbol.st_size != 0 && offset >= symbol.st_size) return std::nullopt;
    return Symbol{name, offset, GELF_ST_TYPE(symbol.st_info) == STT_OBJECT};
}

std::optional<Dwarf_Die> ElfModule::unit(uint64_t address) const {
    if (module_ == nullptr) return std::nullopt;
    Dwarf_Addr bias = 0;
    if (Dwarf_Die* found = dwfl_module_addrdie(module_, address + bias_, &bias); found != nullptr) {
        unit_bias_ = bias - bias_;
        return *found;
    }
    // Not every compiler writes the table of addresses (.debug_aranges): look at each unit.
    Dwarf_Die* unit = nullptr;
    while ((unit = dwfl_module_nextcu(module_, unit, &bias)) != nullptr) {
        if (dwarf_haspc(unit, address + bias_ - bias) != 1) continue;
        unit_bias_ = bias - bias_;
        return *unit;
    }
    return std::nullopt;
}

std::string demangled(std::string_view symbol) {
    if (!symbol.starts_with("_Z")) return std::string(symbol);
    // What the compiler put behind the name, as ".cold" or ".constprop.0".
    const size_t dot = symbol.find('.');
    const std::string name(symbol.substr(0, dot));
    int status = 0;
    char* readable = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    if (readable == nullptr) return std::string(symbol);
    std::string out = readable;
    std::free(readable);
    return out;
}

}  // namespace braidway::lockcheck
