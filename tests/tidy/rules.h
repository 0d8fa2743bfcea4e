// SPDX-License-Identifier: Apache-2.0
// The rules of the house as functions over text. Each message says what to do instead.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace braidway::tidy {

/// One file of the project; `path` is relative to its root: "src/base/units.cc".
struct SourceFile {
    std::string path;
    std::string text;
};

/// One broken rule.
struct Finding {
    std::string path;
    size_t line = 0;  ///< From 1; 0 = the file as a whole.
    std::string message;
};
using Findings = std::vector<Finding>;

/// Which rooms each room may include, itself and base among them. From docs/floors.txt.
using Floors = std::map<std::string, std::set<std::string>, std::less<>>;
Floors parse_floors(std::string_view text);

/// A path that a rule leaves alone, and why.
struct Exemption {
    std::string_view path;
    std::string_view reason;
};

/// A function that was longer than the ratchet allows when it came; it may only get shorter.
struct LongFunction {
    std::string_view path;
    std::string_view name;  ///< As it stands before the parameters.
    size_t lines = 0;
};

inline constexpr size_t function_lines_max = 70;
inline constexpr size_t file_lines_max = 400;

// --- rules that look at one file ---
Findings wrong_floor(const SourceFile& file, const Floors& floors);
/// Public headers, include/braidway/<room>/, are used where there is no src/.
Findings public_header_needs_sources(const SourceFile& file);
Findings own_header_not_first(const SourceFile& file, std::span<const SourceFile> all);
Findings long_functions(const SourceFile& file, std::span<const LongFunction> known);
Findings long_file(const SourceFile& file);
Findings banned_calls(const SourceFile& file);
Findings todo_without_reason(const SourceFile& file);
Findings missing_license(const SourceFile& file);
Findings header_form(const SourceFile& file);
Findings public_type_without_comment(const SourceFile& file);

// --- rules that look at all files; exemptions that are no longer needed are findings too ---
Findings units_without_test(std::span<const SourceFile> all, std::span<const Exemption> exempt);
Findings headers_nobody_includes(std::span<const SourceFile> all,
                                 std::span<const Exemption> exempt);
/// `all` holds the CMakeLists.txt files too.
Findings sources_not_built(std::span<const SourceFile> all);
/// Pages show the programs of docs/examples word for word, each below a comment with its path;
/// but for those in a folder of their own.
Findings examples_not_as_shown(std::span<const SourceFile> pages, std::span<const SourceFile> all);

}  // namespace braidway::tidy
