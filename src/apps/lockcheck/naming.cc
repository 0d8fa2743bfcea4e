// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/naming.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace braidway::lockcheck {
namespace {

using namespace std::string_view_literals;

/// The C library, its parts of old, the C++ libraries and the dynamic linker; also sanitizers.
constexpr std::array library_files{"libc.so"sv,      "libc-"sv,       "libpthread"sv, "librt.so"sv,
                                   "libstdc++.so"sv, "libc++.so"sv,   "libc++abi"sv,  "libgcc_s"sv,
                                   "ld-linux"sv,     "libasan.so"sv,  "libtsan.so"sv, "ld-2."sv,
                                   "libunwind.so"sv, "libubsan.so"sv, "libm.so"sv};
constexpr std::array library_functions{"std::"sv, "__gnu_cxx::"sv, "__gthread_"sv};
// What declares a program's own locks (include/braidway/lockcheck.h) is no place in it either.
constexpr std::array library_folders{"/include/c++/"sv, "/braidway/lockcheck.h"sv};

/// Where the list that opens with the last bracket of `text` begins, `open` and `close` being that
/// kind of bracket.
size_t list_begin(std::string_view text, char open, char close) {
    size_t depth = 0;
    for (size_t at = text.size(); at-- > 0;) {
        if (text[at] == close) ++depth;
        if (text[at] == open && --depth == 0) return at;
    }
    return std::string_view::npos;
}

/// `text` less every <...>. Operators keep their brackets.
std::string without_template_arguments(std::string_view text) {
    std::string out;
    size_t depth = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool of_operator =
            depth == 0 && (out.ends_with("operator") || out.ends_with("operator<") ||
                           out.ends_with("operator-") || out.ends_with("operator>"));
        if (text[at] == '<' && !of_operator)
            ++depth;
        else if (text[at] == '>' && depth > 0)
            --depth;
        else if (depth == 0)
            out += text[at];
    }
    // Brackets that do not match mean that these were not lists.
    return depth == 0 ? out : std::string(text);
}

/// "an" before eight, eleven and eighteen.
std::string_view article(std::string_view number) {
    return number.starts_with('8') || number == "11" || number == "18" ? "an" : "a";
}

std::string made(const Lock& lock, std::string_view before) {
    if (!lock.created) return "";
    // That the library made it says nothing.
    const Frame* const frame = site(lock.created->stack);
    if (frame == nullptr || frame->library) return "";
    return fmt::format("{}made in {}", before, short_place(lock.created->stack));
}

/// Where the lock lies, for one that has no name.
std::string place_of(const Lock& lock) {
    const std::string at = fmt::format("{} at {:#x}", lock.type, lock.address);
    if (lock.place == "heap" && lock.size) {
        const std::string size = fmt::format("{}", *lock.size);
        return fmt::format("{} at byte {} of {} {}-byte block{}", lock.type,
                           lock.offset.value_or(0), article(size), size, made(lock, " "));
    }
    if (lock.place == "heap") return fmt::format("{} on the heap{}", at, made(lock, ", "));
    if (lock.place == "stack" && lock.created)
        return fmt::format("{} on the stack of thread {}{}", lock.type, lock.created->thread,
                           made(lock, ", "));
    if (lock.place == "stack") return fmt::format("{} on a stack", at);
    if (lock.place == "static") {
        if (!lock.module.empty() && lock.module_offset)
            return fmt::format("static {} at {}+{:#x}", lock.type, file_name(lock.module),
                               *lock.module_offset);
        return fmt::format("static {}{}", at, made(lock, ", "));
    }
    if (lock.place == "mapped") return fmt::format("{} in mapped memory{}", at, made(lock, ", "));
    return fmt::format("{}{}", at, made(lock, ", "));
}

}  // namespace

std::string short_function(std::string_view function) {
    std::string_view rest = function;
    for (const std::string_view suffix : {" const"sv, " volatile"sv, " &"sv, " &&"sv})
        if (rest.ends_with(suffix)) rest.remove_suffix(suffix.size());
    // What the compiler split off: "f(int) [clone .cold]".
    if (const size_t clone = rest.find(" [clone"); clone != std::string_view::npos)
        rest = rest.substr(0, clone);
    if (rest.ends_with(')')) {
        const size_t open = list_begin(rest, '(', ')');
        // "(anonymous namespace)" alone, or "f()::{lambda()}" are no lists of parameters.
        if (open != std::string_view::npos && open > 0 && rest[open - 1] != ':')
            rest = rest.substr(0, open);
    }
    if (rest.ends_with("operator")) rest = function.substr(0, rest.size() + 2);
    std::string name = without_template_arguments(rest);
    // A template's function has its return type in front.
    const size_t operator_at = name.find("operator");
    const size_t space = name.find_last_of(' ', operator_at);
    if (space != std::string::npos && name.find("(anonymous") == std::string::npos &&
        name.find("{lambda") == std::string::npos)
        name.erase(0, space + 1);
    return name.empty() ? std::string(function) : name;
}

std::string_view file_name(std::string_view path) {
    const size_t slash = path.find_last_of('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_own(const Frame& frame) {
    return file_name(frame.module).starts_with("liblockcheck.so");
}

bool is_library(const Frame& frame) {
    const std::string_view module = file_name(frame.module);
    const auto in = [](std::string_view text, const auto& list) {
        return std::ranges::any_of(
            list, [text](std::string_view each) { return text.starts_with(each); });
    };
    return in(module, library_files) || in(short_function(frame.function), library_functions) ||
           std::ranges::any_of(library_folders, [&frame](std::string_view folder) {
               return frame.file.find(folder) != std::string::npos;
           });
}

void mark_libraries(Stack& stack) {
    std::erase_if(stack, is_own);
    for (Frame& frame : stack) frame.library = is_library(frame);
}

const Frame* site(const Stack& stack) {
    const auto place = std::ranges::find_if(
        stack, [](const Frame& frame) { return !frame.library && !frame.wrapper; });
    if (place != stack.end()) return &*place;
    const auto found = std::ranges::find(stack, false, &Frame::library);
    if (found != stack.end()) return &*found;
    return stack.empty() ? nullptr : &stack.front();
}

std::string short_place(const Frame& frame) {
    std::string where;
    if (!frame.file.empty()) where = fmt::format("{}:{}", file_name(frame.file), frame.line);
    if (!frame.function.empty()) {
        const std::string name = short_function(frame.function);
        if (!where.empty()) return fmt::format("{} ({})", name, where);
        if (!frame.module.empty()) return fmt::format("{} ({})", name, file_name(frame.module));
        return name;
    }
    if (!where.empty()) return where;
    if (!frame.module.empty() && frame.offset)
        return fmt::format("{}+{:#x}", file_name(frame.module), *frame.offset);
    return fmt::format("{:#x}", frame.address);
}

std::string short_place(const Stack& stack) {
    const Frame* frame = site(stack);
    return frame == nullptr ? "an unknown place" : short_place(*frame);
}

std::string full_place(const Frame& frame) {
    if (frame.function.empty() && frame.file.empty()) {
        if (frame.module.empty()) return fmt::format("{:#x}", frame.address);
        return fmt::format("{}+{:#x}", frame.module, frame.offset.value_or(0));
    }
    const std::string name = frame.function.empty() ? "?" : frame.function;
    if (!frame.file.empty()) return fmt::format("{} ({}:{})", name, frame.file, frame.line);
    if (frame.module.empty()) return name;
    if (!frame.offset) return fmt::format("{} ({})", name, frame.module);
    return fmt::format("{} ({}+{:#x})", name, frame.module, *frame.offset);
}

std::string lock_word(const Finding& finding, std::optional<uint64_t> index) {
    const Lock* lock = finding.lock(index);
    if (lock == nullptr) return "a lock";
    const char letter = static_cast<char>('A' + lock->index % 26);
    if (!lock->name || lock->name->empty()) return fmt::format("{} {}", lock->type, letter);
    const auto same = [lock](const Lock& each) { return each.name == lock->name; };
    if (std::ranges::count_if(finding.locks, same) < 2) return *lock->name;
    return fmt::format("{} ({})", *lock->name, letter);
}

std::string describe(const Lock& lock) {
    if (!lock.name || lock.name->empty()) return place_of(lock);
    if (lock.place == "static") return fmt::format("static {}", lock.type);
    return place_of(lock);
}

std::string thread_word(const Chain& chain) {
    if (chain.thread_name && !chain.thread_name->empty())
        return fmt::format("thread {} \"{}\"", chain.thread, *chain.thread_name);
    return fmt::format("thread {}", chain.thread);
}

}  // namespace braidway::lockcheck
