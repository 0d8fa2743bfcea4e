// SPDX-License-Identifier: Apache-2.0
#include "wire/scsi_port_groups.h"

#include <gtest/gtest.h>

#include "scsi_bytes.h"

namespace braidway::wire {
namespace {

const PortGroup one{1, scsi::group_optimized, true, 0x8f, 2, {1, 2}};
const PortGroup two{0x102, scsi::group_standby, false, 0x0f, 0, {}};

TEST(ScsiPortGroups, APlainReportIsRead) {
    const auto data = bytes_of({0,    0,    0, 24,              //
                                0x80, 0x8f, 0, 1,  0, 2, 0, 2,  //
                                0,    0,    0, 1,  0, 0, 0, 2,  //
                                0x02, 0x0f, 1, 2,  0, 0, 0, 0});
    const auto report = parse_port_groups(data);
    ASSERT_TRUE(report);
    EXPECT_FALSE(report->extended_header);
    EXPECT_EQ(report->groups, (std::vector{one, two}));
    EXPECT_EQ(report->bytes_wanted, data.size());
    EXPECT_EQ(port_groups_data(*report), data);
}

TEST(ScsiPortGroups, AnExtendedHeaderTellsTheTransitionTime) {
    const auto data = bytes_of({0,    0,    0, 20,              //
                                0x10, 45,   0, 0,               //
                                0x80, 0x8f, 0, 1,  0, 2, 0, 2,  //
                                0,    0,    0, 1,  0, 0, 0, 2});
    const auto report = parse_port_groups(data);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->extended_header);
    EXPECT_EQ(report->transition_seconds, 45);
    EXPECT_EQ(report->groups, (std::vector{one}));
    EXPECT_EQ(port_groups_data(*report), data);
}

// The answer of the kernel's LIO target (Linux 6.12) with one group in standby, as it came.
TEST(ScsiPortGroups, AGroupWhosePortsAreCutOffCounts) {
    const auto data = bytes_of({0, 0, 0, 12,    //
                                0x10, 0, 0, 0,  //
                                0x02, 0xcf, 0, 0, 0, 2, 0, 1});
    const auto report = parse_port_groups(data);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->extended_header);
    EXPECT_EQ(report->bytes_wanted, data.size()) << "there is no more to be had";
    EXPECT_EQ(report->groups, (std::vector<PortGroup>{{0, scsi::group_standby, false, 0xcf, 2}}));
    EXPECT_TRUE(parse_port_groups(std::span(data).first(15))->groups.empty());
}

TEST(ScsiPortGroups, AReportLargerThanItsRoomSaysHowMuchItWants) {
    PortGroupReport report;
    for (uint16_t id = 0; id < 40; ++id) report.groups.push_back({.id = id, .ports = {id}});
    const auto data = port_groups_data(report);
    const auto read = parse_port_groups(std::span(data).first(128));
    EXPECT_EQ(read->bytes_wanted, data.size());
    EXPECT_EQ(read->groups.size(), 10u) << "what was complete";
}

TEST(ScsiPortGroups, NoGroupsAreNoGroups) {
    EXPECT_TRUE(parse_port_groups(bytes_of({0, 0, 0, 0}))->groups.empty());
    EXPECT_FALSE(parse_port_groups(bytes_of({0, 0, 0})));
}

TEST(ScsiPortGroups, BytesBehindTheToldLengthDoNotCount) {
    auto data = port_groups_data({.groups = {one}});
    data.resize(data.size() + 64, std::byte{0});
    EXPECT_EQ(parse_port_groups(data)->groups.size(), 1u);
}

TEST(ScsiPortGroups, EveryBeginningIsReadWithinItsBounds) {
    size_t most = 0;
    with_every_beginning(port_groups_data({.groups = {one, two}, .extended_header = true}),
                         [&](std::span<const std::byte> data) {
                             const auto report = parse_port_groups(data);
                             ASSERT_EQ(report.has_value(), data.size() >= 4);
                             if (!report) return;
                             EXPECT_GE(report->groups.size(), most);
                             most = report->groups.size();
                         });
    EXPECT_EQ(most, 2u);
}

TEST(ScsiPortGroups, SettingsGoThereAndBack) {
    const std::vector<PortGroupSetting> settings{{1, scsi::group_optimized},
                                                 {0x102, scsi::group_standby}};
    const auto data = set_port_groups_data(settings);
    EXPECT_EQ(data, bytes_of({0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1, 2}));
    EXPECT_EQ(parse_set_port_groups(data), settings);
    EXPECT_EQ(parse_set_port_groups(std::span(data).first(11)).size(), 1u);
    EXPECT_TRUE(parse_set_port_groups({}).empty());
}

TEST(ScsiPortGroups, StatesHaveNames) {
    EXPECT_EQ(port_group_state_text(scsi::group_non_optimized), "non-optimized");
    EXPECT_EQ(port_group_state_text(scsi::group_transitioning), "transitioning");
    EXPECT_EQ(port_group_state_text(7), "state 7");
}

}  // namespace
}  // namespace braidway::wire
