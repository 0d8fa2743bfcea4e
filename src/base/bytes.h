// SPDX-License-Identifier: Apache-2.0
// Big-endian numbers in byte buffers, without alignment rules.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace braidway {

/// Reads a big-endian number at `from`; the caller knows that sizeof(T) bytes are there.
template <std::unsigned_integral T>
T load_big(const std::byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return std::byteswap(value);
}

/// Writes `value` big-endian at `to`; the caller knows that sizeof(T) bytes fit.
template <std::unsigned_integral T>
void store_big(std::byte* to, T value) {
    value = std::byteswap(value);
    std::memcpy(to, &value, sizeof value);
}

static_assert(std::endian::native == std::endian::little, "x86-64 and arm64 only so far");

}  // namespace braidway
