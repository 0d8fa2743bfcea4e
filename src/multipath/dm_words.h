// SPDX-License-Identifier: Apache-2.0
// The words of device-mapper's text: tables, status lines, messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace braidway::multipath {

/// Asked for each device that a table or a message names; its error (ENOENT, ENOTBLK...) goes up.
/// An empty one accepts every name.
using DeviceLookup = std::function<Result<void>(std::string_view name)>;

/// Splits at whitespace; a backslash takes the character behind it literally, whitespace included.
/// The text ends at its first NUL. No word is empty.
std::vector<std::string> split_dm_words(std::string_view text);

/// `word` so that split_dm_words() gives it back whole. It is not empty and has no NUL.
std::string escape_dm_word(std::string_view word);

/// Appends each word to `text`, escaped, with a blank before it.
void append_dm_words(std::string& text, const std::vector<std::string>& words);

/// The number `word` is for device-mapper: decimal digits, modulo 2^32 (4294967297 is 1), with
/// whitespace before them allowed (which a backslash can bring into a word). Nothing for any other
/// word: no sign, no "0x", nothing behind the digits.
std::optional<uint32_t> read_dm_number(std::string_view word);

/// Whether two words are the same without regard to the case of ASCII letters.
bool same_dm_word(std::string_view one, std::string_view other);

/// `text` on one line for a message: control characters replaced.
std::string one_dm_line(std::string_view text);

/// `word` in quotes for a message of one line: control characters replaced, a long one cut.
std::string shown_dm_word(std::string_view word);

/// The words of one text, read from the first to the last, and where the reader is in it.
class DmWords {
  public:
    /// `words_before` is how many words of the line the user sees come before `text`.
    explicit DmWords(std::string_view text, size_t words_before = 0)
        : words_(split_dm_words(text)), words_before_(words_before) {}

    size_t left() const { return words_.size() - next_; }
    /// The next word, and goes on to the one behind it; null at the end.
    const std::string* take() { return left() == 0 ? nullptr : &words_[next_++]; }
    /// The word `ahead` of the next one, without taking it; less than left().
    const std::string& peek(size_t ahead = 0) const { return words_[next_ + ahead]; }
    /// Takes `count` words, at most left(), for themselves.
    std::vector<std::string> take_words(size_t count);
    /// The number of the next word in the user's line, from 1.
    size_t number() const { return words_before_ + next_ + 1; }
    /// Where the word taken last stands, for messages: "word 3 'x'".
    std::string last() const;
    /// Where the next word should stand: "word 4 'y'", or "word 4, where the line ends".
    std::string next() const;

  private:
    std::vector<std::string> words_;
    size_t words_before_ = 0;
    size_t next_ = 0;
};

}  // namespace braidway::multipath
