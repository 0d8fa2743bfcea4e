// SPDX-License-Identifier: Apache-2.0
// What stands before the parameters in a line of device-mapper's table or status.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::multipath {

/// A line of `dmsetup table` or `dmsetup status`, of a multipath target.
struct DmLine {
    std::string name;  ///< Of the map, where the line begins with "NAME:"; else empty.
    uint64_t start_sectors = 0;
    uint64_t length_sectors = 0;
    std::string parameters;   ///< What stands behind the word `multipath`.
    size_t words_before = 0;  ///< How many words come before `parameters`.
};

/// Reads "[NAME:] START LENGTH multipath [parameters]". Units: sectors of 512 bytes.
/// Errors: EINVAL; the message says which word is wrong.
Result<DmLine> parse_dm_line(std::string_view line);

}  // namespace braidway::multipath
