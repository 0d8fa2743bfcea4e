// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <gtest/gtest.h>

namespace braidway {
namespace {

using namespace std::chrono_literals;

TEST(ParseSize, ReadsWholeNumbersWithUnits) {
    EXPECT_EQ(parse_size("0"), 0u);
    EXPECT_EQ(parse_size("512"), 512u);
    EXPECT_EQ(parse_size("37B"), 37u);
    EXPECT_EQ(parse_size("8s"), 4096u);
    EXPECT_EQ(parse_size("4k"), 4096u);
    EXPECT_EQ(parse_size("4K"), 4096u);
    EXPECT_EQ(parse_size("1MiB"), 1u << 20);
    EXPECT_EQ(parse_size("1G"), 1u << 30);
    EXPECT_EQ(parse_size("2T"), 2ULL << 40);
    EXPECT_EQ(parse_size("1kB"), 1000u);
    EXPECT_EQ(parse_size("3GB"), 3'000'000'000u);
    EXPECT_EQ(parse_size("  10  M "), 10u << 20);
}

TEST(ParseSize, ReadsTheLargestNumber) {
    EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(ParseSize, RefusesWhatDoesNotFit) {
    for (const char* text : {"18446744073709551616", "16384P", "18446744073709551615k"}) {
        const auto size = parse_size(text);
        ASSERT_FALSE(size) << text;
        EXPECT_EQ(size.error().message, std::string("'") + text + "' is too large for a size");
    }
}

TEST(ParseSize, SaysWhatItExpected) {
    for (const char* text :
         {"", " ", "G", "-1", "+1", "1.5G", "1X", "1 GG", "0x10", "1e3", "1G1"}) {
        const auto size = parse_size(text);
        ASSERT_FALSE(size) << text;
        EXPECT_NE(size.error().message.find("expected a whole number with a unit"),
                  std::string::npos);
        EXPECT_NE(size.error().message.find("'" + std::string(text) + "'"), std::string::npos);
    }
}

TEST(ParseDuration, ReadsNumbersWithUnits) {
    EXPECT_EQ(parse_duration("5 ms"), 5ms);
    EXPECT_EQ(parse_duration("5ms"), 5ms);
    EXPECT_EQ(parse_duration("0.5 s"), 500ms);
    EXPECT_EQ(parse_duration("60 s"), 60s);
    EXPECT_EQ(parse_duration("2 min"), 2min);
    EXPECT_EQ(parse_duration("1.5 h"), 90min);
    EXPECT_EQ(parse_duration("1 d"), 24h);
    EXPECT_EQ(parse_duration("7 us"), 7us);
    EXPECT_EQ(parse_duration("9 ns"), 9ns);
    EXPECT_EQ(parse_duration(" 0 "), 0s);
    EXPECT_EQ(parse_duration("0 s"), 0s);
}

TEST(ParseDuration, RefusesABareNumber) {
    for (const char* text :
         {"5", "0.5", "", "s", "-1 s", "5 m", "5 sec", "inf s", "nan s", "1e3 s"}) {
        const auto length = parse_duration(text);
        ASSERT_FALSE(length) << text;
        EXPECT_NE(length.error().message.find("expected a number with a unit"), std::string::npos);
    }
}

TEST(ParseDuration, RefusesWhatDoesNotFit) {
    EXPECT_TRUE(parse_duration("104000 d"));
    const auto length = parse_duration("105000 d");
    ASSERT_FALSE(length);
    EXPECT_EQ(length.error().message, "'105000 d' is too long for a duration");
}

TEST(FormatSize, LooksLikeMultipath) {
    EXPECT_EQ(format_size(0), "0B");
    EXPECT_EQ(format_size(37), "37B");
    EXPECT_EQ(format_size(1023), "1023B");
    EXPECT_EQ(format_size(4096), "4.0K");
    EXPECT_EQ(format_size(1536), "1.5K");
    EXPECT_EQ(format_size(512u << 20), "512M");
    EXPECT_EQ(format_size(1u << 30), "1.0G");
    EXPECT_EQ(format_size(UINT64_MAX), "16E");
}

TEST(FormatSize, NeverPrints1024OfAUnit) {
    EXPECT_EQ(format_size((1u << 20) - 1), "1.0M");
    EXPECT_EQ(format_size((1ULL << 40) - 1), "1.0T");
}

TEST(FormatDuration, UsesTheLargestUnitUpToSeconds) {
    EXPECT_EQ(format_duration(0s), "0 s");
    EXPECT_EQ(format_duration(7ns), "7 ns");
    EXPECT_EQ(format_duration(1500us), "1.5 ms");
    EXPECT_EQ(format_duration(5s), "5 s");
    EXPECT_EQ(format_duration(90min), "5400 s");
    EXPECT_EQ(format_duration(-1500us), "-1.5 ms");
}

TEST(FormatDuration, HasNoExponents) {
    EXPECT_EQ(format_duration(24h), "86400 s");
    EXPECT_EQ(format_duration(12'345'678s), "12345678 s");
}

TEST(FormatDuration, IsReadBackByParseDuration) {
    for (const Duration length : {Duration(1ns), Duration(20us), Duration(1500us), Duration(60s)})
        EXPECT_EQ(parse_duration(format_duration(length)), length);
}

}  // namespace
}  // namespace braidway
