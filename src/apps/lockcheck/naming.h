// SPDX-License-Identifier: Apache-2.0
// How places in code and locks are called in what people read.
#pragma once

#include <string>
#include <string_view>

#include "apps/lockcheck/document.h"

namespace braidway::lockcheck {

/// A function's name without parameters, template arguments and return type:
/// "Map<int>::put(int)" is "Map::put".
std::string short_function(std::string_view function);

/// The part of a path behind its last slash.
std::string_view file_name(std::string_view path);

/// Whether a file or a function is of the C or C++ library, the dynamic linker or this tool: its
/// users see their own code as the place of a finding.
bool is_library(const Frame& frame);

/// Whether the frame lies in lockcheck's own runtime.
bool is_own(const Frame& frame);

/// Takes lockcheck's own frames out and marks those of libraries.
void mark_libraries(Stack& stack);

/// The frame that its reader would name as the place: the innermost one that is not a library's,
/// else the innermost; null for an empty stack.
const Frame* site(const Stack& stack);

/// "deposit (bank.c:12)", or as much of it as is known: "libfoo.so+0x1139". For sentences.
std::string short_place(const Frame& frame);

/// short_place() of the site, or "an unknown place".
std::string short_place(const Stack& stack);

/// "deposit(int) (/src/bank.c:12)": with the whole path and parameters. For stacks.
std::string full_place(const Frame& frame);

/// What to call a lock of `finding` in a sentence: its name, with a letter where two have the same
/// one ("pool.lock (B)"), "mutex A" where it has none, and "a lock" where there is none.
std::string lock_word(const Finding& finding, std::optional<uint64_t> index);

/// Where a lock is and who made it: "mutex at byte 40 of an 80-byte block made in make_pair
/// (pair.c:12)", "mutex on the stack of thread 2, made in ...", "static mutex".
std::string describe(const Lock& lock);

/// "thread 2 \"worker\"".
std::string thread_word(const Chain& chain);

}  // namespace braidway::lockcheck
