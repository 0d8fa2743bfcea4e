// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "apps/lockcheck/naming.h"
#include "apps/lockcheck/suppressions.h"
#include "base/limits.h"

namespace braidway::lockcheck {
namespace {

constexpr size_t width_max = 100;
constexpr size_t column_min = 16;
constexpr size_t column_max = 46;

struct Colours {
    std::string_view title;
    std::string_view bold;
    std::string_view dim;
    std::string_view end;
};
constexpr Colours plain{};
constexpr Colours bright{"\x1b[1;31m", "\x1b[1m", "\x1b[2m", "\x1b[0m"};

/// How many characters a terminal shows of it: UTF-8 without the bytes that continue.
size_t shown(std::string_view text) {
    return static_cast<size_t>(std::ranges::count_if(
        text, [](char each) { return (static_cast<unsigned char>(each) & 0xc0u) != 0x80u; }));
}

/// Breaks `text` at blanks into lines of at most `width`; a longer word has a line of its own.
std::vector<std::string> wrap(std::string_view text, size_t width) {
    std::vector<std::string> lines{""};
    while (!text.empty()) {
        const size_t blank = text.find(' ');
        const std::string_view word = text.substr(0, blank);
        text = blank == std::string_view::npos ? "" : text.substr(blank + 1);
        std::string& line = lines.back();
        if (line.empty())
            line = word;
        else if (shown(line) + 1 + shown(word) <= width)
            line.append(" ").append(word);
        else
            lines.emplace_back(word);
    }
    return lines;
}

std::string padded(std::string_view text, size_t width) {
    return std::string(text) + std::string(width - std::min(width, shown(text)), ' ');
}

void add_wrapped(std::string& out, std::string_view first, std::string_view text) {
    const std::string indent(first.size(), ' ');
    std::string_view before = first;
    for (const std::string& line : wrap(text, width_max - first.size())) {
        out += fmt::format("{}{}\n", before, line);
        before = indent;
    }
}

void add_stack(std::string& out, const Stack& stack, const Colours& colours) {
    // How threads are started is the same everywhere.
    const auto last = std::ranges::find_if(stack.rbegin(), stack.rend(),
                                           [](const Frame& frame) { return !frame.library; });
    const size_t own = static_cast<size_t>(std::distance(last, stack.rend()));
    const size_t count = own == 0 ? stack.size() : own;
    for (size_t at = 0; at < std::min(count, limits::lockcheck_frames_shown_max); ++at) {
        const Frame& frame = stack[at];
        out += fmt::format("        {}{}{}{}{}\n", frame.library ? colours.dim : "",
                           full_place(frame), frame.inlined ? " [inlined]" : "",
                           frame.library   ? " [library]"
                           : frame.wrapper ? " [wrapper]"
                                           : "",
                           frame.library ? colours.end : "");
    }
    if (count > limits::lockcheck_frames_shown_max)
        out += fmt::format("        ... and {} more\n", count - limits::lockcheck_frames_shown_max);
    if (stack.empty()) out += "        (no stack)\n";
}

std::string in_mode(const std::string& mode) {
    return mode.empty() ? "" : fmt::format(" ({})", mode);
}

/// What stands before the stack of what a chain holds.
std::string holds_words(const Finding& finding, const Chain& chain, const Colours& colours) {
    const Lock* lock = finding.lock(chain.holds);
    if (lock != nullptr && lock->is_condition()) return "would wake the one who waits, in";
    if (lock != nullptr && lock->is_thread()) return "is waited for; it was started in";
    const std::string name =
        fmt::format("{}{}{}", colours.bold, lock_word(finding, chain.holds), colours.end);
    if (finding.kind == "unlock-unheld") return fmt::format("unlocks {}, in", name);
    return fmt::format("holds {}{}, taken in", name, in_mode(chain.holds_mode));
}

/// The same of what it wants.
std::string wants_words(const Finding& finding, const Chain& chain, const Colours& colours) {
    const Lock* lock = finding.lock(chain.wants);
    if (!chain.wants) return "is, when it happens, in";
    if (lock != nullptr && lock->is_condition()) return "waits to be woken, in";
    if (lock != nullptr && lock->is_thread()) return "waits for a thread to end, in";
    return fmt::format("wants {}{}{}{}, in", colours.bold, lock_word(finding, chain.wants),
                       colours.end, in_mode(chain.wants_mode));
}

void add_chain(std::string& out, const Finding& finding, const Chain& chain,
               const Colours& colours) {
    std::string who = thread_word(chain);
    who.front() = 'T';
    // Memory may go, or a lock be destroyed, by another thread than the one that holds it.
    const bool is_destruction = finding.kind == "destroy-held";
    if (chain.holds) {
        out += fmt::format("    {} {}\n", who, holds_words(finding, chain, colours));
        add_stack(out, chain.holds_stack, colours);
    }
    if (is_destruction && !chain.wants_stack.empty()) {
        out += "    and it goes in\n";
        add_stack(out, chain.wants_stack, colours);
    } else if (chain.wants || !chain.wants_stack.empty()) {
        out += fmt::format("    {} {}\n", chain.holds ? "and then" : who,
                           wants_words(finding, chain, colours));
        add_stack(out, chain.wants_stack, colours);
    }
    if (!chain.also_held.empty()) {
        std::vector<std::string> names;
        for (const uint64_t each : chain.also_held) names.push_back(lock_word(finding, each));
        out += fmt::format("    It holds also: {}\n", fmt::join(names, ", "));
    }
}

void add_lock(std::string& out, const Finding& finding, const Lock& lock, const Colours& colours) {
    const auto same = std::ranges::find_if(finding.locks, [&lock](const Lock& each) {
        return &each == &lock || (lock.lock_class && each.lock_class == lock.lock_class);
    });
    out += fmt::format("    {}{}{}: {}{}\n", colours.bold, lock_word(finding, lock.index),
                       colours.end, describe(lock),
                       &*same == &lock ? ""
                                       : fmt::format(", of the same class as {}",
                                                     lock_word(finding, same->index)));
    // A static lock's making says nothing that its name does not.
    if (lock.created && lock.place != "static") add_stack(out, lock.created->stack, colours);
}

}  // namespace

std::string story_text(const Story& story, size_t width) {
    const size_t columns = std::max<size_t>(1, story.columns.size());
    // Before the first column are four characters, and three between two.
    const size_t rules = 4 + 3 * (columns - 1);
    const size_t room = width > rules ? (width - rules) / columns : 0;
    const size_t each = std::clamp(room, column_min, column_max);
    std::string out;
    const auto add_row = [&](size_t column, std::string_view text) {
        std::string line = "   ";
        for (size_t at = 0; at < columns; ++at) {
            if (at > 0) line += " |";
            line += " " + padded(at == column ? text : "", each);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    };
    std::string head = "   ";
    for (size_t at = 0; at < story.columns.size(); ++at)
        head += (at > 0 ? " | " : " ") + padded(story.columns[at], each);
    head.erase(head.find_last_not_of(' ') + 1);
    out += head + "\n";
    for (const Step& step : story.steps)
        for (const std::string& line : wrap(step.text, each)) add_row(step.column, line);
    return out;
}

std::string report(const Finding& finding, const Process& process, const Style& style) {
    const Colours& colours = style.colours ? bright : plain;
    const KindWords* words = kind_words(finding.kind);
    std::string out;
    out += fmt::format("{}lockcheck: {}{}{}", colours.title, style.is_note ? "note: " : "",
                       finding.kind, colours.end);
    if (words != nullptr) out += fmt::format(": {}", words->meaning);
    out += fmt::format(" [{}, process {}]\n", file_name(process.program), process.pid);
    add_wrapped(out, "  ", finding.message + ".");
    // A note has said it.
    if (style.is_note) return out + "\n";
    if (const auto told = story(finding); told) {
        out += finding.kind == "hang" ? "\n  How it happened:\n" : "\n  How it can happen:\n";
        out += story_text(*told, width_max);
        add_wrapped(out, "    ", told->end);
    }
    out += "\n  Where:\n";
    for (const Chain& chain : finding.chains) add_chain(out, finding, chain, colours);
    if (!finding.locks.empty()) out += "\n  Which locks:\n";
    for (const Lock& lock : finding.locks)
        if (!lock.is_thread()) add_lock(out, finding, lock, colours);
    if (words != nullptr) {
        out += "\n  What to do:\n";
        add_wrapped(out, "    ", words->hint);
    }
    if (style.suppression) out += "\n" + suppression_for(finding);
    return out + "\n";
}

std::string summary(const Document& document, size_t others) {
    std::map<std::string, size_t> kinds;
    size_t count = 0;
    size_t suppressed = 0;
    for (const Finding& finding : document.findings) {
        if (finding.suppressed_by) {
            ++suppressed;
            continue;
        }
        ++count;
        ++kinds[finding.kind];
    }
    const auto number_of = [](size_t number, std::string_view what) {
        return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
    };
    std::vector<std::string> parts;
    if (count > 0) {
        std::vector<std::string> each;
        for (const auto& [kind, number] : kinds) each.push_back(fmt::format("{} {}", number, kind));
        parts.push_back(fmt::format("{} ({})", number_of(count, "finding"), fmt::join(each, ", ")));
    }
    if (others > 0)
        parts.push_back(fmt::format("{} in other processes", number_of(others, "finding")));
    const size_t notes = static_cast<size_t>(std::ranges::count_if(
        document.notes, [](const Finding& note) { return !note.suppressed_by; }));
    if (parts.empty()) parts.emplace_back("nothing found");
    if (notes > 0) parts.push_back(number_of(notes, "note"));
    if (suppressed > 0) parts.push_back(fmt::format("{} suppressed", suppressed));
    return fmt::format("lockcheck: {}\n", fmt::join(parts, ", "));
}

}  // namespace braidway::lockcheck
