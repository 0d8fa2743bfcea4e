// SPDX-License-Identifier: Apache-2.0
// Reading the words that stand behind a path in the table, for the selectors that take them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "multipath/selector.h"

namespace braidway::multipath {

/// What one selector accepts as the number at `place` of a path's arguments.
struct NumberArgument {
    std::string_view selector;
    std::string_view name;
    size_t place = 0;
    uint32_t absent = 0;  ///< The value when the words end before it.
    uint32_t max = UINT32_MAX;
};

/// Reads `argument` of path number `path` (from 0). Decimal digits only: no sign, no "0x", nothing
/// behind them, as device-mapper.
Result<uint32_t> read_number(const NumberArgument& argument, size_t path,
                             const PathArguments& words);

/// Refuses more than `count_max` words for path number `path`; `accepted` is what there may be.
Result<void> refuse_more_than(size_t count_max, std::string_view accepted,
                              std::string_view selector, size_t path, const PathArguments& words);

}  // namespace braidway::multipath
