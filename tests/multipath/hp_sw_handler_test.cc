// SPDX-License-Identifier: Apache-2.0
#include "multipath/hp_sw_handler.h"

#include <gtest/gtest.h>

#include "handler_driver.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;
using sim::sense_reply;
using sim::status_reply;
using sim::transport_reply;
using wire::ScsiTransport;
namespace scsi = wire::scsi;

/// An HP array with one LUN; device 0 is the active path, device 1 the passive one.
struct HpSw : testing::Test {
    ScsiResponder array{{.kind = ArrayKind::hp_sw}};
    HandlerDriver handler{"hp_sw", array};

    void attach_both() {
        handler.attach(0);
        handler.attach(1);
    }
};

TEST_F(HpSw, OnlyTheActivePathAdmitsIo) {
    handler.add(0);
    EXPECT_FALSE(handler.admits(0)) << "not before its state is known";
    handler.run();
    handler.attach(1);
    EXPECT_TRUE(handler.admits(0));
    EXPECT_FALSE(handler.admits(1));
    EXPECT_TRUE(handler.admits(99));
}

TEST_F(HpSw, AnActivePathNeedsNoStart) {
    attach_both();
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 0u);
}

TEST_F(HpSw, APassivePathIsStartedAndIsActiveAtOnce) {
    // The kernel goes on taking it for passive (oddity d).
    attach_both();
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 1u);
    EXPECT_EQ(array.owner(0), 1);
    EXPECT_TRUE(handler.admits(1));
}

struct Row {
    sim::ScsiReply reply;
    HandlerResult result;
};

TEST_F(HpSw, TheAnswerToTheTestDecides) {
    const Row rows[] = {
        {sense_reply(2, 0x04, 0x03), HandlerResult::io},
        {sense_reply(5, 0x25, 0x00), HandlerResult::device_offlined},
        {status_reply(scsi::status_reservation_conflict), HandlerResult::io},
        {transport_reply(ScsiTransport::no_connection), HandlerResult::not_connected},
        {transport_reply(ScsiTransport::connection_lost), HandlerResult::connection_failure},
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
    };
    attach_both();
    for (const Row& row : rows) {
        array.script(scsi::op_test_unit_ready, row.reply);
        EXPECT_EQ(handler.activate(1), row.result) << wire::scsi_answer_text(row.reply.answer());
    }
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 0u);
}

TEST_F(HpSw, UnitAttentionsAreTriedAgainButNotForEver) {
    attach_both();
    array.script(scsi::op_test_unit_ready, sense_reply(6, 0x29, 0x00), 5);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    array.script(scsi::op_test_unit_ready, sense_reply(6, 0x29, 0x00), 6);
    EXPECT_EQ(handler.activate(0), HandlerResult::retry_now);
    array.script(scsi::op_test_unit_ready, status_reply(scsi::status_busy), 6);
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
    array.script(scsi::op_test_unit_ready, transport_reply(ScsiTransport::no_resources), 6);
    EXPECT_EQ(handler.activate(0), HandlerResult::resources_unavailable);
}

TEST_F(HpSw, ASwitchOverUnderWayIsTriedThreeTimesMore) {
    attach_both();
    array.script(scsi::op_start_stop_unit, sense_reply(2, 0x04, 0x03), 3);
    const Instant before = handler.now;
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 4u);
    EXPECT_EQ(handler.now - before, 3 * handler_busy_pause);
    array.script(scsi::op_start_stop_unit, sense_reply(2, 0x04, 0x03), 4);
    EXPECT_EQ(handler.activate(0), HandlerResult::retry);
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 8u);
    EXPECT_FALSE(handler.admits(0));
}

TEST_F(HpSw, TheAnswerToTheStartDecides) {
    const Row rows[] = {
        {sense_reply(2, 0x04, 0x02), HandlerResult::io},
        {sense_reply(4, 0x44, 0x00), HandlerResult::io},
        {transport_reply(ScsiTransport::no_connection), HandlerResult::not_connected},
        {transport_reply(ScsiTransport::connection_lost), HandlerResult::connection_failure},
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
    };
    attach_both();
    for (const Row& row : rows) {
        array.script(scsi::op_start_stop_unit, row.reply);
        EXPECT_EQ(handler.activate(1), row.result) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_FALSE(handler.admits(1));
    }
}

TEST_F(HpSw, ARescanLooksWithoutStarting) {
    attach_both();
    array.set_owner(0, 1);
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 0u);
    EXPECT_EQ(handler->status_text(0), "passive");
}

TEST_F(HpSw, ItHasNoWordOnSenseDataAndTakesNoParameters) {
    attach_both();
    EXPECT_EQ(handler.check_sense(0, 2, 0x04, 0x02).kind, SenseVerdict::Kind::not_handled);
    const std::vector<std::string> words{"1"};
    EXPECT_FALSE(handler->set_parameters(words, handler.now));
    EXPECT_TRUE(handler->set_parameters({}, handler.now));
}

TEST_F(HpSw, EveryActivationIsAnsweredOnceAlsoWhenTheDeviceGoes) {
    attach_both();
    handler->activate(1, handler.now);
    handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>(2, {1, HandlerResult::ok})));
    EXPECT_EQ(array.count(scsi::op_start_stop_unit), 1u);
    handler.activated.clear();
    handler->activate(1, handler.now);
    handler->detach(1, handler.now);
    handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>{{1, HandlerResult::device_offlined},
                                                     {1, HandlerResult::no_handler}}));
}

TEST_F(HpSw, TellsItsStateInWords) {
    handler.add(0);
    EXPECT_EQ(handler->status_text(0), "not yet known");
    handler.run();
    EXPECT_EQ(handler->status_text(0), "active");
    EXPECT_EQ(handler->status_text(9), "not attached");
}

}  // namespace
}  // namespace braidway::multipath
