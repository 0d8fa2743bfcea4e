// SPDX-License-Identifier: Apache-2.0
// Small helpers for the words that users write: splitting them and finding the one they meant.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace braidway::daemon {

/// The word of `known` that `word` was probably meant to be; empty when none is near.
std::string nearest_word(std::string_view word, std::span<const std::string> known);

/// " (did you mean 'device'?)", or nothing when no known word is near.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// Splits at `separator`, takes blanks off both ends of each piece and drops empty pieces.
std::vector<std::string> split_words(std::string_view text, char separator);

/// "a, b and c"; "none" when there is no word.
std::string list_words(std::span<const std::string> words);

}  // namespace braidway::daemon
