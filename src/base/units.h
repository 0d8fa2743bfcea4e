// SPDX-License-Identifier: Apache-2.0
// Text <-> sizes and durations, as users write them in configurations and on command lines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace braidway {

/// Reads a size: a whole number with an optional unit, blanks between them allowed.
/// Units: none or B = bytes; k K KiB, M MiB, G GiB, T TiB, P PiB = powers of 1024 (as nbdkit, qemu
/// and lvm read them); kB MB GB TB PB = powers of 1000; s = sectors of 512 bytes.
/// Errors: says what was read and what is expected; overflow is an error.
Result<uint64_t> parse_size(std::string_view text);

/// Reads a duration: a number (decimals allowed) and a unit: ns, us, ms, s, min, h, d. A bare
/// number is refused, because nobody agrees on its unit; only 0 needs none.
Result<Duration> parse_duration(std::string_view text);

/// "1.0G", "512M", "4.0K", "37B": as `multipath -ll` prints sizes; one decimal below ten.
std::string format_size(uint64_t bytes);

/// "5 s", "1.5 ms", "0 s": the largest unit that keeps the number at or above one.
std::string format_duration(Duration length);

}  // namespace braidway
