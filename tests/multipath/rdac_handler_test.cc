// SPDX-License-Identifier: Apache-2.0
#include "multipath/rdac_handler.h"

#include <gtest/gtest.h>

#include "handler_driver.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;
using sim::sense_reply;
using sim::status_reply;
using sim::transport_reply;
using wire::RdacAccess;
using wire::ScsiTransport;
namespace scsi = wire::scsi;

/// An RDAC array; device 0 is LUN 0 through its owner, device 1 through the other controller.
struct Rdac : testing::Test {
    ScsiResponder array{{.kind = ArrayKind::rdac}};
    HandlerDriver handler{"rdac", array};

    void attach_both() {
        handler.attach(0);
        handler.attach(1);
    }
};

TEST_F(Rdac, ALunIsAdmittedUntilItsControllerIsKnownNotToOwnIt) {
    handler.add(1);
    EXPECT_TRUE(handler.admits(0));
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_EQ(handler.admissions, (std::vector<std::pair<DeviceId, bool>>{{0, false}}));
    EXPECT_TRUE(handler.admits(99));
    EXPECT_EQ(array.count(scsi::op_inquiry), 2u + 4u) << "four pages, after the two of the driver";
}

struct ModeRow {
    RdacAccess::Mode mode;
    bool owned;
    bool preferred;
    bool moves;
    bool admits_before;
};

TEST_F(Rdac, ModeOwnershipAndPreferenceDecideWhetherALunIsMoved) {
    using Mode = RdacAccess::Mode;
    const ModeRow rows[] = {
        {Mode::rdac, true, false, false, true},    {Mode::rdac, false, false, true, false},
        {Mode::rdac, false, true, true, false},    {Mode::ioship, true, false, false, true},
        {Mode::ioship, false, false, false, true}, {Mode::ioship, false, true, true, true},
        {Mode::avt, true, false, false, true},     {Mode::avt, false, false, false, true},
        {Mode::avt, false, true, false, true},
    };
    for (const ModeRow& row : rows) {
        ScsiResponder one{{.kind = ArrayKind::rdac, .rdac_mode = row.mode}};
        one.set_owner(0, row.owned ? 0 : 1);
        one.set_preferred_controller(0, row.preferred ? 0 : 1);
        HandlerDriver driver("rdac", one);
        driver.attach(0);
        EXPECT_EQ(driver.admits(0), row.admits_before);
        EXPECT_EQ(driver.activate(0), HandlerResult::ok);
        EXPECT_EQ(one.count(scsi::op_mode_select_10), row.moves ? 1u : 0u);
        EXPECT_TRUE(driver.admits(0));
    }
}

TEST_F(Rdac, ActivationReadsOnlyTheAccessPageAgain) {
    attach_both();
    const uint32_t before = array.count(scsi::op_inquiry);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_inquiry) - before, 1u);
}

struct PageRow {
    sim::ScsiReply reply;
    HandlerResult result;
};

TEST_F(Rdac, AnArrayThatDoesNotKnowThePagesHasNoHandler) {
    ScsiResponder other{{.kind = ArrayKind::plain}};
    HandlerDriver driver("rdac", other);
    driver.attach(0);
    EXPECT_EQ(driver.activate(0), HandlerResult::io) << "the page was refused";
    sim::ScsiReply strange;
    strange.data_in.resize(200);
    other.script(scsi::op_inquiry, strange);
    EXPECT_EQ(driver.activate(0), HandlerResult::no_handler) << "another page came";
}

TEST_F(Rdac, PagesThatFailedAreReadAtTheNextActivation) {
    for (unsigned good = 0; good < 3; ++good) {
        ScsiResponder one{{.kind = ArrayKind::rdac}};
        HandlerDriver driver("rdac", one);
        driver.add(1);
        driver.drain();
        for (unsigned n = 0; n < good; ++n) driver.answer_one();
        one.script(scsi::op_inquiry, transport_reply(ScsiTransport::timed_out));
        driver.run();
        EXPECT_EQ(driver->status_text(0), "not yet known");
        EXPECT_EQ(driver.activate(0), HandlerResult::ok);
        EXPECT_EQ(one.owner(0), 1);
    }
}

TEST_F(Rdac, APageThatDoesNotComeEndsTheActivation) {
    sim::ScsiReply strange;
    strange.data_in.resize(200);
    const PageRow rows[] = {
        {strange, HandlerResult::io},
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
        {transport_reply(ScsiTransport::no_connection), HandlerResult::not_connected},
        {transport_reply(ScsiTransport::connection_lost), HandlerResult::connection_failure},
        {sense_reply(5, 0x25, 0), HandlerResult::device_offlined},
        {sense_reply(4, 0x44, 0), HandlerResult::io},
    };
    attach_both();
    for (const PageRow& row : rows) {
        array.script(scsi::op_inquiry, row.reply);
        EXPECT_EQ(handler.activate(1), row.result) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
    }
    array.script(scsi::op_inquiry, sense_reply(6, 0x29, 0), 3);
    EXPECT_EQ(handler.activate(1), HandlerResult::ok) << "passing trouble";
    array.script(scsi::op_inquiry, transport_reply(ScsiTransport::no_resources), 4);
    EXPECT_EQ(handler.activate(1), HandlerResult::resources_unavailable);
}

TEST_F(Rdac, SenseDataOfIoAreReadByTheTable) {
    using Kind = SenseVerdict::Kind;
    const SenseRow rows[] = {
        {2, 0x04, 0x01, Kind::requeue, IoStatus::io},
        {2, 0x04, 0xa1, Kind::requeue, IoStatus::io},
        {2, 0xa1, 0x02, Kind::requeue, IoStatus::io},
        {6, 0x29, 0x00, Kind::requeue, IoStatus::io},
        {6, 0x8b, 0x02, Kind::requeue, IoStatus::io},
        {2, 0x04, 0x81, Kind::fail_path, IoStatus::io},
        {5, 0x94, 0x02, Kind::not_handled, IoStatus::io},
        {6, 0x29, 0x01, Kind::not_handled, IoStatus::io},
        {5, 0x94, 0x01, Kind::fail_path, IoStatus::io},
    };
    attach_both();
    for (const SenseRow& row : rows) {
        EXPECT_TRUE(handler.admits(0));
        EXPECT_EQ(handler.check_sense(0, row.key, row.asc, row.ascq),
                  (SenseVerdict{row.kind, row.status}))
            << int{row.key} << '/' << int{row.asc} << '/' << int{row.ascq};
    }
    EXPECT_FALSE(handler.admits(0)) << "05/94/01: the other controller owns it";
    EXPECT_EQ(handler.check_sense(99, 5, 0x94, 0x01).kind, Kind::not_handled);
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_TRUE(handler.admits(0)) << "it did own it";
}

TEST_F(Rdac, ALostLunIsNoticedByARescan) {
    attach_both();
    array.set_owner(0, 1);
    handler->rescan(0, handler.now);
    handler->rescan(1, handler.now);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_TRUE(handler.admits(1));
}

TEST_F(Rdac, ActivationsOfOneDeviceAreAllAnswered) {
    attach_both();
    for (int n = 0; n < 3; ++n) handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>(3, {1, HandlerResult::ok})));
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u);
    handler.activated.clear();
    handler->activate(1, handler.now);
    handler->detach(1, handler.now);
    handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>{{1, HandlerResult::device_offlined},
                                                     {1, HandlerResult::no_handler}}));
}

TEST_F(Rdac, TakesNoParameters) {
    const std::vector<std::string> words{"1"};
    EXPECT_FALSE(handler->set_parameters(words, handler.now));
    EXPECT_TRUE(handler->set_parameters({}, handler.now));
}

TEST_F(Rdac, TellsItsStateInWords) {
    attach_both();
    EXPECT_EQ(handler->status_text(0), "RDAC controller 0 lun 0: owned, preferred");
    EXPECT_EQ(handler->status_text(1), "RDAC controller 1 lun 0: not owned, passive");
    EXPECT_EQ(handler->status_text(2), "not attached");
}

}  // namespace
}  // namespace braidway::multipath
