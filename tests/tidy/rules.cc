// SPDX-License-Identifier: Apache-2.0
#include "tidy/rules.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "tidy/scan.h"

namespace braidway::tidy {
namespace {

bool is_header(std::string_view path) {
    return path.ends_with(".h");
}

bool is_source(std::string_view path) {
    return path.ends_with(".cc");
}

constexpr std::string_view public_root = "include/braidway/";

/// Public headers have a folder for each room. What lies beside the folders is C, and is read by
/// no rule of C++.
bool is_public_header(std::string_view path) {
    return is_header(path) && path.starts_with(public_root) &&
           path.find('/', public_root.size()) != std::string_view::npos;
}

std::string_view without_suffix(std::string_view path) {
    return path.substr(0, path.rfind('.'));
}

/// The room of "src/room/unit.h" and of "include/braidway/room/unit.h", or nothing.
std::optional<std::string_view> room_of(std::string_view path) {
    if (!path.starts_with("src/") && !is_public_header(path)) return std::nullopt;
    path.remove_prefix(path.starts_with("src/") ? 4 : public_root.size());
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    return path.substr(0, slash);
}

/// "room/unit" of "src/room/unit.h" and of "include/braidway/room/unit.h".
std::string unit_of(std::string_view path) {
    const std::string_view root = path.starts_with("src/") ? "src/" : public_root;
    return std::string(without_suffix(path).substr(root.size()));
}

struct Include {
    size_t line;
    std::string_view path;
    bool quoted;
};

std::vector<Include> includes_of(std::string_view text) {
    std::vector<Include> found;
    const auto lines = lines_of(text);
    for (size_t at = 0; at < lines.size(); ++at) {
        std::string_view line = trimmed(lines[at]);
        if (!line.starts_with("#include ")) continue;
        line = trimmed(line.substr(9));
        const size_t end = line.find_first_of("\">", 1);
        if (line.empty() || end == std::string_view::npos) continue;
        found.push_back({at + 1, line.substr(1, end - 1), line.front() == '"'});
    }
    return found;
}

/// The file that `#include "path"` means: public headers lie in include/, all others in src/.
std::string included_file(std::string_view path) {
    return (path.starts_with("braidway/") ? "include/" : "src/") + std::string(path);
}

const SourceFile* find(std::span<const SourceFile> all, std::string_view path) {
    const auto found = std::ranges::find(all, path, &SourceFile::path);
    return found == all.end() ? nullptr : &*found;
}

const Exemption* find(std::span<const Exemption> exempt, std::string_view path) {
    const auto found = std::ranges::find(exempt, path, &Exemption::path);
    return found == exempt.end() ? nullptr : &*found;
}

std::string list_of(const std::set<std::string>& names) {
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
    return list;
}

/// Whether a header does something that a test could find wrong: a function of several lines.
bool has_code(const SourceFile& file) {
    const SplitText halves = split(file.text);
    return std::ranges::any_of(spans_of(halves.code), [](const Span& span) {
        return span.kind == Span::Kind::function && span.lines() >= 4;
    });
}

}  // namespace

Floors parse_floors(std::string_view text) {
    Floors floors;
    for (std::string_view line : lines_of(text)) {
        line = line.substr(0, line.find('#'));
        std::vector<std::string> words;
        while (!(line = trimmed(line)).empty()) {
            const size_t end = std::min(line.find(' '), line.size());
            words.emplace_back(line.substr(0, end));
            line.remove_prefix(end);
        }
        if (words.size() < 2) continue;
        auto& may = floors[words[1]];
        may.insert({"base", words[1]});
        may.insert(words.begin() + 2, words.end());
    }
    return floors;
}

Findings wrong_floor(const SourceFile& file, const Floors& floors) {
    Findings findings;
    const auto room = room_of(file.path);
    if (!room) return findings;
    const auto row = floors.find(*room);
    if (row == floors.end())
        return {{file.path, 0,
                 "the room '" + std::string(*room) +
                     "' has no line in docs/floors.txt; add one that says what it may include"}};
    for (const Include& include : includes_of(file.text)) {
        if (!include.quoted) continue;
        const std::string other(room_of(included_file(include.path)).value_or(""));
        if (!floors.contains(other)) {
            findings.push_back({file.path, include.line,
                                "includes \"" + std::string(include.path) +
                                    "\"; write the path from src/ (\"room/unit.h\") or include/ "
                                    "(\"braidway/room/unit.h\"), and <...> for what is not ours"});
        } else if (!row->second.contains(other)) {
            findings.push_back({file.path, include.line,
                                "'" + row->first + "' may not include '" + other +
                                    "'; it may include " + list_of(row->second) +
                                    " (docs/floors.txt). Move the shared words down to base/, or "
                                    "pass a small interface that daemon/ wires"});
        }
    }
    return findings;
}

Findings public_header_needs_sources(const SourceFile& file) {
    static constexpr std::array<std::string_view, 4> system_folders{"linux/", "sys/", "asm/",
                                                                    "sanitizer/"};
    if (!is_public_header(file.path)) return {};
    Findings findings;
    for (const Include& include : includes_of(file.text)) {
        const bool by_system = include.path.find('/') == std::string_view::npos ||
                               std::ranges::any_of(system_folders, [&](std::string_view folder) {
                                   return include.path.starts_with(folder);
                               });
        if (include.quoted ? include.path.starts_with("braidway/") : by_system) continue;
        findings.push_back({file.path, include.line,
                            "includes '" + std::string(include.path) +
                                "', which is not installed with it; a public header includes "
                                "\"braidway/...\" and <...> of the system only. Declare here what "
                                "it needs and define it in src/"});
    }
    return findings;
}

Findings own_header_not_first(const SourceFile& file, std::span<const SourceFile> all) {
    if (!is_source(file.path) || !file.path.starts_with("src/")) return {};
    const std::string own = unit_of(file.path) + ".h";
    const auto includes = includes_of(file.text);
    std::string missed;
    // A unit may have a public header, one in src/, or both.
    for (const std::string& header : {"braidway/" + own, own}) {
        if (find(all, included_file(header)) == nullptr) continue;
        if (!includes.empty() && includes.front().path == header) return {};
        missed = header;
    }
    if (missed.empty()) return {};
    return {
        {file.path, includes.empty() ? 0 : includes.front().line,
         "include \"" + missed + "\" first, so that this file proves that its header is complete"}};
}

Findings long_functions(const SourceFile& file, std::span<const LongFunction> known) {
    Findings findings;
    // Braces of scripts hold no functions.
    if (!is_header(file.path) && !is_source(file.path)) return findings;
    const SplitText halves = split(file.text);
    const std::vector<Span> spans = spans_of(halves.code);
    for (const Span& span : spans) {
        if (span.kind != Span::Kind::function || span.lines() <= function_lines_max) continue;
        const auto granted = std::ranges::find_if(known, [&](const LongFunction& entry) {
            return entry.path == file.path && span.head.find(entry.name) != std::string::npos;
        });
        const size_t allowed = granted == known.end() ? function_lines_max : granted->lines;
        if (span.lines() <= allowed) continue;
        findings.push_back({file.path, span.first_line,
                            "'" + span.head.substr(0, 60) + "' has " +
                                std::to_string(span.lines()) + " lines, at most " +
                                std::to_string(allowed) +
                                " are allowed; give the parts that have names functions of their "
                                "own"});
    }
    for (const LongFunction& entry : known) {
        if (entry.path != file.path) continue;
        const auto now = std::ranges::find_if(spans, [&](const Span& span) {
            return span.kind == Span::Kind::function &&
                   span.head.find(entry.name) != std::string::npos;
        });
        if (now == spans.end() || now->lines() < entry.lines)
            findings.push_back({file.path, now == spans.end() ? 0 : now->first_line,
                                "'" + std::string(entry.name) +
                                    "' got shorter or is gone; lower or remove its entry in the "
                                    "list in tests/tidy/exemptions.h"});
    }
    return findings;
}

Findings long_file(const SourceFile& file) {
    if (!is_header(file.path) && !is_source(file.path)) return {};
    const size_t lines = lines_of(file.text).size();
    static constexpr std::string_view excuse = "// Long because: ";
    const size_t at = file.text.find(excuse);
    const bool excused =
        at != std::string::npos && file.text.find_first_of(".\n", at) > at + excuse.size() + 10;
    if (lines <= file_lines_max || excused) return {};
    return {{file.path, 0,
             "has " + std::to_string(lines) + " lines, more than " +
                 std::to_string(file_lines_max) +
                 "; if it holds two ideas make two files of it, else say in its first comment "
                 "`// Long because: ...`"}};
}

Findings todo_without_reason(const SourceFile& file) {
    static constexpr std::array<std::string_view, 4> words{"TODO", "FIXME", "XXX", "HACK"};
    Findings findings;
    const SplitText halves = split(file.text);
    for (const std::string_view word : words) {
        const std::string& comments = halves.comments;
        for (size_t at = comments.find(word); at != std::string::npos;
             at = comments.find(word, at + 1)) {
            const size_t end = at + word.size();
            if (end < comments.size() && is_name_letter(comments[end])) continue;
            const size_t close = comments.find(')', end);
            const bool reasoned = word == "TODO" && comments[end] == '(' &&
                                  close != std::string::npos && close > end + 8 &&
                                  comments.compare(close, 2, "):") == 0;
            if (reasoned) continue;
            findings.push_back({file.path, line_at(comments, at),
                                std::string(word) +
                                    " without a reason; write `TODO(why it is not done now): what "
                                    "to do`, or file an issue and remove it"});
        }
    }
    return findings;
}

Findings missing_license(const SourceFile& file) {
    static constexpr std::string_view license = "SPDX-License-Identifier: Apache-2.0";
    const auto lines = lines_of(file.text);
    const size_t first = !lines.empty() && lines[0].starts_with("#!") ? 1 : 0;
    std::string_view line = lines.size() > first ? lines[first] : "";
    if (line.ends_with(" */")) line.remove_suffix(3);
    if (line.ends_with(license)) return {};
    return {{file.path, first + 1,
             "begin the file with a comment `" + std::string(license) +
                 "` (after the #! line where there is one)"}};
}

Findings header_form(const SourceFile& file) {
    if (!is_header(file.path)) return {};
    if (file.path.starts_with(public_root) && !is_public_header(file.path)) return {};
    Findings findings;
    const auto lines = lines_of(file.text);
    if (lines.size() < 2 || !lines[1].starts_with("// "))
        findings.push_back({file.path, 2, "say in a `// ...` comment here what this file is for"});
    if (std::ranges::find(lines, "#pragma once") == lines.end())
        findings.push_back({file.path, 0, "put `#pragma once` after the first comment"});
    return findings;
}

Findings public_type_without_comment(const SourceFile& file) {
    if (!is_header(file.path) || !room_of(file.path)) return {};
    Findings findings;
    const SplitText halves = split(file.text);
    const auto lines = lines_of(file.text);
    for (const Span& span : spans_of(halves.code)) {
        if (span.kind != Span::Kind::type || span.in_type || span.anonymous) continue;
        if (span.first_line >= 2 && trimmed(lines[span.first_line - 2]).starts_with("///"))
            continue;
        findings.push_back({file.path, span.first_line,
                            "'" + span.head +
                                "' needs a /// comment: full sentences that say what it is, who "
                                "owns it and which threads may use it"});
    }
    return findings;
}

Findings units_without_test(std::span<const SourceFile> all, std::span<const Exemption> exempt) {
    Findings findings;
    for (const SourceFile& file : all) {
        if (!room_of(file.path)) continue;
        const std::string unit = unit_of(file.path);
        const bool beside_source = find(all, "src/" + unit + ".cc") != nullptr;
        if (!is_source(file.path) && !(is_header(file.path) && !beside_source && has_code(file)))
            continue;
        const std::string test = "tests/" + unit + "_test.cc";
        const bool tested = find(all, test) != nullptr;
        const bool excused = find(exempt, file.path) != nullptr;
        if (!tested && !excused)
            findings.push_back({file.path, 0,
                                "has no test; write " + test +
                                    ", or name the test that covers it in the exemptions of "
                                    "tests/tidy/exemptions.h"});
        if (tested && excused)
            findings.push_back(
                {file.path, 0,
                 "has a test now; remove its exemption from tests/tidy/exemptions.h"});
    }
    for (const Exemption& entry : exempt)
        if (find(all, entry.path) == nullptr)
            findings.push_back({std::string(entry.path), 0,
                                "is gone; remove its exemption from tests/tidy/exemptions.h"});
    return findings;
}

Findings headers_nobody_includes(std::span<const SourceFile> all,
                                 std::span<const Exemption> exempt) {
    std::map<std::string, std::set<std::string>, std::less<>> includers;
    for (const SourceFile& file : all)
        for (const Include& include : includes_of(file.text))
            if (include.quoted || include.path.starts_with("braidway/"))
                includers[included_file(include.path)].insert(file.path);
    Findings findings;
    for (const SourceFile& file : all) {
        if (!is_header(file.path) || !room_of(file.path)) continue;
        const std::string unit = unit_of(file.path);
        std::set<std::string> users = includers[file.path];
        users.erase("src/" + unit + ".cc");
        users.erase("tests/" + unit + "_test.cc");
        const bool excused = find(exempt, file.path) != nullptr;
        if (users.empty() && !excused)
            findings.push_back({file.path, 0,
                                "nobody includes it but its own unit and test; use it or remove "
                                "it"});
        if (!users.empty() && excused)
            findings.push_back(
                {file.path, 0,
                 "is included now; remove its exemption from tests/tidy/exemptions.h"});
    }
    return findings;
}

Findings sources_not_built(std::span<const SourceFile> all) {
    Findings findings;
    for (const SourceFile& file : all) {
        if (!is_source(file.path)) continue;
        bool named = false;
        std::string_view folder = file.path;
        while (!named && folder.find('/') != std::string_view::npos) {
            folder = folder.substr(0, folder.rfind('/'));
            const SourceFile* list = find(all, std::string(folder) + "/CMakeLists.txt");
            const std::string name = file.path.substr(folder.size() + 1);
            named = list != nullptr && list->text.find(name) != std::string::npos;
            // These name their programs, not their files.
            const std::string program = name.substr(0, name.size() - 3);
            const bool programs =
                folder == "fuzz" || folder == "bench" || folder == "docs/examples";
            named |= programs && list != nullptr && list->text.find(program) != std::string::npos;
        }
        if (!named)
            findings.push_back({file.path, 0,
                                "is in no CMakeLists.txt, so it is never built or run; add it to "
                                "the SOURCES beside it"});
    }
    return findings;
}

}  // namespace braidway::tidy
