// SPDX-License-Identifier: Apache-2.0
#include "sim/scsi_responder.h"

#include <gtest/gtest.h>

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;
namespace scsi = wire::scsi;

constexpr Instant start{1'000'000'000};

ScsiReply send(ScsiResponder& array, uint8_t port, const wire::Cdb& cdb, Instant now = start,
               std::span<const std::byte> data_out = {}) {
    return array.respond(port, 0, cdb.view(), data_out, 4096, now);
}

TEST(ScsiResponder, TheScriptIsUsedUpInOrderAndOnItsPort) {
    ScsiResponder array{{}};
    array.script(scsi::op_test_unit_ready, status_reply(scsi::status_busy), 2, 1);
    array.script(scsi::op_test_unit_ready, sense_reply(6, 0x29, 0));
    EXPECT_EQ(send(array, 0, wire::test_unit_ready_cdb()).status, scsi::status_check_condition);
    EXPECT_EQ(send(array, 0, wire::test_unit_ready_cdb()).status, scsi::status_good);
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).status, scsi::status_busy);
    EXPECT_EQ(send(array, 1, wire::inquiry_cdb(36)).status, scsi::status_good) << "other command";
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).status, scsi::status_busy);
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).status, scsi::status_good);
    EXPECT_EQ(array.count(scsi::op_test_unit_ready), 5u);
    array.script(scsi::op_test_unit_ready, status_reply(scsi::status_busy), 9);
    array.clear_script();
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).status, scsi::status_good);
}

TEST(ScsiResponder, APortWithoutALinkTakesNothing) {
    ScsiResponder array{{}};
    array.set_port_connected(1, false);
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).transport,
              wire::ScsiTransport::no_connection);
    EXPECT_EQ(array.count(scsi::op_test_unit_ready), 0u);
    EXPECT_EQ(send(array, 0, wire::test_unit_ready_cdb()).transport, wire::ScsiTransport::answered);
    array.set_port_connected(1, true);
    EXPECT_EQ(send(array, 1, wire::test_unit_ready_cdb()).status, scsi::status_good);
}

TEST(ScsiResponder, UnknownLunsAndCommandsAreRefused) {
    ScsiResponder array{{}};
    const auto other = array.respond(0, 9, wire::test_unit_ready_cdb().view(), {}, 0, start);
    EXPECT_TRUE(wire::parse_sense(other.sense)->is(5, 0x25, 0));
    wire::Cdb cdb = wire::test_unit_ready_cdb();
    cdb.bytes[0] = std::byte{0x03};
    EXPECT_TRUE(wire::parse_sense(send(array, 0, cdb).sense)->is(5, 0x20, 0));
}

TEST(ScsiResponder, AChangedGroupIsInTransitionForAWhile) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit}};
    EXPECT_EQ(array.group_state(0, 1, start), scsi::group_optimized);
    EXPECT_EQ(array.group_state(0, 2, start), scsi::group_standby);
    array.set_transition_time(3s);
    array.set_group_state(0, 2, scsi::group_optimized, start);
    EXPECT_EQ(array.group_state(0, 2, start + 2s), scsi::group_transitioning);
    EXPECT_EQ(array.group_state(0, 2, start + 3s), scsi::group_optimized);
    EXPECT_EQ(array.group_state(0, 1, start), scsi::group_optimized)
        << "by itself, the other stays";
}

TEST(ScsiResponder, AnswersOwnTheirBytes) {
    ScsiReply reply = sense_reply(2, 0x04, 0x0a);
    const wire::ScsiAnswer answer = reply.answer();
    EXPECT_TRUE(wire::parse_sense(answer.sense)->is(2, 0x04, 0x0a));
    EXPECT_EQ(transport_reply(wire::ScsiTransport::timed_out).answer().transport,
              wire::ScsiTransport::timed_out);
}

TEST(ScsiResponder, NoMoreDataComeThanThereIsRoomFor) {
    ScsiResponder array{{}};
    EXPECT_EQ(array.respond(0, 0, wire::inquiry_cdb(36).view(), {}, 20, start).data_in.size(), 20u);
    EXPECT_EQ(array.respond(0, 0, wire::inquiry_cdb(8).view(), {}, 99, start).data_in.size(), 8u);
}

}  // namespace
}  // namespace braidway::sim
