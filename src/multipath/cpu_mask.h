// SPDX-License-Identifier: Apache-2.0
// Sets of CPUs as device-mapper reads and prints them: "f", "ff,00000001".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace braidway::multipath {

/// CPUs from here on cannot be in a mask; the most that a kernel is built for.
inline constexpr uint32_t cpus_max = 8192;

/// The CPUs of a mask, in order.
using CpuSet = std::vector<uint32_t>;

/// Reads a mask: hexadecimal digits in groups of 32 bits with commas between them, the highest
/// first; a group of fewer than 8 digits still stands for 32 bits ("1,0" is CPU 32), empty groups
/// for none. A mask without a CPU is legal.
/// Errors: other characters, more than 8 digits in a group, CPUs from cpus_max on.
Result<CpuSet> parse_cpu_mask(std::string_view text);

/// Prints `cpus` as a mask for at least `width` CPUs: every group but the first has 8 digits.
std::string cpu_mask_text(const CpuSet& cpus, uint32_t width);

}  // namespace braidway::multipath
