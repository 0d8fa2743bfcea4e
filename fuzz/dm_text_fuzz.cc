// SPDX-License-Identifier: Apache-2.0
// Device-mapper's text: any bytes are refused with one line, or are a table, status or message that
// reads back from its own text. The first byte says which of them the others are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "multipath/dm_message.h"
#include "multipath/dm_status.h"
#include "multipath/dm_table.h"

namespace {

using namespace braidway;
using namespace braidway::multipath;

void expect_one_line(const Error& error) {
    CHECK(!error.message.empty(), "a refusal has a message");
    CHECK(std::ranges::none_of(error.message, [](char each) { return each >= 0 && each < ' '; }),
          "a refusal is one line");
    CHECK(error.code != 0, "a refusal has an errno value");
}

void try_table(std::string_view text) {
    const auto map = parse_dm_table(text, nullptr);
    if (!map) return expect_one_line(map.error());
    const std::string printed = dm_table_text(*map);
    const auto again = parse_dm_table(printed, nullptr);
    CHECK(again.has_value(), "what was printed is accepted");
    CHECK(dm_table_text(*again) == printed, "a table reads back as it was printed");
}

void try_line(std::string_view text) {
    const auto target = parse_dm_target(text, nullptr);
    if (!target) return expect_one_line(target.error());
    CHECK(target->line.length_sectors > 0, "a target has a length");
}

void try_info(std::string_view text) {
    const auto info = parse_dm_info(text);
    if (!info) return expect_one_line(info.error());
    CHECK(parse_dm_info(dm_info_text(*info)) == *info, "a status reads back as it was printed");
}

void try_message(std::string_view text) {
    const DmMessageMap map{.groups = 4, .device = nullptr, .in_table = nullptr};
    const auto message = parse_dm_message(split_dm_words(text), map);
    if (!message) return expect_one_line(message.error());
    CHECK(parse_dm_message(split_dm_words(dm_message_text(*message)), map) == *message,
          "a message reads back as it was printed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 4) {
        case 0:
            try_table(text);
            break;
        case 1:
            try_line(text);
            break;
        case 2:
            try_info(text);
            break;
        default:
            try_message(text);
    }
    return 0;
}
