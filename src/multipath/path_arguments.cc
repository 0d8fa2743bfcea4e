// SPDX-License-Identifier: Apache-2.0
#include "multipath/path_arguments.h"

#include <charconv>

#include <fmt/format.h>

namespace braidway::multipath {

Result<uint32_t> read_number(const NumberArgument& argument, size_t path,
                             const PathArguments& words) {
    if (argument.place >= words.size()) return argument.absent;
    const std::string& word = words[argument.place];
    uint32_t value = 0;
    const char* const end = word.data() + word.size();
    const auto [stop, problem] = std::from_chars(word.data(), end, value);
    if (problem != std::errc() || stop != end || value > argument.max)
        return fail(fmt::format("{}: path {}: {} '{}': expected a whole number from 0 to {}",
                                argument.selector, path + 1, argument.name, word, argument.max));
    return value;
}

Result<void> refuse_more_than(size_t count_max, std::string_view accepted,
                              std::string_view selector, size_t path, const PathArguments& words) {
    if (words.size() <= count_max) return {};
    return fail(fmt::format("{}: path {}: {} arguments, expected at most {}: {}", selector,
                            path + 1, words.size(), count_max, accepted));
}

}  // namespace braidway::multipath
