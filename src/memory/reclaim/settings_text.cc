// SPDX-License-Identifier: Apache-2.0
// Settings from texts of several words: policy files, and lines of the control file.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "memory/reclaim/settings.h"

namespace braidway::memory {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trim(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// Without its comment.
std::string_view uncomment(std::string_view line) {
    for (size_t at = line.find('#'); at != std::string_view::npos; at = line.find('#', at + 1))
        if (at == 0 || blanks.find(line[at - 1]) != std::string_view::npos)
            return line.substr(0, at);
    return line;
}

/// Messages about a line quote it, and they are one line.
bool has_control_character(std::string_view line) {
    return std::ranges::any_of(line,
                               [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool is_repeatable(std::string_view word) {
    const auto& words = setting_words();
    const auto found = std::ranges::find(words, word, &SettingWord::name);
    return found != words.end() && found->repeatable;
}

/// The words that a line of the control file may set.
constexpr std::string_view control_words[] = {"node",       "free",         "pages",  "until-free",
                                              "what",       "writeback",    "budget", "keep-free",
                                              "keep-cache", "pressure-max", "rate"};

/// A bound of 0 is none, and so wider than any other.
template <typename T>
bool wider(T bound, T owners) {
    return owners != 0 && (bound == 0 || bound > owners);
}

/// Whether `asked` stays within what the owner of the control file has set.
Result<void> check_within(const Settings& asked, const Settings& owner) {
    const Request& wish = asked.request;
    const Request& bound = owner.request;
    // An empty list is all nodes.
    if (asked.nodes && owner.nodes && !owner.nodes->empty() &&
        (asked.nodes->empty() || !std::ranges::includes(*owner.nodes, *asked.nodes)))
        return fail(
            fmt::format("node: this file may free on node {} only", format_node_list(*owner.nodes)),
            EPERM);
    if (!bound.kinds.empty() && (wish.kind_set().bits() & ~bound.kind_set().bits()) != 0)
        return fail(fmt::format("what: this file may free {} only", format_kinds(bound.kind_set())),
                    EPERM);
    const auto no = [](std::string_view word) {
        return fail(
            fmt::format("{}: may be made tighter than it is set for this file, not wider", word),
            EPERM);
    };
    if (wish.budget > bound.budget) return no("budget");
    if (wish.keep_free < bound.keep_free) return no("keep-free");
    if (wish.keep_cache < bound.keep_cache) return no("keep-cache");
    if (wider(wish.pressure_percent_max, bound.pressure_percent_max)) return no("pressure-max");
    if (wider(wish.bytes_per_second_max, bound.bytes_per_second_max)) return no("rate");
    return {};
}

Result<void> set_control_word(Settings& settings, std::string_view word, std::string_view value) {
    if (std::ranges::find(control_words, word) == std::end(control_words))
        return fail(fmt::format("'{}' cannot be set here; there are {}", word,
                                fmt::join(control_words, ", ")));
    if (word == "writeback" && !value.empty() && value != "yes" && value != "no")
        return fail(fmt::format("writeback: '{}' is neither yes nor no", value));
    return set_setting(settings, word, value);
}

}  // namespace

Result<void> read_policy(Settings& settings, std::string_view text, std::string_view name) {
    if (text.size() > limits::policy_bytes_max)
        return fail(fmt::format("{}: has {} bytes; a policy may have {}", name, text.size(),
                                limits::policy_bytes_max));
    Settings read = settings;
    // An amount of earlier settings is no contradiction: the file's takes its place.
    read.amount_word.clear();
    std::map<std::string_view, size_t> lines;  // Where each word was set.
    for (size_t number = 1; !text.empty(); ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(uncomment(text.substr(0, end)));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        const size_t sign = std::min(line.find('='), line.size());
        const std::string_view word = trim(line.substr(0, sign));
        const std::string_view value = trim(line.substr(std::min(sign + 1, line.size())));
        const auto where = [&] { return fmt::format("{}:{}: ", name, number); };
        if (has_control_character(line))
            return fail(fmt::format("{}the line has a control character", where()));
        if (word.find_first_of(blanks) != std::string_view::npos || word.empty())
            return fail(fmt::format("{}'{}' is no setting; expected WORD = VALUE", where(), line));
        const auto [earlier, first] = lines.emplace(word, number);
        if (!first && !is_repeatable(word))
            return fail(
                fmt::format("{}{}: was set in line {} already", where(), word, earlier->second));
        const std::string other = read.amount_word;
        const auto set = set_setting(read, word, value);
        if (set) continue;
        const bool second_amount = !other.empty() && other != word &&
                                   (word == "free" || word == "pages" || word == "until-free");
        return fail(fmt::format("{}{}{}", where(), set.error().message,
                                second_amount ? fmt::format(" ({} is in line {})", other,
                                                            lines[std::string_view(other)])
                                              : ""),
                    set.error().code);
    }
    if (read.amount_word.empty()) read.amount_word = settings.amount_word;
    settings = std::move(read);
    return {};
}

Result<void> read_control_line(Settings& settings, std::string_view line) {
    if (line.size() > limits::control_bytes_max)
        return fail(fmt::format("the line has {} bytes; it may have {}", line.size(),
                                limits::control_bytes_max));
    if (line.ends_with('\n')) line.remove_suffix(1);
    line = trim(line);
    if (has_control_character(line))
        return fail("expected one line of words without control characters");
    Settings read = settings;
    read.amount_word.clear();
    std::vector<std::string_view> seen;
    for (line = trim(line); !line.empty(); line = trim(line)) {
        const std::string_view part = line.substr(0, line.find_first_of(blanks));
        line.remove_prefix(part.size());
        const size_t sign = std::min(part.find('='), part.size());
        const std::string_view word = part.substr(0, sign);
        const std::string_view value = part.substr(std::min(sign + 1, part.size()));
        if (std::ranges::find(seen, word) != seen.end())
            return fail(fmt::format("{}: is set twice", word));
        seen.push_back(word);
        const auto set = set_control_word(read, word, value);
        if (!set) return set;
    }
    const auto within = check_within(read, settings);
    if (!within) return within;
    if (read.amount_word.empty()) read.amount_word = settings.amount_word;
    settings = std::move(read);
    return {};
}

}  // namespace braidway::memory
