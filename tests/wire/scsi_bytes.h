// SPDX-License-Identifier: Apache-2.0
// Bytes in tests, as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

namespace braidway::wire {

inline std::vector<std::byte> bytes_of(std::initializer_list<unsigned> numbers) {
    std::vector<std::byte> bytes;
    for (const unsigned number : numbers) bytes.push_back(static_cast<std::byte>(number));
    return bytes;
}

inline std::vector<std::byte> bytes_of(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

/// Calls `parse` with every beginning of `data`, each in memory of exactly its size, so that a read
/// behind the end is seen.
template <typename Parse>
void with_every_beginning(const std::vector<std::byte>& data, Parse parse) {
    for (size_t size = 0; size <= data.size(); ++size) {
        const std::vector<std::byte> beginning(data.begin(),
                                               data.begin() + static_cast<std::ptrdiff_t>(size));
        parse(std::span<const std::byte>(beginning));
    }
}

}  // namespace braidway::wire
