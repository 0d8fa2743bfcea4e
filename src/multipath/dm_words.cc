// SPDX-License-Identifier: Apache-2.0
#include "multipath/dm_words.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"

namespace braidway::multipath {
namespace {

constexpr size_t shown_bytes_max = 64;

/// Whitespace as the kernel has it: ASCII's, and the no-break space of Latin-1.
bool is_space(char each) {
    return each == ' ' || (each >= '\t' && each <= '\r') || each == '\xa0';
}

bool is_digit(char each) {
    return each >= '0' && each <= '9';
}

char lower(char each) {
    return each >= 'A' && each <= 'Z' ? static_cast<char>(each - 'A' + 'a') : each;
}

}  // namespace

std::vector<std::string> split_dm_words(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    std::vector<std::string> words;
    bool inside = false;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool escape = text[at] == '\\' && at + 1 < text.size();
        if (!escape && is_space(text[at])) {
            inside = false;
            continue;
        }
        if (escape) ++at;
        if (!inside) words.emplace_back();
        inside = true;
        words.back() += text[at];
    }
    return words;
}

std::string escape_dm_word(std::string_view word) {
    CHECK(!word.empty(), "an empty word cannot be written");
    std::string escaped;
    for (const char each : word) {
        if (each == '\\' || is_space(each)) escaped += '\\';
        escaped += each;
    }
    return escaped;
}

void append_dm_words(std::string& text, const std::vector<std::string>& words) {
    for (const std::string& word : words) text += " " + escape_dm_word(word);
}

std::optional<uint32_t> read_dm_number(std::string_view word) {
    const auto* const digits = std::ranges::find_if_not(word, is_space);
    if (digits == word.end() || !std::all_of(digits, word.end(), is_digit)) return std::nullopt;
    uint32_t value = 0;
    for (const auto* digit = digits; digit != word.end(); ++digit)
        value = value * 10 + static_cast<uint32_t>(*digit - '0');
    return value;
}

bool same_dm_word(std::string_view one, std::string_view other) {
    return std::ranges::equal(one, other, {}, lower, lower);
}

std::string one_dm_line(std::string_view text) {
    std::string line(text);
    std::ranges::replace_if(
        line, [](char each) { return (each >= 0 && each < ' ') || each == '\x7f'; }, '?');
    return line;
}

std::string shown_dm_word(std::string_view word) {
    return fmt::format("'{}{}'", one_dm_line(word.substr(0, shown_bytes_max)),
                       word.size() > shown_bytes_max ? "..." : "");
}

std::vector<std::string> DmWords::take_words(size_t count) {
    CHECK(count <= left(), "fewer words are left");
    const auto first = words_.begin() + static_cast<std::ptrdiff_t>(next_);
    next_ += count;
    return {first, first + static_cast<std::ptrdiff_t>(count)};
}

std::string DmWords::last() const {
    CHECK(next_ > 0, "no word was taken yet");
    return fmt::format("word {} {}", number() - 1, shown_dm_word(words_[next_ - 1]));
}

std::string DmWords::next() const {
    if (left() == 0) return fmt::format("word {}, where the line ends", number());
    return fmt::format("word {} {}", number(), shown_dm_word(peek()));
}

}  // namespace braidway::multipath
