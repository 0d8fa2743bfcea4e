// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace braidway::lockcheck {
namespace {

std::string quoted(std::string_view piece) {
    Text text;
    text.add_quoted(piece);
    std::string copy(text.view());
    text.clear_and_free();
    return copy;
}

TEST(Text, WritesNumbersInBothBases) {
    Text text;
    text.add_number(0).add(" ").add_number(UINT64_MAX).add(" ").add_hex(0).add(" ");
    text.add_hex(UINT64_MAX);
    EXPECT_EQ(text.view(), "0 18446744073709551615 0x0 0xffffffffffffffff");
    text.clear_and_free();
}

TEST(Text, QuotesSoThatEveryTextIsValidJson) {
    EXPECT_EQ(quoted("a \"b\" \\ \n\t\x01\x7f"),
              "\"a \\\"b\\\" \\\\ \\u000a\\u0009\\u0001\\u007f\"");
    EXPECT_EQ(quoted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92"),
              "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92\"");
    // No UTF-8: a lone byte, too long, a surrogate, too high, cut off.
    for (const char* const bad :
         {"\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
        const std::string out = quoted(bad);
        EXPECT_TRUE(nlohmann::json::accept(out)) << out;
        EXPECT_NE(out.find("\\ufffd"), std::string::npos) << out;
    }
}

TEST(Text, EveryByteAloneMakesValidJson) {
    for (int byte = 0; byte < 256; ++byte) {
        const char piece = static_cast<char>(byte);
        EXPECT_TRUE(nlohmann::json::accept(quoted({&piece, 1}))) << byte;
    }
}

TEST(Text, GrowsAndKeepsWhatItHas) {
    Text text;
    std::string expected;
    for (int i = 0; i < 5'000; ++i) {
        text.add_number(static_cast<uint64_t>(i)).add(",");
        expected += std::to_string(i) + ",";
    }
    EXPECT_EQ(text.view(), expected);
    EXPECT_TRUE(text.complete());
    text.clear();
    EXPECT_EQ(text.size(), 0u);
    text.add_quoted_or_null(nullptr);
    EXPECT_EQ(text.view(), "null");
    text.clear_and_free();
}

TEST(Text, SaysThatItIsIncompleteAboveItsLimit) {
    Text text;
    const std::string large(Text::bytes_max / 2 + 1, 'x');
    text.add(large);
    EXPECT_TRUE(text.complete());
    text.add(large);
    EXPECT_FALSE(text.complete());
    text.clear_and_free();
}

}  // namespace
}  // namespace braidway::lockcheck
