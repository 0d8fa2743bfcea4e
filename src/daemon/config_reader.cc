// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::none:
            return "nothing";
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "a whole number";
        case toml::node_type::floating_point:
            return "a decimal number";
        case toml::node_type::boolean:
            return "a boolean";
        case toml::node_type::date:
        case toml::node_type::time:
        case toml::node_type::date_time:
            return "a date or time";
    }
    return "something else";
}

/// A key as it must be written in TOML.
std::string written_key(std::string_view key) {
    const bool bare = !key.empty() && std::ranges::all_of(key, [](char each) {
        return (each >= 'a' && each <= 'z') || (each >= 'A' && each <= 'Z') ||
               (each >= '0' && each <= '9') || each == '_' || each == '-';
    });
    if (bare) return std::string(key);
    std::string quoted = "\"";
    for (const char each : key) {
        const bool control = static_cast<unsigned char>(each) < 0x20 || each == 0x7f;
        if (control)
            quoted += fmt::format("\\u{:04x}", static_cast<unsigned char>(each));
        else
            quoted += each;
    }
    return quoted + '"';
}

}  // namespace

void ProblemList::add(uint32_t line, std::string key, std::string expected) {
    problems_.push_back({file_, line, std::move(key), std::move(expected)});
}

ConfigProblems ProblemList::take() {
    std::ranges::stable_sort(problems_, {}, &ConfigProblem::line);
    return std::move(problems_);
}

uint32_t line_of(const toml::node& node) {
    return static_cast<uint32_t>(node.source().begin.line);
}

std::vector<TableEntry> entries_of(const toml::table& table) {
    struct Placed {
        toml::source_position at;
        TableEntry entry;
    };
    std::vector<Placed> placed;
    for (const auto& [key, value] : table) {
        const toml::source_position at = key.source().begin;
        placed.push_back({at, {std::string(key.str()), static_cast<uint32_t>(at.line), &value}});
    }
    std::ranges::stable_sort(
        placed, [](const Placed& one, const Placed& other) { return one.at < other.at; });
    std::vector<TableEntry> entries;
    for (Placed& each : placed) entries.push_back(std::move(each.entry));
    return entries;
}

std::optional<std::string> plain_text(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
    const toml::array* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::string joined;
    for (const toml::node& each : *array) {
        const auto* word = each.as_string();
        if (word == nullptr) return std::nullopt;
        joined += fmt::format("{}{}", joined.empty() ? "" : ",", word->get());
    }
    return joined;
}

TableReader::TableReader(const toml::table& table, std::string name, uint32_t line,
                         ProblemList& problems)
    : table_(table), name_(std::move(name)), line_(line), problems_(problems) {
}

const toml::node* TableReader::node(std::string_view key) {
    known_.emplace_back(key);
    return table_.get(key);
}

std::optional<std::string> TableReader::text(std::string_view key) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    if (const auto* value = found->as_string()) return value->get();
    wrong_type(key, *found, "a string");
    return std::nullopt;
}

std::optional<bool> TableReader::boolean(std::string_view key) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    if (const auto* value = found->as_boolean()) return value->get();
    wrong_type(key, *found, "true or false");
    return std::nullopt;
}

std::optional<uint64_t> TableReader::whole_number(std::string_view key, uint64_t at_least,
                                                  uint64_t at_most) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    const std::string expected = fmt::format("a whole number from {} to {}", at_least, at_most);
    const auto* value = found->as_integer();
    if (value == nullptr) {
        wrong_type(key, *found, expected);
        return std::nullopt;
    }
    const int64_t number = value->get();
    if (number >= 0 && static_cast<uint64_t>(number) >= at_least &&
        static_cast<uint64_t>(number) <= at_most)
        return static_cast<uint64_t>(number);
    problem(key, fmt::format("{} is out of range; expected {}", number, expected));
    return std::nullopt;
}

std::optional<uint64_t> TableReader::size(std::string_view key, uint64_t at_least,
                                          uint64_t at_most) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    const std::optional<std::string> written =
        found->is_string() || found->is_integer() ? plain_text(*found) : std::nullopt;
    if (!written) {
        wrong_type(key, *found, "a size such as \"64K\" or \"1G\"");
        return std::nullopt;
    }
    const Result<uint64_t> bytes = parse_size(*written);
    if (!bytes) {
        problem(key, bytes.error().message);
        return std::nullopt;
    }
    if (*bytes >= at_least && *bytes <= at_most) return *bytes;
    problem(key, fmt::format("'{}' is out of range; expected {} to {}", *written,
                             format_size(at_least), format_size(at_most)));
    return std::nullopt;
}

std::optional<Duration> TableReader::duration(std::string_view key, Duration at_least,
                                              Duration at_most) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    const auto* value = found->as_string();
    if (value == nullptr) {
        wrong_type(key, *found, "a duration with its unit, such as \"500 ms\" or \"60 s\"");
        return std::nullopt;
    }
    const Result<Duration> length = parse_duration(value->get());
    if (!length) {
        problem(key, length.error().message);
        return std::nullopt;
    }
    if (*length >= at_least && *length <= at_most) return *length;
    problem(key, fmt::format("'{}' is out of range; expected {} to {}", value->get(),
                             format_duration(at_least), format_duration(at_most)));
    return std::nullopt;
}

const toml::array* TableReader::array(std::string_view key, std::string_view of_what) {
    const toml::node* found = node(key);
    if (found == nullptr) return nullptr;
    if (const toml::array* value = found->as_array()) return value;
    wrong_type(key, *found, fmt::format("an array of {}", of_what));
    return nullptr;
}

const toml::table* TableReader::table(std::string_view key) {
    const toml::node* found = node(key);
    if (found == nullptr) return nullptr;
    if (const toml::table* value = found->as_table()) return value;
    wrong_type(key, *found, "a table");
    return nullptr;
}

std::optional<std::string> TableReader::one_of(std::string_view key,
                                               const std::vector<std::string>& words) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    const std::string expected = fmt::format("one of \"{}\"", fmt::join(words, "\", \""));
    const auto* value = found->as_string();
    if (value == nullptr) {
        wrong_type(key, *found, expected);
        return std::nullopt;
    }
    if (std::ranges::find(words, value->get()) != words.end()) return value->get();
    problem(key, fmt::format("'{}' is unknown{}; expected {}", value->get(),
                             did_you_mean(value->get(), words), expected));
    return std::nullopt;
}

void TableReader::wrong_type(std::string_view key, const toml::node& node,
                             std::string_view expected) {
    problem(key, fmt::format("is {}; expected {}", type_name(node), expected));
}

void TableReader::problem(std::string_view key, std::string expected) {
    problems_.add(line(key), full_name(key), std::move(expected));
}

uint32_t TableReader::line(std::string_view key) const {
    const toml::node* found = table_.get(key);
    return found == nullptr ? line_ : line_of(*found);
}

std::string TableReader::full_name(std::string_view key) const {
    if (key.empty()) return name_;
    return name_.empty() ? written_key(key) : fmt::format("{}.{}", name_, written_key(key));
}

void TableReader::finish() {
    for (const TableEntry& entry : entries_of(table_)) {
        if (std::ranges::find(known_, entry.key) != known_.end()) continue;
        std::vector<std::string> known = known_;
        std::ranges::sort(known);
        const std::string meant = did_you_mean(entry.key, known);
        problems_.add(entry.line, full_name(entry.key),
                      meant.empty()
                          ? fmt::format("unknown key; expected one of {}", fmt::join(known, ", "))
                          : fmt::format("unknown key{}", meant));
    }
}

}  // namespace braidway::daemon
