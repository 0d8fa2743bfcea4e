// SPDX-License-Identifier: Apache-2.0
#include "multipath/cpu_mask.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace braidway::multipath {
namespace {

constexpr uint32_t group_bits = 32;
constexpr size_t group_digits = group_bits / 4;

/// The last group of `text`, which is then cut off together with the comma before it.
std::string_view take_last_group(std::string_view& text) {
    const size_t comma = text.rfind(',');
    const std::string_view group = comma == text.npos ? text : text.substr(comma + 1);
    text = comma == text.npos ? std::string_view() : text.substr(0, comma);
    return group;
}

Result<uint32_t> parse_group(std::string_view group) {
    uint32_t bits = 0;
    const char* const end = group.data() + group.size();
    const auto [stop, problem] = std::from_chars(group.data(), end, bits, 16);
    if (problem != std::errc() || stop != end || group.size() > group_digits)
        return fail(fmt::format("'{}': expected 1 to 8 hexadecimal digits", group));
    return bits;
}

}  // namespace

Result<CpuSet> parse_cpu_mask(std::string_view text) {
    CpuSet cpus;
    uint32_t first = 0;
    while (!text.empty()) {
        const std::string_view group = take_last_group(text);
        if (group.empty()) continue;
        const auto bits = parse_group(group);
        if (!bits) return std::unexpected(bits.error());
        if (first >= cpus_max) return fail(fmt::format("more than {} CPUs", cpus_max));
        for (uint32_t bit = 0; bit < group_bits; ++bit)
            if ((*bits >> bit) % 2 != 0) cpus.push_back(first + bit);
        first += group_bits;
    }
    return cpus;
}

std::string cpu_mask_text(const CpuSet& cpus, uint32_t width) {
    const uint32_t bits = std::max({width, cpus.empty() ? 0 : cpus.back() + 1, 1U});
    std::vector<uint32_t> groups((bits + group_bits - 1) / group_bits);
    for (const uint32_t cpu : cpus) groups[cpu / group_bits] |= 1U << cpu % group_bits;
    const uint32_t bits_of_first = (bits - 1) % group_bits + 1;
    std::string text = fmt::format("{:0{}x}", groups.back(), (bits_of_first + 3) / 4);
    for (size_t at = groups.size() - 1; at-- > 0;) text += fmt::format(",{:08x}", groups[at]);
    return text;
}

}  // namespace braidway::multipath
