// SPDX-License-Identifier: Apache-2.0
// What bytes of an export say about which export it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"

namespace braidway::path {

/// Bytes of an export that tell it from others, because nobody changes them: the UUID of a file
/// system, the GUID of a partition table.
struct FingerprintRange {
    uint64_t offset_bytes = 0;
    uint32_t length_bytes = 512;

    friend bool operator==(const FingerprintRange&, const FingerprintRange&) = default;
};

/// Reads ranges as they are configured: "0+512" is offset and length, both with units of their
/// own ("1MiB+4KiB").
/// Errors: one line that says how it is written.
Result<FingerprintRange> parse_fingerprint_range(std::string_view text);

/// Of `bytes` behind what gave `before`; begins with fingerprint_seed. Not against somebody who
/// makes two exports look alike on purpose.
/// Source: FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
uint64_t fingerprint_of(std::span<const std::byte> bytes, uint64_t before);
inline constexpr uint64_t fingerprint_seed = 0xcbf29ce484222325;

}  // namespace braidway::path
