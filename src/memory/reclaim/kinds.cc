// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <numeric>
#include <optional>

namespace braidway::memory {
namespace {

constexpr std::string_view amounts =
    "expected a whole number, with K, M, G, T or P for powers of "
    "1024, such as 100M or 64G";

/// The power of 1024 that "k", "KiB" or "" stands for; nothing for other text.
std::optional<unsigned> power_of_unit(std::string_view unit) {
    if (unit.empty()) return 0;
    const char letter = static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0])));
    const size_t place = std::string_view("KMGTP").find(letter);
    if (place == std::string_view::npos) return {};
    std::string rest(unit.substr(1));
    std::ranges::transform(rest, rest.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!rest.empty() && rest != "ib") return {};
    return static_cast<unsigned>(place) + 1;
}

}  // namespace

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::anonymous:
            return "anonymous";
        case Kind::page_cache:
            return "page-cache";
        case Kind::mapped_page_cache:
            return "mapped-page-cache";
        case Kind::slab:
            return "slab";
    }
    return "?";
}

Result<KindSet> parse_kinds(std::string_view text) {
    KindSet set;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(',', begin), text.size());
        const std::string_view word = text.substr(begin, end - begin);
        const auto kind = std::ranges::find(kinds_all, word, name_of);
        if (kind == kinds_all.end())
            return fail(
                fmt::format("'{}' is no kind of memory; there are page-cache, "
                            "mapped-page-cache, anonymous and slab (separated by commas)",
                            word));
        set.add(*kind);
        begin = end + 1;
    }
    return set;
}

std::string format_kinds(KindSet kinds) {
    std::string text;
    // As the command line's help names them.
    for (const Kind kind : {Kind::page_cache, Kind::mapped_page_cache, Kind::anonymous, Kind::slab})
        if (kinds.has(kind)) text += fmt::format("{}{}", text.empty() ? "" : ",", name_of(kind));
    return text;
}

uint64_t KindBytes::total() const {
    return std::accumulate(bytes.begin(), bytes.end(), uint64_t{0});
}

uint64_t KindBytes::total(KindSet kinds) const {
    uint64_t sum = 0;
    for (const Kind kind : kinds_all)
        if (kinds.has(kind)) sum += (*this)[kind];
    return sum;
}

KindBytes& KindBytes::operator+=(const KindBytes& more) {
    for (const Kind kind : kinds_all) (*this)[kind] += more[kind];
    return *this;
}

Result<uint64_t> parse_amount(std::string_view text) {
    uint64_t number = 0;
    // from_chars takes no plus sign, blank or 0x; a minus sign only for signed types.
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc::result_out_of_range)
        return fail(fmt::format("'{}' is too large; {}", text, amounts));
    if (error != std::errc()) return fail(fmt::format("'{}' is no amount; {}", text, amounts));
    const std::string_view unit(end, text.data() + text.size());
    const auto power = power_of_unit(unit);
    if (!power)
        return fail(fmt::format("'{}' is no amount: what is '{}'? {}", text, unit, amounts));
    const unsigned shift = 10 * *power;
    if (number > UINT64_MAX >> shift || number << shift > INT64_MAX)
        return fail(fmt::format("'{}' is too large; {}", text, amounts));
    return number << shift;
}

}  // namespace braidway::memory
