// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/settings.h"

#include <dlfcn.h>
#include <link.h>

#include <charconv>
#include <cstring>
#include <string_view>

#include "apps/lockcheck/preload/raw_calls.h"

namespace braidway::lockcheck {

constinit Settings settings{};

namespace {

constexpr std::string_view preload_name = "LD_PRELOAD=";
constexpr std::string_view own_prefix = "LOCKCHECK_";

/// A copy of a list of texts in pages of its own; nullptr without memory.
char** copy_texts(char* const* texts, size_t count) {
    size_t bytes = (count + 1) * sizeof(char*);
    for (size_t i = 0; i < count; ++i) bytes += std::strlen(texts[i]) + 1;
    auto* const copy = static_cast<char**>(map_pages(bytes));
    if (copy == nullptr) return nullptr;
    char* at = reinterpret_cast<char*>(copy + count + 1);
    for (size_t i = 0; i < count; ++i) {
        const size_t length = std::strlen(texts[i]) + 1;
        std::memcpy(at, texts[i], length);
        copy[i] = at;
        at += length;
    }
    return copy;
}

size_t count_of(char* const* texts) {
    size_t count = 0;
    while (texts != nullptr && texts[count] != nullptr) ++count;
    return count;
}

uint64_t number_in(char* const* environment, const char* name, uint64_t otherwise) {
    const char* const text = value_in(environment, name);
    if (text == nullptr) return otherwise;
    uint64_t number = otherwise;
    const char* const end = text + std::strlen(text);
    const auto [stopped, error] = std::from_chars(text, end, number);
    return error == std::errc{} && stopped == end ? number : otherwise;
}

bool says_yes(const char* text) {
    return text != nullptr && std::strcmp(text, "0") != 0 && *text != '\0';
}

/// Where this library was loaded from.
const char* path_of_this_library() {
    dl_find_object found{};
    if (_dl_find_object(reinterpret_cast<void*>(&path_of_this_library), &found) != 0)
        return nullptr;
    return found.dlfo_link_map->l_name;
}

const char* path_of_program() {
    constexpr size_t bytes = 4096;
    auto* const path = static_cast<char*>(map_pages(bytes));
    if (path == nullptr) return "?";
    const long length =
        raw_call(SYS_readlinkat, AT_FDCWD, as_word("/proc/self/exe"), as_word(path), bytes - 1);
    return length > 0 ? path : "?";
}

/// The name's length with its "=", or 0.
size_t name_bytes(const char* entry) {
    const char* const equals = std::strchr(entry, '=');
    return equals == nullptr ? 0 : static_cast<size_t>(equals - entry) + 1;
}

bool has_entry(char* const* environment, std::string_view name_and_equals) {
    for (; *environment != nullptr; ++environment)
        if (std::string_view(*environment).starts_with(name_and_equals)) return true;
    return false;
}

/// Is this library in a list of LD_PRELOAD?
bool lists_this_library(const char* list) {
    if (list == nullptr || settings.preload == nullptr) return false;
    return std::strstr(list, settings.preload) != nullptr;
}

/// An empty list for programs that pass no environment at all.
char* const no_entries[] = {nullptr};

}  // namespace

const char* value_in(char* const* environment, const char* name) {
    const size_t length = std::strlen(name);
    for (; environment != nullptr && *environment != nullptr; ++environment) {
        if (std::strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    }
    return nullptr;
}

void read_settings(int argument_count, char** arguments, char** environment) {
    char** const kept = copy_texts(environment, count_of(environment));
    settings.environment = kept;
    settings.arguments = copy_texts(arguments, static_cast<size_t>(argument_count));
    settings.argument_count = settings.arguments == nullptr ? 0 : argument_count;
    settings.root = static_cast<int>(number_in(kept, "LOCKCHECK_ROOT", 0));
    settings.renderer = value_in(kept, "LOCKCHECK_RENDERER");
    settings.json = value_in(kept, "LOCKCHECK_JSON");
    settings.state = value_in(kept, "LOCKCHECK_STATE");
    settings.exit_status = static_cast<int>(number_in(kept, "LOCKCHECK_EXIT_STATUS", 66));
    const char* const on_hang = value_in(kept, "LOCKCHECK_ON_HANG");
    settings.hang_exits = on_hang == nullptr || std::strcmp(on_hang, "report") != 0;
    settings.hang_after_ms = number_in(kept, "LOCKCHECK_HANG_AFTER_MS", 3000);
    settings.assume_writers = says_yes(value_in(kept, "LOCKCHECK_ASSUME_WRITERS"));
    settings.quiet = says_yes(value_in(kept, "LOCKCHECK_QUIET"));
    settings.has_suppressions = says_yes(value_in(kept, "LOCKCHECK_SUPPRESSIONS"));
    settings.preload = path_of_this_library();
    settings.program = path_of_program();
}

bool keeps_watch(char* const* environment) {
    if (environment == nullptr) environment = no_entries;
    if (!lists_this_library(value_in(environment, "LD_PRELOAD")))
        return settings.preload == nullptr;
    for (char* const* own = settings.environment; own != nullptr && *own != nullptr; ++own) {
        const std::string_view entry = *own;
        if (entry.starts_with(own_prefix) &&
            !has_entry(environment, entry.substr(0, name_bytes(*own)))) {
            return false;
        }
    }
    return true;
}

EnvironmentRoom room_for(char* const* environment) {
    EnvironmentRoom room;
    room.entries = count_of(environment) + count_of(settings.environment) + 2;
    const char* const list = value_in(environment, "LD_PRELOAD");
    room.bytes = preload_name.size() + std::strlen(settings.preload) + 2 +
                 (list == nullptr ? 0 : std::strlen(list));
    return room;
}

void kept_environment(char* const* environment, char** entries, char* text) {
    if (environment == nullptr) environment = no_entries;
    const char* const list = value_in(environment, "LD_PRELOAD");
    char* at = static_cast<char*>(mempcpy(text, preload_name.data(), preload_name.size()));
    at = stpcpy(at, settings.preload);
    if (list != nullptr && *list != '\0') {
        *at++ = ':';
        stpcpy(at, list);
    }
    const bool listed = lists_this_library(list);
    for (char* const* entry = environment; *entry != nullptr; ++entry) {
        const bool is_list = std::string_view(*entry).starts_with(preload_name);
        if (listed || !is_list) *entries++ = *entry;
    }
    if (!listed) *entries++ = text;
    for (char* const* own = settings.environment; own != nullptr && *own != nullptr; ++own) {
        const std::string_view entry = *own;
        if (entry.starts_with(own_prefix) &&
            !has_entry(environment, entry.substr(0, name_bytes(*own)))) {
            *entries++ = *own;
        }
    }
    *entries = nullptr;
}

}  // namespace braidway::lockcheck
