// SPDX-License-Identifier: Apache-2.0
// Takes typed values out of a TOML table and writes down everything that is wrong with it.
#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "daemon/config.h"

namespace braidway::daemon {

/// Collects the problems of one file.
class ProblemList {
  public:
    explicit ProblemList(std::string file) : file_(std::move(file)) {}

    void add(uint32_t line, std::string key, std::string expected);
    /// Everything added so far, in the order of the lines.
    ConfigProblems take();
    bool empty() const { return problems_.empty(); }
    const std::string& file() const { return file_; }

  private:
    std::string file_;
    ConfigProblems problems_;
};

/// The line of a node; 0 when it has none.
uint32_t line_of(const toml::node& node);

/// One key of a table, in the order of the file.
struct TableEntry {
    std::string key;
    uint32_t line = 0;
    const toml::node* value = nullptr;
};
std::vector<TableEntry> entries_of(const toml::table& table);

/// A TOML value as the text that a layer parameter takes: strings as they are, numbers and booleans
/// printed, arrays joined with commas. Nothing for other values.
std::optional<std::string> plain_text(const toml::node& node);

/// Reads one table. Every getter says which key it knows; finish() complains about all others.
/// A getter answers nothing when the key is missing or wrong; wrong is written down.
class TableReader {
  public:
    /// `name` is where the table is, as users say it: "path.a1"; empty for the whole file.
    TableReader(const toml::table& table, std::string name, uint32_t line, ProblemList& problems);

    std::optional<std::string> text(std::string_view key);
    std::optional<bool> boolean(std::string_view key);
    std::optional<uint64_t> whole_number(std::string_view key, uint64_t at_least, uint64_t at_most);
    /// A size as text with a unit, or a number of bytes.
    std::optional<uint64_t> size(std::string_view key, uint64_t at_least, uint64_t at_most);
    std::optional<Duration> duration(std::string_view key, Duration at_least, Duration at_most);
    const toml::array* array(std::string_view key, std::string_view of_what);
    const toml::table* table(std::string_view key);
    /// A word with a value each; anything else is refused with the list of words.
    template <typename T>
    struct Choice {
        std::string_view word;
        T value;
    };
    template <typename T>
    std::optional<T> choice(std::string_view key, std::initializer_list<Choice<T>> choices) {
        std::vector<std::string> words;
        for (const auto& each : choices) words.emplace_back(each.word);
        const std::optional<std::string> word = one_of(key, words);
        for (const auto& each : choices)
            if (word && *word == each.word) return each.value;
        return std::nullopt;
    }

    /// One of `words`.
    std::optional<std::string> one_of(std::string_view key, const std::vector<std::string>& words);

    bool has(std::string_view key) const { return table_.contains(key); }
    /// The node of `key`, which becomes known; nullptr when it is missing.
    const toml::node* node(std::string_view key);
    /// Writes down what is wrong with `key`, at its line.
    void problem(std::string_view key, std::string expected);
    /// Writes down every key that no getter knows, with the nearest that one does.
    void finish();

    uint32_t line() const { return line_; }
    uint32_t line(std::string_view key) const;
    const std::string& name() const { return name_; }
    ProblemList& problems() { return problems_; }
    /// "path.a1.device".
    std::string full_name(std::string_view key) const;

  private:
    void wrong_type(std::string_view key, const toml::node& node, std::string_view expected);

    const toml::table& table_;
    std::string name_;
    uint32_t line_;
    ProblemList& problems_;
    std::vector<std::string> known_;
};

}  // namespace braidway::daemon
