// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace braidway {
namespace {

struct SizeUnit {
    std::string_view name;
    uint64_t bytes;
};

constexpr std::array size_units{
    SizeUnit{"", 1},
    SizeUnit{"B", 1},
    SizeUnit{"s", 512},
    SizeUnit{"k", 1ULL << 10},
    SizeUnit{"K", 1ULL << 10},
    SizeUnit{"KiB", 1ULL << 10},
    SizeUnit{"M", 1ULL << 20},
    SizeUnit{"MiB", 1ULL << 20},
    SizeUnit{"G", 1ULL << 30},
    SizeUnit{"GiB", 1ULL << 30},
    SizeUnit{"T", 1ULL << 40},
    SizeUnit{"TiB", 1ULL << 40},
    SizeUnit{"P", 1ULL << 50},
    SizeUnit{"PiB", 1ULL << 50},
    SizeUnit{"kB", 1'000},
    SizeUnit{"MB", 1'000'000},
    SizeUnit{"GB", 1'000'000'000},
    SizeUnit{"TB", 1'000'000'000'000},
    SizeUnit{"PB", 1'000'000'000'000'000},
};

struct TimeUnit {
    std::string_view name;
    int64_t ns;
};

constexpr std::array time_units{
    TimeUnit{"d", 86'400'000'000'000},
    TimeUnit{"h", 3'600'000'000'000},
    TimeUnit{"min", 60'000'000'000},
    TimeUnit{"s", 1'000'000'000},
    TimeUnit{"ms", 1'000'000},
    TimeUnit{"us", 1'000},
    TimeUnit{"ns", 1},
};

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
    const std::string_view whole = trim(text);
    uint64_t number = 0;
    const auto [end, problem] = std::from_chars(whole.data(), whole.data() + whole.size(), number);
    const auto expected = [&] {
        return fail(
            fmt::format("'{}' is not a size; expected a whole number with a unit such as "
                        "512, 64K, 10M or 1G",
                        text));
    };
    if (problem == std::errc::result_out_of_range)
        return fail(fmt::format("'{}' is too large for a size", text));
    if (problem != std::errc{}) return expected();
    const std::string_view unit = trim(whole.substr(static_cast<size_t>(end - whole.data())));
    for (const SizeUnit& known : size_units) {
        if (known.name != unit) continue;
        uint64_t bytes = 0;
        if (__builtin_mul_overflow(number, known.bytes, &bytes))
            return fail(fmt::format("'{}' is too large for a size", text));
        return bytes;
    }
    return expected();
}

Result<Duration> parse_duration(std::string_view text) {
    const std::string_view whole = trim(text);
    double number = 0;
    const auto [end, problem] = std::from_chars(whole.data(), whole.data() + whole.size(), number,
                                                std::chars_format::fixed);
    const auto expected = [&] {
        return fail(
            fmt::format("'{}' is not a duration; expected a number with a unit such as "
                        "500 us, 5 ms, 60 s or 2 min",
                        text));
    };
    if (problem != std::errc{} || !std::isfinite(number) || number < 0) return expected();
    const std::string_view unit = trim(whole.substr(static_cast<size_t>(end - whole.data())));
    if (unit.empty() && number == 0) return Duration(0);
    for (const TimeUnit& known : time_units) {
        if (known.name != unit) continue;
        const double ns = number * static_cast<double>(known.ns);
        if (ns > 9e18) return fail(fmt::format("'{}' is too long for a duration", text));
        return Duration(std::llround(ns));
    }
    return expected();
}

std::string format_size(uint64_t bytes) {
    static constexpr std::string_view letters = "BKMGTPE";
    double number = static_cast<double>(bytes);
    size_t step = 0;
    // What would be rounded to 1024 is already one of the next unit.
    while (number >= (step == 0 ? 1024 : 1023.5) && step + 1 < letters.size()) {
        number /= 1024;
        ++step;
    }
    if (step == 0) return fmt::format("{}B", bytes);
    return number < 10 ? fmt::format("{:.1f}{}", number, letters[step])
                       : fmt::format("{:.0f}{}", number, letters[step]);
}

std::string format_duration(Duration length) {
    const int64_t ns = length.count();
    for (const TimeUnit& unit : time_units) {
        // Days and hours are for reading configurations; figures are printed in seconds.
        if (unit.ns > 1'000'000'000 || std::abs(ns) < unit.ns) continue;
        const double number = static_cast<double>(ns) / static_cast<double>(unit.ns);
        return std::abs(number) < 1000 ? fmt::format("{:.4g} {}", number, unit.name)
                                       : fmt::format("{:.0f} {}", number, unit.name);
    }
    return "0 s";
}

}  // namespace braidway
