// SPDX-License-Identifier: Apache-2.0
// Keys of classes are hashes of what makes them.
#pragma once

#include <cstdint>

namespace braidway::lockcheck {

/// A hash of `key` and `more`, in this order.
inline uint64_t mixed(uint64_t key, uint64_t more) {
    key = (key ^ more) * 0x9e3779b97f4a7c15;
    return key ^ (key >> 29);
}

}  // namespace braidway::lockcheck
