// SPDX-License-Identifier: Apache-2.0
// Reports of port groups and requests to change them: the alua handler's decision table.
#include <gtest/gtest.h>

#include "alua_driver.h"
#include "multipath/alua_limits.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;
using sim::sense_reply;
using sim::status_reply;
using sim::transport_reply;
using wire::ScsiTransport;
namespace scsi = wire::scsi;
using AluaGroups = AluaTest;

struct ChangeRow {
    ArrayKind kind;
    uint8_t state;
    bool preferred;
    bool optimize;
    bool sends;
    HandlerResult result;
};

TEST(AluaChange, StateSupportAndParameterDecideWhetherAChangeIsAskedFor) {
    using enum HandlerResult;
    constexpr auto both = ArrayKind::alua_both;
    constexpr auto hosts = ArrayKind::alua_explicit;
    constexpr auto itself = ArrayKind::alua_implicit;
    const ChangeRow rows[] = {
        {hosts, scsi::group_optimized, false, false, false, ok},
        {hosts, scsi::group_non_optimized, false, false, true, ok},
        {hosts, scsi::group_non_optimized, false, true, true, ok},
        {both, scsi::group_non_optimized, false, false, true, ok},
        {both, scsi::group_non_optimized, false, true, false, ok},
        {both, scsi::group_non_optimized, true, true, true, ok},
        {hosts, scsi::group_standby, false, false, true, ok},
        {both, scsi::group_standby, false, true, true, ok},
        {hosts, scsi::group_unavailable, false, false, true, ok},
        {hosts, scsi::group_offline, false, false, false, device_offlined},
        {hosts, scsi::group_lba_dependent, false, false, false, no_handler},
        {hosts, 7, false, false, false, no_handler},
        {itself, scsi::group_optimized, false, false, false, ok},
        {itself, scsi::group_non_optimized, false, false, false, ok},
        {itself, scsi::group_standby, false, false, false, ok},
        {itself, scsi::group_offline, false, false, false, device_offlined},
    };
    for (const ChangeRow& row : rows) {
        ScsiResponder array{{.kind = row.kind}};
        HandlerDriver handler("alua", array);
        const std::vector<std::string> words{row.optimize ? "1" : "0"};
        EXPECT_TRUE(handler->set_parameters(words, handler.now));
        handler.attach(0);
        array.set_group_state(0, 1, row.state, handler.now);
        array.set_group_preferred(0, 1, row.preferred);
        EXPECT_EQ(handler.activate(0), row.result) << int{row.state};
        EXPECT_EQ(array.count(scsi::op_maintenance_out), row.sends ? 1u : 0u) << int{row.state};
        if (row.sends) {
            EXPECT_EQ(array.group_state(0, 1, handler.now), scsi::group_optimized);
            EXPECT_TRUE(handler.admits(0));
        }
    }
}

TEST(AluaChange, AnArrayThatDecidesItselfIsReadOnceMore) {
    ScsiResponder array{{.kind = ArrayKind::alua_implicit}};
    HandlerDriver handler("alua", array);
    handler.attach(1);
    const uint32_t before = array.count(scsi::op_maintenance_in);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_maintenance_in) - before, 2u);
    EXPECT_FALSE(handler.admits(0)) << "still standby";
}

TEST_F(AluaGroups, GroupsThatWaitTogetherAreNamedInOneCommand) {
    // The kernel asks for one group at a time, and an array with one optimized side would go to and
    // fro (oddity e).
    array.set_group_state(0, 1, scsi::group_standby, handler.now);
    handler->activate(0, handler.now);
    handler->activate(2, handler.now);
    handler.run();
    EXPECT_EQ(settings(), 1u);
    EXPECT_EQ(array.last_settings().size(), 2u);
    EXPECT_EQ(handler.activated.size(), 2u);
    EXPECT_TRUE(handler.admits(0));
    EXPECT_TRUE(handler.admits(2));
}

TEST_F(AluaGroups, TheOtherGroupsNewStateIsTakenOver) {
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    EXPECT_EQ(array.last_settings().size(), 1u) << "nobody asked for group 1";
    EXPECT_FALSE(handler.admits(0)) << "the array moved it to standby";
    EXPECT_TRUE(handler.admits(3));
}

TEST_F(AluaGroups, ARefusedChangeIsFollowedByAReportAndNotByAFailure) {
    array.script(scsi::op_maintenance_out, sense_reply(5, 0x26, 0));
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    EXPECT_FALSE(handler.admits(2)) << "the veto tells the truth";
    array.script(scsi::op_maintenance_out, sense_reply(6, 0x29, 0));
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    EXPECT_FALSE(handler.admits(2));
}

struct FailureRow {
    sim::ScsiReply reply;
    HandlerResult result;
};

TEST_F(AluaGroups, AChangeWithoutAnAnswerFails) {
    const FailureRow rows[] = {
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
        {status_reply(scsi::status_reservation_conflict), HandlerResult::io},
        {transport_reply(ScsiTransport::aborted), HandlerResult::timed_out},
    };
    for (const FailureRow& row : rows) {
        array.script(scsi::op_maintenance_out, row.reply);
        EXPECT_EQ(handler.activate(2), row.result) << wire::scsi_answer_text(row.reply.answer());
    }
    array.script(scsi::op_maintenance_out, status_reply(scsi::status_busy), 6);
    EXPECT_EQ(handler.activate(2), HandlerResult::io);
    array.script(scsi::op_maintenance_out, transport_reply(ScsiTransport::connection_lost), 2);
    EXPECT_EQ(handler.activate(2), HandlerResult::connection_failure) << "on both devices";
    array.script(scsi::op_maintenance_out, transport_reply(ScsiTransport::no_connection), 2);
    EXPECT_EQ(handler.activate(2), HandlerResult::not_connected) << "on both devices";
    array.script(scsi::op_maintenance_out, transport_reply(ScsiTransport::no_connection), 1);
    EXPECT_EQ(handler.activate(2), HandlerResult::ok) << "on one device";
}

TEST_F(AluaGroups, AReportThatFailsEndsTheActivation) {
    const FailureRow rows[] = {
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
        {status_reply(scsi::status_reservation_conflict), HandlerResult::io},
        {status_reply(scsi::status_check_condition), HandlerResult::io},
        {sense_reply(4, 0x44, 0), HandlerResult::io},
        {sense_reply(2, 0x04, 0x03), HandlerResult::io},
    };
    for (const FailureRow& row : rows) {
        array.script(scsi::op_maintenance_in, row.reply);
        EXPECT_EQ(handler.activate(2), row.result) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_EQ(settings(), 0u) << "no change without knowing";
    }
    array.script(scsi::op_maintenance_in, sense_reply(5, 0x25, 0), 2);
    EXPECT_EQ(handler.activate(2), HandlerResult::device_offlined);
}

TEST_F(AluaGroups, AnotherDeviceOfTheGroupIsUsedWhenOneHasNoConnection) {
    array.set_port_connected(2, false);
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    EXPECT_EQ(state(2), scsi::group_optimized);
    array.set_port_connected(3, false);
    EXPECT_EQ(handler.activate(2), HandlerResult::resources_unavailable);
    EXPECT_EQ(handler.activate(3), HandlerResult::resources_unavailable);
}

TEST(AluaReport, TheExtendedHeaderIsLeftOutAfterAnIllegalRequest) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit, .extended_headers = false}};
    HandlerDriver handler("alua", array);
    handler.attach(1);
    EXPECT_EQ(array.count(scsi::op_maintenance_in), 2u);
    EXPECT_FALSE(handler.admits(0)) << "the plain report was understood";
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_EQ(array.count(scsi::op_maintenance_in), 3u) << "it is not tried again";
    array.script(scsi::op_maintenance_in, sense_reply(5, 0x24, 0));
    EXPECT_EQ(handler.activate(0), HandlerResult::io) << "the plain one was refused";
}

TEST(AluaReport, TheBufferGrowsToTheReport) {
    sim::ArrayShape shape{.kind = ArrayKind::alua_explicit};
    shape.ports.clear();
    for (uint16_t group = 1; group <= 60; ++group)
        shape.ports.push_back({static_cast<uint8_t>(group == 60 ? 1 : 0), group});
    ScsiResponder array{shape};
    HandlerDriver handler("alua", array);
    handler.attach(59);
    EXPECT_EQ(array.count(scsi::op_maintenance_in), 2u);
    EXPECT_FALSE(handler.admits(0)) << "the last group of the report";
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_EQ(array.count(scsi::op_maintenance_in), 3u) << "the size is remembered";
}

TEST_F(AluaGroups, AReportThatNeverFitsIsReadAsFarAsItCame) {
    sim::ScsiReply endless;
    endless.data_in = wire::port_groups_data({.groups = {{.id = 1, .state = scsi::group_standby}}});
    endless.data_in[0] = endless.data_in[1] = std::byte{0xff};
    array.script(scsi::op_maintenance_in, endless, 100);
    const uint32_t before = reports();
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_LE(reports() - before, 2u);
    array.clear_script();
    sim::ScsiReply none;
    none.data_in.resize(3);
    array.script(scsi::op_maintenance_in, none);
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
}

TEST_F(AluaGroups, UnitAttentionsAreTriedAgainUntilTheTransitionTimeEnds) {
    array.script(scsi::op_maintenance_in, sense_reply(6, 0x29, 0), 5);
    Instant before = handler.now;
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(handler.now - before, alua::start_delay) << "the first ones at once";
    array.script(scsi::op_maintenance_in, sense_reply(6, 0x29, 0), 8);
    before = handler.now;
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(handler.now - before, alua::start_delay + 3 * alua::poll_interval);
    array.script(scsi::op_maintenance_in, sense_reply(6, 0x29, 0), 100000);
    before = handler.now;
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
    EXPECT_GE(handler.now - before, alua::transition_time_default);
    EXPECT_LE(handler.now - before, alua::transition_time_default + std::chrono::seconds(5));
}

TEST_F(AluaGroups, BusyArraysAreTriedFiveTimesMore) {
    array.script(scsi::op_maintenance_in, status_reply(scsi::status_busy), 5);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    array.script(scsi::op_maintenance_in, status_reply(scsi::status_busy), 6);
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
    array.script(scsi::op_maintenance_in, transport_reply(ScsiTransport::no_resources), 6);
    EXPECT_EQ(handler.activate(0), HandlerResult::resources_unavailable);
}

TEST(AluaReport, WhereNothingButOptimizedIsPossibleFailuresMeanNothing) {
    ScsiResponder array{
        {.kind = ArrayKind::alua_explicit, .group_support = scsi::supports_optimized}};
    HandlerDriver handler("alua", array);
    handler.attach(0);
    array.script(scsi::op_maintenance_in, sense_reply(2, 0x04, 0x03));
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    array.script(scsi::op_maintenance_in, transport_reply(ScsiTransport::timed_out));
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    // Unless the last report that came said otherwise.
    array.set_group_state(0, 1, scsi::group_offline, handler.now);
    EXPECT_EQ(handler.activate(0), HandlerResult::device_offlined);
    array.script(scsi::op_maintenance_in, sense_reply(2, 0x04, 0x03));
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
}

TEST_F(AluaGroups, AReportWithoutTheGroupLeavesItsState) {
    sim::ScsiReply other;
    other.data_in = wire::port_groups_data({.groups = {{.id = 9, .state = scsi::group_offline}}});
    array.script(scsi::op_maintenance_in, other);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_TRUE(handler.admits(0));
}

}  // namespace
}  // namespace braidway::multipath
