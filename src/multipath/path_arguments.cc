// SPDX-License-Identifier: Apache-2.0
#include "multipath/path_arguments.h"

#include <algorithm>

#include <fmt/format.h>

namespace braidway::multipath {

std::optional<uint32_t> read_wrapped(std::string_view word) {
    if (word.empty()) return std::nullopt;
    uint32_t value = 0;
    for (const char digit : word) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + static_cast<uint32_t>(digit - '0');
    }
    return value;
}

Result<uint32_t> read_number(const NumberArgument& argument, size_t path,
                             const PathArguments& words) {
    if (argument.place >= words.size()) return argument.absent;
    const std::string& word = words[argument.place];
    const std::optional<uint32_t> value = read_wrapped(word);
    if (!value || *value > argument.max)
        return fail(fmt::format("{} ps: {}: path {}: {} '{}': expected a whole number from 0 to {}",
                                argument.selector, argument.refusal, path + 1, argument.name, word,
                                argument.max));
    return *value;
}

Result<void> refuse_more_than(size_t count_max, std::string_view accepted,
                              std::string_view selector, size_t path, const PathArguments& words) {
    if (words.size() <= count_max) return {};
    return fail(
        fmt::format("{} ps: incorrect number of arguments: path {}: {} words, expected at "
                    "most {}: {}",
                    selector, path + 1, words.size(), count_max, accepted));
}

Result<uint32_t> read_only_repeat_count(std::string_view selector, size_t path,
                                        const PathArguments& words) {
    if (auto few = refuse_more_than(1, "[repeat_count]", selector, path, words); !few)
        return std::unexpected(few.error());
    return read_repeat_count(selector, path, words);
}

Result<uint32_t> read_repeat_count(std::string_view selector, size_t path,
                                   const PathArguments& words) {
    const auto count = read_number({.selector = selector,
                                    .name = "repeat_count",
                                    .refusal = "invalid repeat count",
                                    .absent = 1},
                                   path, words);
    if (!count) return std::unexpected(count.error());
    return std::min(*count, 1U);
}

}  // namespace braidway::multipath
