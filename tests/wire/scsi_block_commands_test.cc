// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_block_commands.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "wire/scsi_bytes.h"

namespace braidway::wire {
namespace {

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes)
        text += fmt::format("{}{:02x}", text.empty() ? "" : " ", std::to_integer<unsigned>(byte));
    return text;
}

TEST(ScsiBlockCommands, AreLaidOutAsTheStandardSays) {
    EXPECT_EQ(hex(synchronize_cache_10_cdb().view()), "35 00 00 00 00 00 00 00 00 00");
    EXPECT_EQ(hex(synchronize_cache_16_cdb().view()),
              "91 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
    EXPECT_EQ(hex(unmap_cdb().view()), "42 00 00 00 00 00 00 00 18 00");
    EXPECT_EQ(hex(unmap_data({.lba = 0x0102030405060708, .blocks = 0x0a0b0c0d})),
              "00 16 00 10 00 00 00 00 01 02 03 04 05 06 07 08 0a 0b 0c 0d 00 00 00 00");
    EXPECT_EQ(hex(write_same_16_cdb(0x0102030405060708, 0x0a0b0c0d, false).view()),
              "93 00 01 02 03 04 05 06 07 08 0a 0b 0c 0d 00 00");
    EXPECT_EQ(hex(write_same_16_cdb(1, 2, true).view()),
              "93 08 00 00 00 00 00 00 00 01 00 00 00 02 00 00");
    EXPECT_EQ(hex(report_luns_cdb(0x1234).view()), "a0 00 00 00 00 00 00 00 12 34 00 00");
}

TEST(ScsiBlockCommands, ReadsTheListOfUnits) {
    const auto data = bytes_of({
        0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // peripheral 0
        0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // peripheral 7
        0x41, 0x2c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // flat 300
        0xc1, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // a well-known unit
    });
    const auto luns = parse_luns(data);
    ASSERT_TRUE(luns);
    EXPECT_EQ(*luns, (std::vector<uint16_t>{0, 7, 300}));
}

TEST(ScsiBlockCommands, AListCutShortEndsWhereTheDataEnd) {
    const auto data = bytes_of({
        0x00, 0x00, 0xff, 0xf8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
    });
    const auto luns = parse_luns(data);
    ASSERT_TRUE(luns);
    EXPECT_EQ(*luns, (std::vector<uint16_t>{3}));
    EXPECT_FALSE(parse_luns(std::span(data).first(7)));
    EXPECT_TRUE(parse_luns(std::span(data).first(8))->empty());
}

}  // namespace
}  // namespace braidway::wire
