// SPDX-License-Identifier: Apache-2.0
#include "daemon/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace braidway::daemon {
namespace {

/// How many letters must be put in, taken out or changed to get from one word to the other.
size_t edit_distance(std::string_view source, std::string_view target) {
    std::vector<size_t> row(target.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < source.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < target.size(); ++j) {
            const size_t changed = diagonal + (source[i] == target[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string nearest_word(std::string_view word, std::span<const std::string> known) {
    constexpr size_t word_bytes_max = 64;  // Nobody means a word by something much longer.
    if (word.size() > word_bytes_max) return {};
    std::string best;
    // Two letters in the wrong order are two changes.
    size_t best_distance = (word.size() < 4 ? 1 : std::max<size_t>(2, word.size() / 3)) + 1;
    for (const std::string& candidate : known) {
        const size_t distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
    const std::string nearest = nearest_word(word, known);
    return nearest.empty() ? std::string{} : fmt::format(" (did you mean '{}'?)", nearest);
}

std::vector<std::string> split_words(std::string_view text, char separator) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const size_t end = std::min(text.find(separator), text.size());
        std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
        while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
        if (!word.empty()) words.emplace_back(word);
    }
    return words;
}

std::string list_words(std::span<const std::string> words) {
    if (words.empty()) return "none";
    if (words.size() == 1) return words.front();
    return fmt::format("{} and {}", fmt::join(words.first(words.size() - 1), ", "), words.back());
}

}  // namespace braidway::daemon
