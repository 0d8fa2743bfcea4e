// SPDX-License-Identifier: Apache-2.0
// A part of an amount, without overflow.
#pragma once

#include <cstdint>

namespace braidway::memory {

/// amount * part / all, rounded up; 0 when `all` is. `part` is at most `all`.
inline constexpr uint64_t proportion(uint64_t amount, uint64_t part, uint64_t all) {
    __extension__ using Wide = unsigned __int128;
    if (all == 0) return 0;
    return static_cast<uint64_t>((static_cast<Wide>(amount) * part + (all - 1)) / all);
}

/// `value` without `part`; 0 where that would be less than nothing.
inline constexpr uint64_t less(uint64_t value, uint64_t part) {
    return value > part ? value - part : 0;
}

}  // namespace braidway::memory
