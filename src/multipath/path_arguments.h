// SPDX-License-Identifier: Apache-2.0
// Reading the words that stand behind a path or a selector's name in the table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "multipath/selector.h"

namespace braidway::multipath {

/// A number as device-mapper reads it: decimal digits only, no sign, no "0x", nothing behind them;
/// taken modulo 2^32, so that 4294967297 is 1. Nothing for every other word.
std::optional<uint32_t> read_wrapped(std::string_view word);

/// What one selector accepts as the number at `place` of a path's arguments.
struct NumberArgument {
    std::string_view selector;
    std::string_view name;
    /// device-mapper's words when it is wrong; the message begins with "SELECTOR ps: " and them.
    std::string_view refusal;
    size_t place = 0;
    uint32_t absent = 0;  ///< The value when the words end before it.
    uint32_t max = UINT32_MAX;
};

/// Reads `argument` of path number `path` (from 0).
Result<uint32_t> read_number(const NumberArgument& argument, size_t path,
                             const PathArguments& words);

/// Refuses more than `count_max` words for path number `path`; `accepted` is what there may be.
Result<void> refuse_more_than(size_t count_max, std::string_view accepted,
                              std::string_view selector, size_t path, const PathArguments& words);

/// Reads the words of a path that may have a repeat count and nothing else. As device-mapper shows
/// it: above 1 is 1, and 0 stays 0.
Result<uint32_t> read_only_repeat_count(std::string_view selector, size_t path,
                                        const PathArguments& words);

/// The repeat count as the first of several words, as read_only_repeat_count() has it.
Result<uint32_t> read_repeat_count(std::string_view selector, size_t path,
                                   const PathArguments& words);

}  // namespace braidway::multipath
