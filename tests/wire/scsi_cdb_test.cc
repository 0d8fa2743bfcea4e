// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_cdb.h"

#include <gtest/gtest.h>

#include "scsi_bytes.h"

namespace braidway::wire {
namespace {

TEST(ScsiCdb, CommandsHaveTheBytesOfTheStandard) {
    const auto bytes = [](const Cdb& cdb) { return bytes_of(cdb.view()); };
    EXPECT_EQ(bytes(test_unit_ready_cdb()), bytes_of({0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(bytes(inquiry_cdb(36)), bytes_of({0x12, 0, 0, 0, 36, 0}));
    EXPECT_EQ(bytes(vpd_cdb(0xc9, 0x130)), bytes_of({0x12, 1, 0xc9, 1, 0x30, 0}));
    EXPECT_EQ(bytes(mode_select_6_cdb(110, false)), bytes_of({0x15, 0, 0, 0, 110, 0}));
    EXPECT_EQ(bytes(mode_select_10_cdb(308, true)),
              bytes_of({0x55, 0x10, 0, 0, 0, 0, 0, 1, 0x34, 0}));
    EXPECT_EQ(bytes(mode_sense_6_cdb(0x2c, 1, 255)), bytes_of({0x1a, 8, 0x2c, 1, 255, 0}));
    EXPECT_EQ(bytes(mode_sense_10_cdb(0x2c, 1, 0x200)),
              bytes_of({0x5a, 8, 0x2c, 1, 0, 0, 0, 2, 0, 0}));
    EXPECT_EQ(bytes(start_stop_cdb(true)), bytes_of({0x1b, 0, 0, 0, 1, 0}));
    EXPECT_EQ(bytes(report_port_groups_cdb(128, true)),
              bytes_of({0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0}));
    EXPECT_EQ(bytes(report_port_groups_cdb(128, false)),
              bytes_of({0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 128, 0, 0}));
    EXPECT_EQ(bytes(set_port_groups_cdb(8)), bytes_of({0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0}));
    EXPECT_EQ(bytes(read_10_cdb(0x01020304, 0x0506)), bytes_of({0x28, 0, 1, 2, 3, 4, 0, 5, 6, 0}));
    EXPECT_EQ(bytes(write_10_cdb(1, 2, true)), bytes_of({0x2a, 8, 0, 0, 0, 1, 0, 0, 2, 0}));
    EXPECT_EQ(bytes(read_16_cdb(0x0102030405060708, 9)),
              bytes_of({0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0}));
    EXPECT_EQ(bytes(write_16_cdb(1, 2, false)),
              bytes_of({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0}));
    EXPECT_EQ(bytes(read_capacity_10_cdb()), bytes_of({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(bytes(read_capacity_16_cdb()),
              bytes_of({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}));
}

ScsiRequest parsed(const Cdb& cdb) {
    const auto request = parse_cdb(cdb.view());
    EXPECT_TRUE(request.has_value());
    return request.value_or(ScsiRequest{});
}

TEST(ScsiCdb, ADeviceReadsWhatWasAsked) {
    EXPECT_EQ(parsed(test_unit_ready_cdb()).op, ScsiOp::test_unit_ready);
    EXPECT_EQ(parsed(inquiry_cdb(36)).op, ScsiOp::inquiry);
    EXPECT_EQ(parsed(inquiry_cdb(36)).data_bytes, 36u);
    EXPECT_EQ(parsed(vpd_cdb(0x83, 500)).op, ScsiOp::vpd);
    EXPECT_EQ(parsed(vpd_cdb(0x83, 500)).page, 0x83);
    EXPECT_EQ(parsed(vpd_cdb(0x83, 500)).data_bytes, 500u);

    EXPECT_EQ(parsed(mode_select_6_cdb(110, true)).op, ScsiOp::mode_select);
    EXPECT_TRUE(parsed(mode_select_6_cdb(110, true)).page_format);
    EXPECT_FALSE(parsed(mode_select_6_cdb(110, true)).ten);
    EXPECT_EQ(parsed(mode_select_6_cdb(110, true)).data_bytes, 110u);
    EXPECT_TRUE(parsed(mode_select_10_cdb(308, false)).ten);
    EXPECT_FALSE(parsed(mode_select_10_cdb(308, false)).page_format);
    EXPECT_EQ(parsed(mode_select_10_cdb(308, false)).data_bytes, 308u);
    EXPECT_EQ(parsed(mode_sense_6_cdb(0x2c, 1, 9)).op, ScsiOp::mode_sense);
    EXPECT_EQ(parsed(mode_sense_10_cdb(0x2c, 1, 900)).page, 0x2c);
    EXPECT_EQ(parsed(mode_sense_10_cdb(0x2c, 1, 900)).subpage, 1);
    EXPECT_EQ(parsed(mode_sense_10_cdb(0x2c, 1, 900)).data_bytes, 900u);

    EXPECT_TRUE(parsed(start_stop_cdb(true)).start);
    EXPECT_FALSE(parsed(start_stop_cdb(false)).start);
    EXPECT_TRUE(parsed(report_port_groups_cdb(1, true)).extended_header);
    EXPECT_FALSE(parsed(report_port_groups_cdb(1, false)).extended_header);
    EXPECT_EQ(parsed(set_port_groups_cdb(12)).op, ScsiOp::set_port_groups);
    EXPECT_EQ(parsed(set_port_groups_cdb(12)).data_bytes, 12u);
}

TEST(ScsiCdb, ReadsAndWritesOfBothSizesMeanTheSame) {
    for (const Cdb& cdb : {read_10_cdb(7, 3), read_16_cdb(7, 3)}) {
        EXPECT_EQ(parsed(cdb).op, ScsiOp::read);
        EXPECT_EQ(parsed(cdb).lba, 7u);
        EXPECT_EQ(parsed(cdb).blocks, 3u);
    }
    for (const Cdb& cdb : {write_10_cdb(7, 3, true), write_16_cdb(7, 3, true)}) {
        EXPECT_EQ(parsed(cdb).op, ScsiOp::write);
        EXPECT_TRUE(parsed(cdb).fua);
        EXPECT_EQ(parsed(cdb).lba, 7u);
        EXPECT_EQ(parsed(cdb).blocks, 3u);
    }
}

TEST(ScsiCdb, WhatIsCutShortOrUnknownIsNotRead) {
    for (const Cdb& cdb : {test_unit_ready_cdb(), read_10_cdb(1, 1),
                           report_port_groups_cdb(8, true), write_16_cdb(1, 1, false)}) {
        EXPECT_TRUE(parse_cdb(cdb.view()));
        EXPECT_FALSE(parse_cdb(cdb.view().first(cdb.size - 1u)));
    }
    EXPECT_FALSE(parse_cdb({}));
    std::array<std::byte, 16> other{};
    for (const unsigned opcode : {0x03u, 0x5eu, 0x8fu, 0xa0u, 0x7fu, 0xc0u, 0xffu}) {
        other[0] = static_cast<std::byte>(opcode);
        EXPECT_FALSE(parse_cdb(other)) << opcode;
    }
    // Another service action of a known command.
    other[0] = std::byte{scsi::op_maintenance_in};
    other[1] = std::byte{0x0c};
    EXPECT_FALSE(parse_cdb(other));
}

TEST(ScsiCdb, CapacityGoesThereAndBack) {
    const ScsiCapacity capacity{0x123456789a, 4096};
    EXPECT_EQ(parse_capacity_16(capacity_16_data(capacity))->last_lba, capacity.last_lba);
    EXPECT_EQ(parse_capacity_16(capacity_16_data(capacity))->block_bytes, 4096u);
    EXPECT_EQ(parse_capacity_10(capacity_10_data(capacity))->last_lba, UINT32_MAX)
        << "ask READ CAPACITY(16)";
    EXPECT_EQ(parse_capacity_10(capacity_10_data({99, 512}))->last_lba, 99u);
    EXPECT_FALSE(parse_capacity_10(bytes_of({0, 0, 0, 1, 0, 0, 2})));
    EXPECT_FALSE(parse_capacity_16(bytes_of({0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2})));
}

TEST(ScsiCdb, CommandsHaveNamesForLogs) {
    EXPECT_EQ(cdb_text(vpd_cdb(0xc9, 1)), "inquiry page 0xc9");
    EXPECT_EQ(cdb_text(set_port_groups_cdb(1)), "set port groups");
    Cdb unknown = test_unit_ready_cdb();
    unknown.bytes[0] = std::byte{0x03};
    EXPECT_EQ(cdb_text(unknown), "command 0x03");
}

}  // namespace
}  // namespace braidway::wire
