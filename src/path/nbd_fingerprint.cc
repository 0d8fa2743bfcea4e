// SPDX-License-Identifier: Apache-2.0
#include "path/nbd_fingerprint.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/limits.h"
#include "base/units.h"

namespace braidway::path {

Result<FingerprintRange> parse_fingerprint_range(std::string_view text) {
    const size_t plus = text.find('+');
    const auto offset = parse_size(text.substr(0, plus));
    const auto length =
        plus == text.npos ? Result<uint64_t>(512) : parse_size(text.substr(plus + 1));
    if (!offset || !length || *length == 0 || *length > limits::fingerprint_read_bytes_max ||
        *offset > limits::device_bytes_max)
        return fail(fmt::format("'{}' is no range; expected offset and length such as \"0+512\" or "
                                "\"1MiB+4KiB\", at most 1 MiB",
                                text),
                    EINVAL);
    return FingerprintRange{*offset, static_cast<uint32_t>(*length)};
}

uint64_t fingerprint_of(std::span<const std::byte> bytes, uint64_t before) {
    constexpr uint64_t prime = 0x100000001b3;
    for (const std::byte each : bytes) before = (before ^ static_cast<uint64_t>(each)) * prime;
    return before;
}

}  // namespace braidway::path
