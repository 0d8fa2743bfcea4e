// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/elf_module.h"

#include <cxxabi.h>
#include <dwarf.h>
#include <gelf.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace braidway::lockcheck {
namespace {

const Dwfl_Callbacks callbacks{.find_elf = dwfl_build_id_find_elf,
                               .find_debuginfo = dwfl_standard_find_debuginfo,
                               .section_address = dwfl_offline_section_address,
                               .debuginfo_path = nullptr};

/// %rsp, as DWARF counts registers.
constexpr uint64_t stack_pointer_number = 7;

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

void ElfModule::for_units(const std::function<bool(Dwarf_Die&)>& each) const {
    if (module_ == nullptr) return;
    Dwarf_Addr bias = 0;
    Dwarf_Die* unit = nullptr;
    while ((unit = dwfl_module_nextcu(module_, unit, &bias)) != nullptr) {
        unit_bias_ = bias - bias_;
        if (!each(*unit)) return;
    }
}

uint64_t ElfModule::debug_bytes() const {
    if (module_ == nullptr) return 0;
    Dwarf_Addr bias = 0;
    Dwarf* const debug = dwfl_module_getdwarf(module_, &bias);
    Elf* const elf = debug == nullptr ? nullptr : dwarf_getelf(debug);
    size_t names = 0;
    if (elf == nullptr || elf_getshdrstrndx(elf, &names) != 0) return 0;
    uint64_t bytes = 0;
    for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) == nullptr) continue;
        const char* const name = elf_strptr(elf, names, header.sh_name);
        if (name != nullptr && std::string_view(name) == ".debug_info") bytes += header.sh_size;
    }
    return bytes;
}

std::string ElfModule::x86_code(uint64_t address, size_t bytes_max) const {
    GElf_Addr bias = 0;
    Elf* const elf = module_ == nullptr ? nullptr : dwfl_module_getelf(module_, &bias);
    GElf_Ehdr file;
    if (elf == nullptr || gelf_getehdr(elf, &file) == nullptr || file.e_machine != EM_X86_64)
        return "";
    std::string code;
    for_loadable_segments(elf, [&](const GElf_Phdr& header) {
        if (address < header.p_vaddr || address - header.p_vaddr >= header.p_filesz) return;
        const uint64_t within = address - header.p_vaddr;
        const size_t bytes = std::min<uint64_t>(bytes_max, header.p_filesz - within);
        const Elf_Data* const data = elf_getdata_rawchunk(
            elf, static_cast<int64_t>(header.p_offset + within), bytes, ELF_T_BYTE);
        if (data != nullptr && data->d_buf != nullptr)
            code.assign(static_cast<const char*>(data->d_buf), data->d_size);
    });
    return code;
}

std::optional<uint64_t> ElfModule::frame_bytes(uint64_t begin, uint64_t end) const {
    if (module_ == nullptr) return std::nullopt;
    Dwarf_Addr bias = 0;
    Dwarf_CFI* const tables = dwfl_module_eh_cfi(module_, &bias);
    if (tables == nullptr) return std::nullopt;
    // At the function's start and ends it is less.
    uint64_t deepest = 0;
    std::map<uint64_t, uint64_t> code_bytes;
    for (uint64_t at = begin; at < end;) {
        Dwarf_Frame* row = nullptr;
        if (dwarf_cfi_addrframe(tables, at + bias_ - bias, &row) != 0) return std::nullopt;
        const std::unique_ptr<Dwarf_Frame, decltype(&free)> owned(row, &free);
        Dwarf_Addr row_begin = 0;
        Dwarf_Addr row_end = 0;
        bool is_signal_frame = false;
        Dwarf_Op* operations = nullptr;
        size_t count = 0;
        if (dwarf_frame_info(row, &row_begin, &row_end, &is_signal_frame) < 0 ||
            dwarf_frame_cfa(row, &operations, &count) != 0 || count != 1 ||
            operations->atom != DW_OP_bregx || operations->number != stack_pointer_number)
            return std::nullopt;
        const uint64_t next = std::min(row_end + bias - bias_, end);
        if (next <= at) return std::nullopt;
        code_bytes[operations->number2] += next - at;
        deepest = std::max(deepest, operations->number2);
        at = next;
    }
    for (const auto& [depth, bytes] : code_bytes)
        if (depth != deepest && bytes > code_bytes[deepest]) return std::nullopt;
    return deepest;
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
