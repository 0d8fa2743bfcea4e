// SPDX-License-Identifier: Apache-2.0
// Node memory's texts: any bytes are refused with a message, or mean what is read back from their
// own text. The first byte says which of them the others are.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "memory/reclaim/settings.h"

namespace {

using namespace braidway;
using namespace braidway::memory;

void expect_one_line(const Error& error) {
    CHECK(!error.message.empty(), "a refusal has a message");
    CHECK(
        std::ranges::none_of(error.message, [](char c) { return c >= 0 && c < ' ' && c != '\t'; }),
        "a refusal is one line");
}

bool same(const Settings& one, const Settings& other) {
    return one.nodes == other.nodes && one.amount_word == other.amount_word &&
           one.request.bytes == other.request.bytes && one.request.kinds == other.request.kinds &&
           one.request.files == other.request.files && one.request.budget == other.request.budget &&
           one.request.keep_free == other.request.keep_free &&
           one.request.allow_global == other.request.allow_global;
}

void expect_bounded(const Settings& settings) {
    const Request& request = settings.request;
    CHECK(request.kinds.size() <= kinds_count, "each kind at most once");
    CHECK(request.files.size() <= limits::settings_list_max, "lists are bounded");
    CHECK(request.bytes <= INT64_MAX, "an amount fits a signed number");
    CHECK(request.budget > Duration(0) && request.budget <= limits::reclaim_budget_max,
          "a budget is within its bounds");
    CHECK(request.pressure_percent_max >= 0 && request.pressure_percent_max <= 100,
          "a percentage is one");
}

void try_policy(std::string_view text) {
    Settings settings;
    const auto read = read_policy(settings, text, "policy");
    if (!read) {
        CHECK(same(settings, Settings()), "a refused policy changes nothing");
        return expect_one_line(read.error());
    }
    expect_bounded(settings);
    if (!check_settings(settings)) return;
    // What a line of the control file can say of it is read back.
    std::string line = fmt::format(
        "node={} what=", settings.nodes->empty() ? "all" : format_node_list(*settings.nodes));
    for (const Kind kind : settings.request.kinds)
        line += fmt::format("{}{}", line.ends_with('=') ? "" : ",", name_of(kind));
    line += fmt::format(" {}={}", settings.request.goal == Goal::free_more ? "free" : "until-free",
                        settings.request.bytes);
    Settings again;
    CHECK(read_control_line(again, line).has_value(), "what was printed is accepted");
    CHECK(again.nodes == settings.nodes && again.request.kinds == settings.request.kinds &&
              again.request.bytes == settings.request.bytes &&
              again.request.goal == settings.request.goal,
          "a wish reads back as it was printed");
}

void try_control_line(std::string_view text) {
    Settings owner;
    owner.request.bytes_per_second_max = 1 << 20;
    owner.request.kinds = {Kind::slab, Kind::page_cache};
    Settings settings = owner;
    const auto read = read_control_line(settings, text);
    if (!read) {
        CHECK(same(settings, owner), "a refused line changes nothing");
        return expect_one_line(read.error());
    }
    expect_bounded(settings);
    const Request& request = settings.request;
    CHECK(!request.allow_global && !request.allow_sysctl, "a line gives no consent");
    CHECK(request.files.empty() && request.protect.empty() && request.writeback_paths.empty() &&
              request.mechanisms.empty(),
          "a line names no paths and no mechanisms");
    CHECK(request.budget <= owner.request.budget && request.keep_free >= owner.request.keep_free &&
              request.bytes_per_second_max > 0 &&
              request.bytes_per_second_max <= owner.request.bytes_per_second_max,
          "a line widens no bound");
    CHECK((request.kind_set().bits() & ~owner.request.kind_set().bits()) == 0,
          "a line stays with the owner's kinds");
}

void try_node_list(std::string_view text) {
    const auto nodes = parse_node_list(text);
    if (!nodes) return;
    CHECK(!nodes->empty() && nodes->back() <= limits::node_max, "nodes are within bounds");
    CHECK(parse_node_list(format_node_list(*nodes)) == *nodes, "a list reads back");
}

void try_amount(std::string_view text) {
    const auto bytes = parse_amount(text);
    if (!bytes) return;
    CHECK(*bytes <= INT64_MAX, "an amount fits a signed number");
    CHECK(parse_amount(fmt::format("{}", *bytes)) == *bytes, "an amount reads back");
}

void try_kinds(std::string_view text) {
    const auto kinds = parse_kinds(text);
    if (!kinds) return;
    CHECK(parse_kinds(format_kinds(*kinds)) == *kinds, "a set of kinds reads back");
    Settings settings;
    CHECK(set_setting(settings, "what", text).has_value(), "a setting takes it too");
    CHECK(settings.request.kind_set() == *kinds, "and means the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
        case 'p':
            try_policy(text);
            break;
        case 'c':
            try_control_line(text);
            break;
        case 'n':
            try_node_list(text);
            break;
        case 'a':
            try_amount(text);
            break;
        case 'k':
            try_kinds(text);
            break;
        default:
            break;
    }
    return 0;
}
