// SPDX-License-Identifier: Apache-2.0
#include "daemon/layer_parameters.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/limits.h"
#include "base/units.h"
#include "daemon/words.h"

namespace braidway::daemon {
namespace {

constexpr uint64_t block_bytes = 512;  // The unit of `blocks`, as in device-mapper tables.

std::string duration_text(Duration length) {
    struct Unit {
        int64_t ns;
        std::string_view name;
    };
    static constexpr std::array units{Unit{1'000'000'000, "s"}, Unit{1'000'000, "ms"},
                                      Unit{1'000, "us"}, Unit{1, "ns"}};
    for (const Unit& unit : units)
        if (length.count() % unit.ns == 0)
            return fmt::format("{}{}", length.count() / unit.ns, unit.name);
    return {};
}

std::string size_text(uint64_t bytes) {
    static constexpr std::string_view letters = "KMGTP";
    std::string_view unit;
    for (size_t at = 0; at < letters.size() && bytes != 0 && bytes % 1024 == 0; ++at) {
        bytes /= 1024;
        unit = letters.substr(at, 1);
    }
    return fmt::format("{}{}", bytes, unit);
}

Result<void> read_duration(Duration& target, std::string_view value) {
    const Result<Duration> length = parse_duration(value);
    if (!length) return std::unexpected(length.error());
    if (*length > limits::delay_max)
        return fail(fmt::format("'{}' is too long; expected at most 1 h", value));
    target = *length;
    return {};
}

Result<void> read_size(uint64_t& target, std::string_view value) {
    const Result<uint64_t> size = parse_size(value);
    if (!size) return std::unexpected(size.error());
    target = *size;
    return {};
}

Result<void> read_bool(bool& target, std::string_view value) {
    if (value != "true" && value != "false" && value != "on" && value != "off")
        return fail(fmt::format("'{}': expected true or false", value));
    target = value == "true" || value == "on";
    return {};
}

Result<void> read_status(IoStatus& target, std::string_view value) {
    const std::optional<IoStatus> status = io_status_from_name(value);
    if (status && *status != IoStatus::ok && *status != IoStatus::shutdown) {
        target = *status;
        return {};
    }
    std::vector<std::string> known;
    for (unsigned at = 1; at < io_statuses; ++at)
        if (const auto each = static_cast<IoStatus>(at); each != IoStatus::shutdown)
            known.emplace_back(io_status_name(each));
    return fail(fmt::format("'{}' is no error class{}; expected one of {}", value,
                            did_you_mean(value, known), fmt::join(known, ", ")));
}

Result<void> read_ops(block::IoOpSet& target, std::string_view value) {
    block::IoOpSet ops;
    std::vector<std::string> known{"all", "none"};
    for (unsigned at = 0; at < io_ops; ++at) known.emplace_back(io_op_name(static_cast<IoOp>(at)));
    for (const std::string& word : split_words(value, ',')) {
        if (word == "none") continue;
        if (word == "all") {
            ops = block::IoOpSet::all();
            continue;
        }
        const std::optional<IoOp> op = io_op_from_name(word);
        if (!op)
            return fail(fmt::format("'{}' is no operation{}; expected some of {}", word,
                                    did_you_mean(word, known), fmt::join(known, ", ")));
        ops.add(*op);
    }
    if (ops.empty() && value != "none")
        return fail(
            fmt::format("no operation is named; expected some of {}", fmt::join(known, ", ")));
    target = ops;
    return {};
}

std::string ops_text(block::IoOpSet ops) {
    if (ops == block::IoOpSet::all()) return "all";
    if (ops.empty()) return "none";
    std::vector<std::string_view> names;
    for (unsigned at = 0; at < io_ops; ++at)
        if (const auto op = static_cast<IoOp>(at); ops.has(op)) names.push_back(io_op_name(op));
    return fmt::format("{}", fmt::join(names, ","));
}

Result<void> read_length(uint64_t& target, std::string_view value) {
    if (value == "all" || value == "end") {
        target = UINT64_MAX;
        return {};
    }
    uint64_t size = 0;
    if (const Result<void> read = read_size(size, value); !read) return read;
    if (size == 0) return fail("'0' is no length; expected at least one byte, or all");
    target = size;
    return {};
}

std::string length_text(uint64_t length_bytes) {
    return length_bytes == UINT64_MAX ? "all" : size_text(length_bytes);
}

/// "100-200" (both included) or "100": numbers of 512-byte blocks.
Result<void> read_blocks(block::ByteRange& target, std::string_view value) {
    const size_t dash = value.find('-');
    const std::string_view first_text = value.substr(0, dash);
    const std::string_view last_text =
        dash == std::string_view::npos ? first_text : value.substr(dash + 1);
    const auto number = [](std::string_view digits, uint64_t& into) {
        const char* end = digits.data() + digits.size();
        const auto read = std::from_chars(digits.data(), end, into);
        return !digits.empty() && read.ec == std::errc{} && read.ptr == end;
    };
    uint64_t first = 0;
    uint64_t last = 0;
    if (!number(first_text, first) || !number(last_text, last) || last < first ||
        last >= UINT64_MAX / block_bytes)
        return fail(
            fmt::format("'{}' are no blocks; expected FIRST-LAST in blocks of 512 bytes, "
                        "such as 100-200",
                        value));
    target = {.offset_bytes = first * block_bytes,
              .length_bytes = (last - first + 1) * block_bytes};
    return {};
}

/// "0.1" or "10 %" to parts of a million.
Result<void> read_chance(uint32_t& target, std::string_view value) {
    std::string_view digits = value;
    const bool percent = digits.ends_with('%');
    if (percent) digits.remove_suffix(1);
    while (digits.ends_with(' ')) digits.remove_suffix(1);
    double number = 0;
    const char* end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, number, std::chars_format::fixed);
    const double chance = percent ? number / 100 : number;
    if (read.ec != std::errc{} || read.ptr != end || !(chance >= 0 && chance <= 1))
        return fail(fmt::format("'{}' is no chance; expected 0 to 1 or 0 % to 100 %", value));
    target = static_cast<uint32_t>(std::lround(chance * 1e6));
    return {};
}

Result<void> read_count(std::optional<uint64_t>& target, std::string_view value) {
    if (value == "all" || value == "unlimited") {
        target.reset();
        return {};
    }
    uint64_t count = 0;
    const char* end = value.data() + value.size();
    const auto read = std::from_chars(value.data(), end, count);
    if (value.empty() || read.ec != std::errc{} || read.ptr != end || count == 0)
        return fail(fmt::format("'{}' is no count; expected a whole number from 1, or all", value));
    target = count;
    return {};
}

using Layer = LayerConfig;
using Text = std::string_view;

const std::array delay_table{
    LayerParameter{"read",
                   [](Layer& to, Text value) { return read_duration(to.delay.read, value); },
                   [](const Layer& of) { return duration_text(of.delay.read); }},
    LayerParameter{"write",
                   [](Layer& to, Text value) { return read_duration(to.delay.write, value); },
                   [](const Layer& of) { return duration_text(of.delay.write); }},
    LayerParameter{"flush",
                   [](Layer& to, Text value) { return read_duration(to.delay.flush, value); },
                   [](const Layer& of) { return duration_text(of.delay.flush); }},
    LayerParameter{"other",
                   [](Layer& to, Text value) { return read_duration(to.delay.other, value); },
                   [](const Layer& of) { return duration_text(of.delay.other); }},
    LayerParameter{"jitter",
                   [](Layer& to, Text value) { return read_duration(to.delay.jitter, value); },
                   [](const Layer& of) { return duration_text(of.delay.jitter); }},
};

const std::array error_table{
    LayerParameter{"class",
                   [](Layer& to, Text value) { return read_status(to.error.status, value); },
                   [](const Layer& of) { return std::string(io_status_name(of.error.status)); }},
    LayerParameter{"ops", [](Layer& to, Text value) { return read_ops(to.error.ops, value); },
                   [](const Layer& of) { return ops_text(of.error.ops); }},
    LayerParameter{
        "offset",
        [](Layer& to, Text value) { return read_size(to.error.range.offset_bytes, value); },
        [](const Layer& of) { return size_text(of.error.range.offset_bytes); }},
    LayerParameter{
        "length",
        [](Layer& to, Text value) { return read_length(to.error.range.length_bytes, value); },
        [](const Layer& of) { return length_text(of.error.range.length_bytes); }},
    LayerParameter{"blocks",
                   [](Layer& to, Text value) { return read_blocks(to.error.range, value); },
                   [](const Layer&) { return std::string(); }},
    LayerParameter{"chance",
                   [](Layer& to, Text value) { return read_chance(to.error.chance_ppm, value); },
                   [](const Layer& of) { return fmt::format("{}", of.error.chance_ppm / 1e6); }},
    LayerParameter{"count", [](Layer& to, Text value) { return read_count(to.error.count, value); },
                   [](const Layer& of) {
                       return of.error.count ? fmt::format("{}", *of.error.count) : "all";
                   }},
};

/// dm-flakey's error_reads and error_writes, as the set of operations that fail.
Result<void> read_error_ops(LayerConfig& to, Text value,
                            std::initializer_list<IoOp> reads_or_writes) {
    bool on = false;
    if (const Result<void> read = read_bool(on, value); !read) return read;
    for (const IoOp op : reads_or_writes)
        if (on)
            to.flakey.ops.add(op);
        else
            to.flakey.ops.remove(op);
    return {};
}

constexpr std::initializer_list<IoOp> reading_ops{IoOp::read, IoOp::block_status, IoOp::cache};
constexpr std::initializer_list<IoOp> writing_ops{IoOp::write, IoOp::flush, IoOp::discard,
                                                  IoOp::write_zeroes};

const std::array flakey_table{
    LayerParameter{"up", [](Layer& to, Text value) { return read_duration(to.flakey.up, value); },
                   [](const Layer& of) { return duration_text(of.flakey.up); }},
    LayerParameter{"down",
                   [](Layer& to, Text value) { return read_duration(to.flakey.down, value); },
                   [](const Layer& of) { return duration_text(of.flakey.down); }},
    LayerParameter{"class",
                   [](Layer& to, Text value) { return read_status(to.flakey.status, value); },
                   [](const Layer& of) { return std::string(io_status_name(of.flakey.status)); }},
    LayerParameter{"ops", [](Layer& to, Text value) { return read_ops(to.flakey.ops, value); },
                   [](const Layer& of) { return ops_text(of.flakey.ops); }},
    LayerParameter{"error_reads",
                   [](Layer& to, Text value) { return read_error_ops(to, value, reading_ops); },
                   [](const Layer&) { return std::string(); }},
    LayerParameter{"error_writes",
                   [](Layer& to, Text value) { return read_error_ops(to, value, writing_ops); },
                   [](const Layer&) { return std::string(); }},
    LayerParameter{
        "drop_writes",
        [](Layer& to, Text value) { return read_bool(to.flakey.drop_writes, value); },
        [](const Layer& of) { return std::string(of.flakey.drop_writes ? "true" : "false"); }},
    LayerParameter{
        "offset",
        [](Layer& to, Text value) { return read_size(to.flakey.range.offset_bytes, value); },
        [](const Layer& of) { return size_text(of.flakey.range.offset_bytes); }},
    LayerParameter{
        "length",
        [](Layer& to, Text value) { return read_length(to.flakey.range.length_bytes, value); },
        [](const Layer& of) { return length_text(of.flakey.range.length_bytes); }},
    LayerParameter{"blocks",
                   [](Layer& to, Text value) { return read_blocks(to.flakey.range, value); },
                   [](const Layer&) { return std::string(); }},
};

const std::array linear_table{
    LayerParameter{"offset",
                   [](Layer& to, Text value) { return read_size(to.linear.offset_bytes, value); },
                   [](const Layer& of) { return size_text(of.linear.offset_bytes); }},
    LayerParameter{"length",
                   [](Layer& to, Text value) { return read_length(to.linear.length_bytes, value); },
                   [](const Layer& of) { return length_text(of.linear.length_bytes); }},
};

}  // namespace

std::span<const LayerParameter> layer_parameters(LayerKind kind) {
    switch (kind) {
        case LayerKind::delay:
            return delay_table;
        case LayerKind::error:
            return error_table;
        case LayerKind::flakey:
            return flakey_table;
        case LayerKind::linear:
            return linear_table;
    }
    return {};
}

}  // namespace braidway::daemon
