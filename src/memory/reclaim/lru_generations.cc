// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/lru_generations.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace braidway::memory {
namespace {

/// Takes the next word off the line; empty at its end.
std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

std::optional<uint64_t> number_of(std::string_view word) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    // "1234x" marks a generation that a type of memory no longer has.
    if (error != std::errc() || end == word.data()) return {};
    return number;
}

/// "  2   88112   486   0": number, age, anonymous, file.
std::optional<LruGeneration> generation_of(std::string_view first, std::string_view rest) {
    const auto number = number_of(first);
    const auto age = number_of(next_word(rest));
    const auto anon = number_of(next_word(rest));
    const auto file = number_of(next_word(rest));
    if (!number || !age || !anon || !file) return {};
    return LruGeneration{*number, *age, *anon, *file};
}

uint64_t pages_of(const LruGeneration& generation, Kind kind) {
    switch (kind) {
        case Kind::anonymous:
            return generation.anon_pages;
        case Kind::page_cache:
        case Kind::mapped_page_cache:
            return generation.file_pages;
        case Kind::slab:
            return 0;
    }
    return 0;
}

}  // namespace

uint64_t LruGenerations::pages(Kind kind) const {
    uint64_t sum = 0;
    for (const LruGeneration& one : generations) sum += pages_of(one, kind);
    return sum;
}

uint64_t LruGenerations::evictable_pages(Kind kind) const {
    uint64_t sum = 0;
    for (const LruGeneration& one : generations) {
        if (!evictable(one)) break;
        sum += pages_of(one, kind);
        if (kind == Kind::anonymous && one.file_pages > 0) break;
    }
    return sum;
}

std::vector<LruGenerations> parse_lru_generations(std::string_view text) {
    std::vector<LruGenerations> all;
    LruGenerations now;
    bool has_node = false;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::string_view word = next_word(line);
        if (word == "memcg") {
            now = {.cgroup = number_of(next_word(line)).value_or(0), .path = {}, .generations = {}};
            now.path = next_word(line);
            has_node = false;
        } else if (word == "node") {
            const auto node = number_of(next_word(line));
            has_node = node.has_value();
            if (!has_node) continue;
            now.node = static_cast<uint32_t>(*node);
            all.push_back(now);
        } else if (const auto generation = generation_of(word, line); generation && has_node) {
            all.back().generations.push_back(*generation);
        }
    }
    return all;
}

}  // namespace braidway::memory
