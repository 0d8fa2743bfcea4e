// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/lock_members.h"

#include <dwarf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

using namespace std::string_view_literals;

constexpr std::array lock_names{"pthread_mutex_t"sv,
                                "pthread_rwlock_t"sv,
                                "pthread_spinlock_t"sv,
                                "pthread_cond_t"sv,
                                "pthread_barrier_t"sv,
                                "sem_t"sv,
                                "mtx_t"sv,
                                "cnd_t"sv};

/// What a class is called that is a lock, rather than has one.
constexpr std::array lock_words{"mutex"sv, "lock"sv,    "semaphore"sv, "latch"sv,    "barrier"sv,
                                "futex"sv, "monitor"sv, "critical"sv,  "condition"sv};
/// What such a class calls taking and giving back.
constexpr std::array taking_words{"lock"sv, "Lock"sv,  "acquire"sv, "Acquire"sv,
                                  "take"sv, "enter"sv, "Enter"sv,   "wait"sv};
constexpr std::array giving_words{"unlock"sv, "Unlock"sv, "release"sv, "Release"sv,
                                  "give"sv,   "leave"sv,  "Leave"sv,   "post"sv};

/// The C++ library's locks; their own members are nobody's business.
constexpr std::array library_locks{
    "mutex"sv,        "recursive_mutex"sv,    "timed_mutex"sv,        "recursive_timed_mutex"sv,
    "shared_mutex"sv, "shared_timed_mutex"sv, "condition_variable"sv, "condition_variable_any"sv};

/// One structure on the way to the lock, and the member by which the way goes on.
struct Step {
    Dwarf_Die structure{};
    bool own = false;  ///< The program's, not the C++ library's.
    std::string member;
    bool is_base = false;
    bool is_element = false;  ///< The next structure is an element of the member, an array.
};
using Way = std::vector<Step>;

bool is_lock_name(const std::string& name) {
    return std::ranges::find(lock_names, name) != lock_names.end();
}

/// Whether some typedef of this type, or it itself, is a lock of pthreads or C11.
bool is_native_lock(Dwarf_Die type) {
    for (int depth = 0; depth < limits::lockcheck_type_depth_max; ++depth) {
        if (is_lock_name(entry_name(type))) return true;
        const int tag = tag_of(type);
        if (tag != DW_TAG_typedef && tag != DW_TAG_const_type && tag != DW_TAG_volatile_type)
            return false;
        const std::optional<Dwarf_Die> next = entry_type(type);
        if (!next) return false;
        type = *next;
    }
    return false;
}

/// The room for a T in nodes of the library's containers, which itself is nothing but bytes.
bool is_room_for_value(const std::string& name) {
    return name.starts_with("__aligned_membuf<") || name.starts_with("__aligned_buffer<");
}

class LockFinder {
  public:
    LockFinder(DebugUnits& units, uint64_t lock_bytes) : units_(units), lock_bytes_(lock_bytes) {}

    /// Finds the lock, with the way to it. More than one way is none.
    bool find(Dwarf_Die type, uint64_t offset, Way& way, int depth = 0) {
        if (depth > limits::lockcheck_type_depth_max || --types_left_ < 0) return false;
        if (is_native_lock(type)) return offset == 0 && size_of(type) == lock_bytes_;
        const std::optional<Dwarf_Die> bare = bare_type(type);
        if (!bare) return false;
        if (tag_of(*bare) == DW_TAG_array_type) return find_in_array(*bare, offset, way, depth);
        if (!is_structure(*bare)) return false;
        const std::optional<Dwarf_Die> structure = units_.complete(*bare);
        return structure && find_in_structure(*structure, offset, way, depth);
    }

  private:
    bool find_in_array(Dwarf_Die array, uint64_t offset, Way& way, int depth) {
        const std::optional<Dwarf_Die> element = entry_type(array);
        const std::optional<uint64_t> bytes = element ? size_of(*element) : std::nullopt;
        if (!bytes || *bytes == 0) return false;
        if (!way.empty() && is_lock_type(units_, *element))
            // Which one it is is what they are told apart by.
            way.back().member += fmt::format("[{}]", offset / *bytes);
        else if (!way.empty())
            way.back().is_element = true;
        return find(*element, offset % *bytes, way, depth + 1);
    }

    bool find_in_structure(Dwarf_Die structure, uint64_t offset, Way& way, int depth) {
        const bool own = !units_.is_of_library(structure);
        if (!own && is_room_for_value(entry_name(structure))) {
            const std::optional<Dwarf_Die> value = template_type(structure);
            return value && find(*value, offset, way, depth + 1);
        }
        // What the program keeps in turns in one place may be another lock each time.
        if (own && tag_of(structure) == DW_TAG_union_type) return false;
        std::optional<Way> found;
        for (Dwarf_Die member : children(structure)) {
            const int tag = tag_of(member);
            if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
            if (tag == DW_TAG_member && dwarf_hasattr(&member, DW_AT_external)) continue;
            const uint64_t at = entry_number(member, DW_AT_data_member_location).value_or(0);
            const std::optional<Dwarf_Die> type = entry_type(member);
            const std::optional<uint64_t> bytes = type ? size_of(*type) : std::nullopt;
            if (!bytes || offset < at || offset - at >= *bytes) continue;
            Way longer = way;
            longer.push_back({.structure = structure,
                              .own = own,
                              .member = tag == DW_TAG_member ? entry_name(member) : "",
                              .is_base = tag == DW_TAG_inheritance});
            if (!find(*type, offset - at, longer, depth + 1)) continue;
            if (found) return false;
            found = std::move(longer);
        }
        if (!found) return false;
        way = std::move(*found);
        return true;
    }

    DebugUnits& units_;
    uint64_t lock_bytes_;
    int types_left_ = limits::lockcheck_types_looked_at_max;
};

/// Collects what lock_offsets() returns.
class LockLister {
  public:
    LockLister(DebugUnits& units, uint64_t lock_bytes) : units_(units), lock_bytes_(lock_bytes) {}

    void list(Dwarf_Die type, uint64_t at, int depth = 0) {
        if (depth > limits::lockcheck_type_depth_max || --types_left_ < 0) return;
        if (is_native_lock(type)) {
            if (size_of(type) == lock_bytes_) found.push_back(at);
            return;
        }
        std::optional<Dwarf_Die> bare = bare_type(type);
        if (!bare) return;
        if (tag_of(*bare) == DW_TAG_array_type) {
            const std::optional<Dwarf_Die> element = entry_type(*bare);
            const uint64_t bytes = element ? size_of(*element).value_or(0) : 0;
            const uint64_t count = bytes == 0 ? 0 : size_of(*bare).value_or(0) / bytes;
            for (uint64_t i = 0; i < std::min(count, limits::lockcheck_type_elements_max); ++i)
                list(*element, at + i * bytes, depth + 1);
            return;
        }
        if (is_structure(*bare)) bare = units_.complete(*bare);
        if (!bare || !is_structure(*bare)) return;
        for (Dwarf_Die member : children(*bare)) {
            const int tag = tag_of(member);
            if (tag != DW_TAG_member && tag != DW_TAG_inheritance) continue;
            if (tag == DW_TAG_member && dwarf_hasattr(&member, DW_AT_external)) continue;
            const std::optional<Dwarf_Die> member_type = entry_type(member);
            if (!member_type) continue;
            list(*member_type, at + entry_number(member, DW_AT_data_member_location).value_or(0),
                 depth + 1);
        }
    }

    std::vector<uint64_t> found;

  private:
    DebugUnits& units_;
    uint64_t lock_bytes_;
    int types_left_ = limits::lockcheck_types_looked_at_max;
};

/// Whether a class is called a lock: "SpinLock", but not "Block" or "clock". A big one is one only
/// when its name ends so.
bool has_name_of_lock(const std::string& name, bool is_big) {
    std::string lower;
    for (const char letter : name.substr(0, name.find('<')))
        lower += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    if (lower.ends_with("_t") || lower.ends_with("_s")) lower.resize(lower.size() - 2);
    for (const std::string_view word : lock_words)
        for (size_t at = lower.find(word); at != std::string::npos; at = lower.find(word, at + 1)) {
            if (is_big && at + word.size() != lower.size()) continue;
            const char before = at == 0 ? '_' : lower[at - 1];
            if (word != "lock" || (before != 'b' && before != 'c')) return true;
        }
    return false;
}

/// Whether it is a destructor, the constructor without arguments, or deleted. Names of templates'
/// constructors may have the arguments.
bool is_making(Dwarf_Die function, const std::string& class_name) {
    if (dwarf_hasattr(&function, DW_AT_deleted)) return true;
    const std::string name = entry_name(function);
    if (name.starts_with('~')) return true;
    if (name.substr(0, name.find('<')) != class_name.substr(0, class_name.find('<'))) return false;
    for (Dwarf_Die each : children(function))
        if (tag_of(each) == DW_TAG_formal_parameter && !dwarf_hasattr(&each, DW_AT_artificial))
            return false;
    return true;
}

/// Whether the only member that the class has is a class of the C++ library's.
bool has_only_library_class(DebugUnits& units, Dwarf_Die structure) {
    int count = 0;
    bool of_library = false;
    for (Dwarf_Die each : children(structure)) {
        const int tag = tag_of(each);
        if (tag == DW_TAG_inheritance) return false;
        if (tag != DW_TAG_member || dwarf_hasattr(&each, DW_AT_external)) continue;
        const std::optional<Dwarf_Die> type = entry_type(each);
        const std::optional<Dwarf_Die> bare = type ? bare_type(*type) : std::nullopt;
        of_library = bare && is_structure(*bare) && units.is_of_library(*bare);
        ++count;
    }
    return count == 1 && of_library;
}

/// Whether a class makes a lock of another kind of the one in it, so that its users' locks are
/// not of one class.
bool is_lock_itself(DebugUnits& units, Dwarf_Die structure, uint64_t lock_bytes) {
    const uint64_t bytes = size_of(structure).value_or(0);
    if (has_name_of_lock(entry_name(structure),
                         bytes > lock_bytes + limits::lockcheck_lock_extra_bytes_max))
        return true;
    bool locks = false;
    bool unlocks = false;
    bool has_functions = false;
    const std::string own_name = entry_name(structure);
    // The C++ library's locks need nobody who makes and destroys them: a class that does so with
    // one of pthread's is a lock of another make, one with these and std::mutex does other things.
    const bool is_ready_made = has_only_library_class(units, structure);
    for (Dwarf_Die each : children(structure)) {
        if (tag_of(each) != DW_TAG_subprogram || dwarf_hasattr(&each, DW_AT_artificial)) continue;
        const std::string name = entry_name(each);
        if (is_ready_made && is_making(each, own_name)) continue;
        has_functions = true;
        locks |= std::ranges::find(taking_words, name) != taking_words.end();
        unlocks |= std::ranges::find(giving_words, name) != giving_words.end();
    }
    return (locks && unlocks) || (has_functions && bytes <= lock_bytes);
}

/// How many parts of the type of `part` a structure has, up to 2; elements of an array are one.
int count_parts(Dwarf_Die structure, Dwarf_Die part, int depth = 0) {
    int count = 0;
    for (Dwarf_Die each : children(structure)) {
        if (tag_of(each) != DW_TAG_member && tag_of(each) != DW_TAG_inheritance) continue;
        const std::optional<Dwarf_Die> type = entry_type(each);
        const std::optional<Dwarf_Die> bare = type ? bare_type(*type) : std::nullopt;
        if (!bare) continue;
        if (bare->addr == part.addr)
            ++count;
        else if (is_structure(*bare) && depth < limits::lockcheck_type_parts_depth_max)
            count += count_parts(*bare, part, depth + 1);
        if (count > 1) return 2;
    }
    return count;
}

/// The structure that the lock's class is named after: its place in the way, or nothing.
std::optional<size_t> owner_in(DebugUnits& units, const Way& way, uint64_t lock_bytes) {
    std::optional<size_t> owner;
    size_t whole = 0;  ///< The structure of which this is a part and no element.
    for (size_t i = 0; i < way.size(); ++i) {
        const Step& step = way[i];
        if (!step.own) continue;
        if (is_lock_itself(units, step.structure, lock_bytes)) break;
        const Step* const around = i == 0 ? nullptr : &way[i - 1];
        if (around != nullptr && around->is_element) whole = i;
        if (owner && *owner + 1 == i && !around->is_element) {
            // Without a name of its own it is a part of the one around it.
            if (entry_name(step.structure).empty()) continue;
            if (count_parts(way[whole].structure, step.structure) > 1) continue;
            // A base that is nothing but a lock says nothing of what it is a base of.
            if (around->is_base && size_of(step.structure).value_or(0) <= lock_bytes + 8) continue;
        }
        owner = i;
    }
    return owner;
}

LockMember named(DebugUnits& units, const Way& way, uint64_t lock_bytes) {
    const std::optional<size_t> owner = owner_in(units, way, lock_bytes);
    if (!owner) return {};
    const Dwarf_Die structure = way[*owner].structure;
    const std::string place = declared_at(structure);
    if (place.empty()) return {};
    std::string path;
    for (size_t i = *owner; i < way.size(); ++i) {
        const std::string type = entry_name(way[i].structure);
        if (!way[i].own && std::ranges::find(library_locks, type) != library_locks.end()) break;
        const bool by_base = way[i].is_base && i + 1 < way.size();
        const std::string name = by_base ? entry_name(way[i + 1].structure) : way[i].member;
        path += (path.empty() || name.empty() ? "" : ".") + name;
    }
    return {fmt::format("{} ({})::{}", units.qualified_name(structure), place, path)};
}

}  // namespace

std::optional<LockMember> lock_member(DebugUnits& units, Dwarf_Die type, uint64_t offset,
                                      uint64_t lock_bytes) {
    Way way;
    if (!LockFinder(units, lock_bytes).find(type, offset, way)) return std::nullopt;
    return named(units, way, lock_bytes);
}

bool is_lock_type(DebugUnits& units, Dwarf_Die type) {
    if (is_native_lock(type)) return true;
    const std::optional<Dwarf_Die> bare = bare_type(type);
    if (!bare || !is_structure(*bare)) return false;
    const std::optional<Dwarf_Die> structure = units.complete(*bare);
    if (!structure) return false;
    if (is_native_lock(*structure)) return true;
    const bool own = !units.is_of_library(*structure);
    for (const uint64_t bytes : {40u, 56u, 48u, 4u}) {
        Way way;
        if (LockFinder(units, bytes).find(*structure, 0, way))
            return own ? is_lock_itself(units, *structure, bytes)
                       : std::ranges::find(library_locks, entry_name(*structure)) !=
                             library_locks.end();
    }
    return false;
}

std::vector<uint64_t> lock_offsets(DebugUnits& units, Dwarf_Die type, uint64_t lock_bytes) {
    LockLister lister(units, lock_bytes);
    lister.list(type, 0);
    return std::move(lister.found);
}

bool is_polymorphic(Dwarf_Die type, int depth) {
    const std::optional<Dwarf_Die> bare = bare_type(type);
    if (!bare || depth > limits::lockcheck_type_depth_max) return false;
    for (Dwarf_Die each : children(*bare)) {
        const int tag = tag_of(each);
        if (tag == DW_TAG_member && entry_name(each).starts_with("_vptr")) return true;
        if (tag != DW_TAG_inheritance) continue;
        const std::optional<Dwarf_Die> base = entry_type(each);
        if (base && is_polymorphic(*base, depth + 1)) return true;
    }
    return false;
}

}  // namespace braidway::lockcheck
