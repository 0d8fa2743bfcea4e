// SPDX-License-Identifier: Apache-2.0
// Source: the ELF format (gABI, chapters 4 and 5); modules by _dl_find_object() of glibc 2.35,
//         which takes no lock.
#include "apps/lockcheck/preload/static_objects.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string_view>
#include <utility>

#include "apps/lockcheck/preload/raw_calls.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr size_t page_bytes = 4096;
constexpr uint64_t object_bytes_min = 4;  ///< No lock is smaller.

struct Symbol {
    uintptr_t begin = 0;
    uint64_t bytes = 0;
    const char* name = nullptr;
};

struct Symbols {
    Symbol* all = nullptr;
    size_t count = 0;

    /// The one that covers `address`, or nullptr; of several, one that begins last.
    const Symbol* covering(uintptr_t address) const {
        // Aliases and nested symbols are few; looking back further finds nothing.
        const Symbol* const after = std::upper_bound(
            all, all + count, address,
            [](uintptr_t wanted, const Symbol& symbol) { return wanted < symbol.begin; });
        const size_t before =
            std::min<size_t>(limits::lockcheck_symbols_back_max, static_cast<size_t>(after - all));
        for (size_t i = 1; i <= before; ++i)
            if (address - (after - i)->begin < (after - i)->bytes) return after - i;
        return nullptr;
    }
};

/// What is known of one module. Never given back: reports name its symbols after it has gone.
struct Module {
    const void* link_map = nullptr;
    uintptr_t begin = 0;
    uintptr_t end = 0;
    uint64_t name_hash = 0;
    bool is_runtime = false;  ///< The C or C++ library.
    bool has_debug_information = false;
    Symbols objects;   ///< Writable objects, by address.
    Symbols wrappers;  ///< Functions of the C++ library's headers, by address.
    std::atomic<bool> has_locks = false;
    Module* next = nullptr;
};

/// Newest first. Two threads may add the same one; that does no harm.
constinit std::atomic<Module*> modules = nullptr;

uint64_t hash_of(const char* text) {
    uint64_t hash = 0xcbf29ce484222325;
    for (; *text != '\0'; ++text) hash = (hash ^ static_cast<unsigned char>(*text)) * 0x100000001b3;
    return hash;
}

bool is_runtime_library(const char* path) {
    const char* const slash = std::strrchr(path, '/');
    const std::string_view name = slash == nullptr ? path : slash + 1;
    for (const std::string_view known : {"libc.so.", "libstdc++.so.", "libc++.so.", "libc++abi.so.",
                                         "libpthread.so.", "libgcc_s.so."})
        if (name.starts_with(known)) return true;
    return false;
}

/// Mangled: in namespace std or __gnu_cxx, or of GCC's layer between threads and pthread.
bool is_wrapper_name(std::string_view name) {
    for (const std::string_view prefix :
         {"_ZNSt", "_ZNKSt", "_ZSt", "_ZN9__gnu_cxx", "_ZNK9__gnu_cxx"})
        if (name.starts_with(prefix)) return true;
    return name.find("__gthread_") != std::string_view::npos;
}

/// A file in memory, for reading.
class MappedFile {
  public:
    explicit MappedFile(const char* path) {
        const int fd = open_file(path, O_RDONLY);
        if (fd < 0) return;
        struct stat status{};
        if (raw_call(SYS_newfstatat, fd, as_word(""), reinterpret_cast<long>(&status),
                     AT_EMPTY_PATH) == 0 &&
            S_ISREG(status.st_mode) && status.st_size >= static_cast<off_t>(sizeof(ElfW(Ehdr)))) {
            const long at = raw_call(SYS_mmap, 0, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (at > 0) {
                data_ = reinterpret_cast<const char*>(at);
                size_ = static_cast<size_t>(status.st_size);
            }
        }
        close_file(fd);
    }
    ~MappedFile() {
        if (data_ != nullptr) unmap_pages(const_cast<char*>(data_), size_);
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    /// `count` things at `offset`; nullptr: they are not all in the file.
    template <typename T>
    const T* at(uint64_t offset, uint64_t count) const {
        if (data_ == nullptr || offset > size_ || count > (size_ - offset) / sizeof(T))
            return nullptr;
        if (offset % alignof(T) != 0) return nullptr;
        return reinterpret_cast<const T*>(data_ + offset);
    }

  private:
    const char* data_ = nullptr;
    size_t size_ = 0;
};

/// A file's symbol table.
struct SymbolTable {
    const ElfW(Sym) * symbols = nullptr;
    size_t count = 0;
    const char* names = nullptr;
    size_t names_bytes = 0;
    const ElfW(Shdr) * sections = nullptr;
    size_t section_count = 0;

    std::string_view name(const ElfW(Sym) & symbol) const {
        if (symbol.st_name >= names_bytes) return {};
        const char* const text = names + symbol.st_name;
        return {text, strnlen(text, names_bytes - symbol.st_name)};
    }
    bool is_object(const ElfW(Sym) & symbol) const {
        return ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_size >= object_bytes_min &&
               symbol.st_shndx != SHN_UNDEF && symbol.st_shndx < section_count &&
               (sections[symbol.st_shndx].sh_flags & SHF_WRITE) != 0;
    }
    bool is_wrapper(const ElfW(Sym) & symbol) const {
        return ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size > 0 &&
               symbol.st_shndx != SHN_UNDEF && is_wrapper_name(name(symbol));
    }
};

/// Is this file what was loaded at `begin`? (Another one may be at that path by now.)
bool is_same_file(const ElfW(Ehdr) & header, uintptr_t begin) {
    return std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           std::memcmp(&header, reinterpret_cast<const void*>(begin), sizeof header) == 0;
}

bool read_symbol_table(const MappedFile& file, uintptr_t begin, SymbolTable& table) {
    const auto* const header = file.at<ElfW(Ehdr)>(0, 1);
    if (header == nullptr || !is_same_file(*header, begin)) return false;
    if (header->e_shentsize != sizeof(ElfW(Shdr))) return false;
    table.sections = file.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
    if (table.sections == nullptr) return false;
    table.section_count = header->e_shnum;
    const ElfW(Shdr)* chosen = nullptr;
    for (size_t i = 0; i < table.section_count; ++i) {
        const ElfW(Shdr)& section = table.sections[i];
        if (section.sh_type == SHT_SYMTAB) chosen = &section;
        if (section.sh_type == SHT_DYNSYM && chosen == nullptr) chosen = &section;
    }
    if (chosen == nullptr || chosen->sh_link >= table.section_count) return false;
    const ElfW(Shdr)& names = table.sections[chosen->sh_link];
    table.count = chosen->sh_size / sizeof(ElfW(Sym));
    table.symbols = file.at<ElfW(Sym)>(chosen->sh_offset, table.count);
    table.names_bytes = names.sh_size;
    table.names = file.at<char>(names.sh_offset, names.sh_size);
    return table.symbols != nullptr && table.names != nullptr;
}

/// A file's name in pieces; what does not fit makes it one of no file.
class Path {
  public:
    Path& add(std::string_view piece) {
        if (piece.size() >= sizeof text_ - size_) piece = {};
        std::memcpy(text_ + size_, piece.data(), piece.size());
        size_ += piece.size();
        return *this;
    }
    bool is_readable() const {
        return raw_call(SYS_faccessat, AT_FDCWD, as_word(text_), R_OK) == 0;
    }

  private:
    size_t size_ = 0;
    char text_[1024] = {};
};

/// Is there a file of its own with the debug information of the file with this build id?
bool is_debug_file_installed(std::string_view note) {
    // Sizes of name and contents, a kind, the name "GNU", the build id.
    constexpr size_t header_bytes = 16;
    if (note.size() <= header_bytes) return false;
    constexpr const char* digits = "0123456789abcdef";
    Path path;
    path.add("/usr/lib/debug/.build-id/");
    for (size_t i = header_bytes; i < note.size(); ++i) {
        const auto byte = static_cast<unsigned char>(note[i]);
        const char pair[] = {digits[byte >> 4], digits[byte & 15], '/'};
        path.add({pair, i == header_bytes ? size_t{3} : size_t{2}});
    }
    return path.add(".debug").is_readable();
}

/// Is the debug file `name` of the module at `path` where debuggers look for it?
bool is_debug_file_beside(std::string_view path, std::string_view name) {
    const std::string_view folder = path.substr(0, path.rfind('/') + 1);
    for (const auto& [before, between] :
         {std::pair<const char*, const char*>{"", ""}, {"", ".debug/"}, {"/usr/lib/debug", ""}}) {
        Path file;
        if (file.add(before).add(folder).add(between).add(name).is_readable()) return true;
    }
    return false;
}

/// May the types of what is in this file be known?
bool has_debug_information(const MappedFile& file, const char* path) {
    const auto* const header = file.at<ElfW(Ehdr)>(0, 1);
    if (header == nullptr || header->e_shstrndx >= header->e_shnum) return false;
    const auto* const sections = file.at<ElfW(Shdr)>(header->e_shoff, header->e_shnum);
    if (sections == nullptr) return false;
    const ElfW(Shdr)& names = sections[header->e_shstrndx];
    const char* const texts = file.at<char>(names.sh_offset, names.sh_size);
    for (size_t i = 0; texts != nullptr && i < header->e_shnum; ++i) {
        const ElfW(Shdr)& section = sections[i];
        if (section.sh_name >= names.sh_size) continue;
        const std::string_view name(
            texts + section.sh_name,
            strnlen(texts + section.sh_name, names.sh_size - section.sh_name));
        if (name == ".debug_info" || name == ".zdebug_info") return true;
        const bool is_note = name == ".note.gnu.build-id";
        if (!is_note && name != ".gnu_debuglink") continue;
        const char* const data = file.at<char>(section.sh_offset, section.sh_size);
        if (data == nullptr) continue;
        const std::string_view text(data, section.sh_size);
        if (is_note ? is_debug_file_installed(text)
                    : is_debug_file_beside(path, text.substr(0, text.find('\0'))))
            return true;
    }
    return false;
}

template <typename Wanted>
Symbols take_symbols(const SymbolTable& table, uintptr_t bias, bool with_names, Wanted wanted) {
    size_t count = 0;
    size_t name_bytes = 0;
    for (size_t i = 0; i < table.count; ++i) {
        if (!wanted(table.symbols[i])) continue;
        ++count;
        if (with_names) name_bytes += table.name(table.symbols[i]).size() + 1;
    }
    if (count == 0) return {};
    const size_t bytes = count * sizeof(Symbol) + name_bytes;
    void* const pages = map_pages((bytes + page_bytes - 1) / page_bytes * page_bytes);
    if (pages == nullptr) return {};
    Symbols taken{.all = static_cast<Symbol*>(pages)};
    char* next_name = reinterpret_cast<char*>(taken.all + count);
    for (size_t i = 0; i < table.count; ++i) {
        const ElfW(Sym)& symbol = table.symbols[i];
        if (!wanted(symbol)) continue;
        Symbol& mine = taken.all[taken.count++];
        mine = {.begin = bias + symbol.st_value, .bytes = symbol.st_size};
        if (!with_names) continue;
        const std::string_view name = table.name(symbol);
        mine.name = next_name;
        std::memcpy(next_name, name.data(), name.size());
        next_name += name.size() + 1;
    }
    std::sort(taken.all, taken.all + taken.count,
              [](const Symbol& a, const Symbol& b) { return a.begin < b.begin; });
    return taken;
}

Module* load_module(const dl_find_object& found, uint64_t name_hash) {
    auto* const pages = map_pages(page_bytes);
    if (pages == nullptr) return nullptr;
    auto* const module = ::new (pages) Module;
    const link_map& map = *found.dlfo_link_map;
    module->link_map = &map;
    module->begin = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
    module->end = reinterpret_cast<uintptr_t>(found.dlfo_map_end);
    module->name_hash = name_hash;
    module->is_runtime = is_runtime_library(map.l_name);
    const MappedFile file(map.l_name[0] == '\0' ? "/proc/self/exe" : map.l_name);
    if (!module->is_runtime)
        module->has_debug_information = has_debug_information(file, map.l_name);
    SymbolTable table;
    if (read_symbol_table(file, module->begin, table)) {
        module->objects = take_symbols(table, map.l_addr, true, [&](const ElfW(Sym) & symbol) {
            return table.is_object(symbol);
        });
        if (!module->is_runtime)
            module->wrappers =
                take_symbols(table, map.l_addr, false,
                             [&](const ElfW(Sym) & symbol) { return table.is_wrapper(symbol); });
    }
    Module* first = modules.load(std::memory_order_acquire);
    do module->next = first;
    while (!modules.compare_exchange_weak(first, module, std::memory_order_acq_rel));
    return module;
}

Module* module_at(uintptr_t address) {
    dl_find_object found{};
    if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) return nullptr;
    const auto begin = reinterpret_cast<uintptr_t>(found.dlfo_map_start);
    const uint64_t name_hash = hash_of(found.dlfo_link_map->l_name);
    for (Module* known = modules.load(std::memory_order_acquire); known != nullptr;
         known = known->next)
        if (known->begin == begin && known->link_map == found.dlfo_link_map &&
            known->name_hash == name_hash) {
            return known;
        }
    return load_module(found, name_hash);
}

}  // namespace

bool find_static_object(const void* address, StaticObject& object) {
    const auto place = reinterpret_cast<uintptr_t>(address);
    Module* const module = module_at(place);
    if (module == nullptr) return false;
    module->has_locks.store(true, std::memory_order_relaxed);
    object = {};
    if (const Symbol* const symbol = module->objects.covering(place))
        object = {.name = symbol->name, .begin = symbol->begin, .bytes = symbol->bytes};
    return true;
}

bool is_in_module(uintptr_t address) {
    dl_find_object found{};
    return _dl_find_object(reinterpret_cast<void*>(address), &found) == 0;
}

bool may_know_types(uintptr_t address) {
    const Module* const module = module_at(address);
    return module != nullptr && module->has_debug_information;
}

bool is_wrapper_code(uintptr_t address) {
    const Module* const module = module_at(address - 1);
    if (module == nullptr) return false;
    return module->is_runtime || module->wrappers.covering(address - 1) != nullptr;
}

bool is_header_code(uintptr_t address) {
    const Module* const module = module_at(address - 1);
    return module != nullptr && !module->is_runtime &&
           module->wrappers.covering(address - 1) != nullptr;
}

LoadedModules::LoadedModules() {
    for (const Module* known = modules.load(std::memory_order_acquire); known != nullptr;
         known = known->next) {
        if (count_ == modules_max) return;
        if (!known->has_locks.load(std::memory_order_relaxed)) continue;
        modules_[count_] = {known->link_map, known->begin, known->end};
        if (is_loaded(count_)) ++count_;
    }
}

bool LoadedModules::is_loaded(size_t index) const {
    dl_find_object found{};
    return _dl_find_object(reinterpret_cast<void*>(modules_[index].begin), &found) == 0 &&
           found.dlfo_link_map == modules_[index].link_map;
}

}  // namespace braidway::lockcheck
