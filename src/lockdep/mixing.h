// SPDX-License-Identifier: Apache-2.0
// Mixing of bits for keys and hash tables.
#pragma once

#include <cstdint>

namespace braidway::lockdep {

/// Spreads every bit of `value` over all bits of the result; 0 stays 0.
/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood, 2014).
constexpr uint64_t mixed(uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

}  // namespace braidway::lockdep
