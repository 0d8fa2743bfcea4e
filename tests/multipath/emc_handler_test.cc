// SPDX-License-Identifier: Apache-2.0
#include "multipath/emc_handler.h"

#include <gtest/gtest.h>

#include "handler_driver.h"

namespace braidway::multipath {
namespace {

using sim::ArrayKind;
using sim::ScsiResponder;
using sim::sense_reply;
using sim::status_reply;
using sim::transport_reply;
using wire::ClariionUnit;
using wire::ScsiTransport;
namespace scsi = wire::scsi;

/// A CLARiiON with one LUN, owned by SP A; device 0 is its path to SP A, device 1 to SP B.
struct Emc : testing::Test {
    ScsiResponder array{{.kind = ArrayKind::clariion}};
    HandlerDriver handler{"emc", array};

    void attach_both() {
        handler.attach(0);
        handler.attach(1);
    }
    /// Page 0xC0 as a reply.
    static sim::ScsiReply page(const ClariionUnit& unit) {
        sim::ScsiReply reply;
        reply.data_in = wire::clariion_unit_data(unit);
        return reply;
    }
};

TEST_F(Emc, OnlyThePathToTheOwnerAdmitsIo) {
    handler.add(0);
    EXPECT_FALSE(handler.admits(0)) << "not before its state is known";
    handler.run();
    handler.attach(1);
    EXPECT_TRUE(handler.admits(0));
    EXPECT_FALSE(handler.admits(1));
    EXPECT_EQ(handler.admissions, (std::vector<std::pair<DeviceId, bool>>{{0, true}}));
    EXPECT_TRUE(handler.admits(99)) << "the handler has no word on devices that it does not have";
}

TEST_F(Emc, AnOwnedLunNeedsNoTrespass) {
    attach_both();
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
}

TEST_F(Emc, ATrespassMovesTheLun) {
    attach_both();
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
    EXPECT_EQ(array.owner(0), 1);
    EXPECT_TRUE(handler.admits(1));
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u);
    EXPECT_FALSE(array.last_trespass()->short_page);
    EXPECT_FALSE(array.last_trespass()->honor_reservations) << "as the kernel by default";
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
}

TEST_F(Emc, AnFcArrayGetsTheShortPage) {
    for (const char* model : {"FC4700", ""}) {
        ScsiResponder old{{.kind = ArrayKind::clariion, .model = model}};
        HandlerDriver driver("emc", old);
        driver.attach(1);
        EXPECT_EQ(driver.activate(0), HandlerResult::ok) << model;
        EXPECT_EQ(old.count(scsi::op_mode_select_6), 1u);
        EXPECT_TRUE(old.last_trespass()->short_page);
    }
}

TEST_F(Emc, ParametersChooseThePageAndTheReservations) {
    for (const bool short_page : {false, true})
        for (const bool honor : {false, true}) {
            ScsiResponder one{{.kind = ArrayKind::clariion}};
            HandlerDriver driver("emc", one);
            const std::vector<std::string> words{short_page ? "1" : "0", honor ? "1" : "0"};
            EXPECT_TRUE(driver->set_parameters(words, driver.now));
            driver.attach(1);
            EXPECT_EQ(driver.activate(0), HandlerResult::ok);
            EXPECT_EQ(one.last_trespass(), (wire::ClariionTrespass{short_page, honor}));
        }
}

TEST_F(Emc, OneDevicesParametersDoNotStickToTheNext) {
    // The kernel keeps its pages in static memory, where the bit stays set (oddity a).
    const std::vector<std::string> ignore{"0", "0"};
    const std::vector<std::string> honor{"0", "1"};
    attach_both();
    EXPECT_TRUE(handler->set_parameters(ignore, handler.now));
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
    EXPECT_FALSE(array.last_trespass()->honor_reservations);
    EXPECT_TRUE(handler->set_parameters(honor, handler.now));
    handler.run();
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_TRUE(array.last_trespass()->honor_reservations);
}

TEST_F(Emc, NewParametersTrespassOwnedLunsAtOnce) {
    attach_both();
    const std::vector<std::string> words{"0", "1"};
    EXPECT_TRUE(handler->set_parameters(words, handler.now));
    handler.run();
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u) << "one device is owned";
    EXPECT_TRUE(array.last_trespass()->honor_reservations);
    EXPECT_TRUE(handler.activated.empty());
    EXPECT_TRUE(handler.admits(0));
}

TEST_F(Emc, NewParametersWaitForABusyDevice) {
    attach_both();
    handler->activate(0, handler.now);
    const std::vector<std::string> words{"0", "1"};
    EXPECT_TRUE(handler->set_parameters(words, handler.now));
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
    handler.run();
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u);
    EXPECT_EQ(handler.activated, (std::vector<HandlerDriver::Activated>{{0, HandlerResult::ok}}));
}

TEST_F(Emc, WrongParametersAreRefusedAndChangeNothing) {
    attach_both();
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"0"}, {"2", "0"}, {"0", "x"}, {"0", "0", "0"}, {"", "0"}})
        EXPECT_FALSE(handler->set_parameters(words, handler.now));
    EXPECT_TRUE(handler->set_parameters({}, handler.now));
    handler.run();
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
}

TEST_F(Emc, AFirmwareUpgradeIsBusy) {
    attach_both();
    array.set_upgrading(true);
    EXPECT_EQ(handler.activate(0), HandlerResult::device_busy);
    EXPECT_EQ(handler.activate(1), HandlerResult::device_busy);
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
    array.set_upgrading(false);
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
}

struct PageRow {
    uint8_t unit_state;
    uint8_t failover_mode;
    HandlerResult result;
};

TEST_F(Emc, WhatTheInquiryPageSaysDecides) {
    const PageRow rows[] = {
        {ClariionUnit::owned, 4, HandlerResult::ok},
        {ClariionUnit::owned, 6, HandlerResult::ok},
        {ClariionUnit::owned, 0, HandlerResult::no_handler},
        {ClariionUnit::owned, 5, HandlerResult::no_handler},
        {ClariionUnit::bound, 1, HandlerResult::no_handler},
        {3, 4, HandlerResult::no_handler},
        {255, 6, HandlerResult::no_handler},
    };
    attach_both();
    for (const PageRow& row : rows) {
        array.script(scsi::op_inquiry,
                     page({.unit_state = row.unit_state, .failover_mode = row.failover_mode}));
        EXPECT_EQ(handler.activate(0), row.result)
            << int{row.unit_state} << ' ' << int{row.failover_mode};
        EXPECT_EQ(handler.admits(0), row.result == HandlerResult::ok);
    }
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 0u);
}

TEST_F(Emc, AnUnboundLunIsTrespassedLikeABoundOne) {
    attach_both();
    array.script(scsi::op_inquiry, page({.unit_state = ClariionUnit::unbound, .failover_mode = 4}));
    EXPECT_EQ(handler.activate(0), HandlerResult::ok);
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u);
}

TEST_F(Emc, APageThatIsNoneIsAnIoError) {
    attach_both();
    sim::ScsiReply reply;
    reply.data_in.resize(20);
    array.script(scsi::op_inquiry, reply);
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
}

struct TrespassRow {
    sim::ScsiReply reply;
    HandlerResult result;
};

TEST_F(Emc, TheAnswerToATrespassDecides) {
    const TrespassRow rows[] = {
        {sense_reply(5, 0x04, 0x00), HandlerResult::device_busy},
        {sense_reply(2, 0x04, 0x03), HandlerResult::device_busy},
        {sense_reply(5, 0x26, 0x00), HandlerResult::device_failed},
        {sense_reply(4, 0x44, 0x00), HandlerResult::device_failed},
        {status_reply(scsi::status_reservation_conflict), HandlerResult::io},
        {status_reply(scsi::status_check_condition), HandlerResult::io},
        {transport_reply(ScsiTransport::no_connection), HandlerResult::not_connected},
        {transport_reply(ScsiTransport::connection_lost), HandlerResult::connection_failure},
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
        {transport_reply(ScsiTransport::aborted), HandlerResult::timed_out},
    };
    attach_both();
    for (const TrespassRow& row : rows) {
        array.script(scsi::op_mode_select_10, row.reply);
        EXPECT_EQ(handler.activate(1), row.result) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_FALSE(handler.admits(1));
    }
}

TEST_F(Emc, AnArrayCopyIsBusy) {
    attach_both();
    array.set_array_copy(true);
    EXPECT_EQ(handler.activate(1), HandlerResult::device_busy);
}

TEST_F(Emc, AReservedLunStaysWhenReservationsAreHonored) {
    const std::vector<std::string> honor{"0", "1"};
    EXPECT_TRUE(handler->set_parameters(honor, handler.now));
    attach_both();
    array.set_reserved(true);
    EXPECT_EQ(handler.activate(1), HandlerResult::io);
    EXPECT_EQ(array.owner(0), 0);
}

TEST_F(Emc, ATrespassThatMovedNothingIsNotOk) {
    // The kernel reports success (oddity c).
    attach_both();
    array.script(scsi::op_mode_select_10, status_reply(scsi::status_good));
    EXPECT_EQ(handler.activate(1), HandlerResult::retry);
    EXPECT_FALSE(handler.admits(1));
}

TEST_F(Emc, PassingTroubleIsTriedAgainThreeTimes) {
    attach_both();
    array.script(scsi::op_inquiry, sense_reply(6, 0x29, 0x00), 3);
    array.script(scsi::op_mode_select_10, status_reply(scsi::status_busy), 3);
    const Instant before = handler.now;
    EXPECT_EQ(handler.activate(1), HandlerResult::ok);
    EXPECT_EQ(handler.now - before, 3 * handler_busy_pause) << "busy arrays get time";
    array.script(scsi::op_inquiry, sense_reply(6, 0x29, 0x00), 4);
    EXPECT_EQ(handler.activate(0), HandlerResult::io);
    array.clear_script();
    array.script(scsi::op_mode_select_10, sense_reply(6, 0x29, 0x00), 4);
    EXPECT_EQ(handler.activate(0), HandlerResult::device_failed);
}

TEST_F(Emc, InquiryTroubleEndsTheActivation) {
    attach_both();
    const TrespassRow rows[] = {
        {transport_reply(ScsiTransport::timed_out), HandlerResult::timed_out},
        {transport_reply(ScsiTransport::no_connection), HandlerResult::not_connected},
        {sense_reply(5, 0x25, 0x00), HandlerResult::device_offlined},
        {sense_reply(5, 0x24, 0x00), HandlerResult::io},
    };
    for (const TrespassRow& row : rows) {
        array.script(scsi::op_inquiry, row.reply);
        EXPECT_EQ(handler.activate(0), row.result);
        EXPECT_TRUE(handler.admits(0)) << "what was known stays";
    }
    array.script(scsi::op_inquiry, transport_reply(ScsiTransport::no_resources), 4);
    EXPECT_EQ(handler.activate(0), HandlerResult::resources_unavailable);
}

TEST_F(Emc, ACommandIsGivenUpSixtySecondsAndSomeAfterItWasSent) {
    // The kernel multiplies this time by HZ once too often (oddity b).
    attach_both();
    handler->activate(1, handler.now);
    handler.drain();
    EXPECT_EQ(handler.commands.front().timeout, std::chrono::seconds(60));
    const ScsiCommand lost = handler.commands.front();
    handler.commands.clear();
    EXPECT_EQ(handler.deadline - handler.now, std::chrono::seconds(65));
    handler.ring();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>{{1, HandlerResult::timed_out}}));
    handler.answer(lost, {});
    EXPECT_EQ(handler.activated.size(), 1u) << "its answer comes too late";
}

TEST_F(Emc, SenseDataOfIoAreReadByTheTable) {
    using Kind = SenseVerdict::Kind;
    const SenseRow rows[] = {
        {2, 0x04, 0x03, Kind::fail_path, IoStatus::io},
        {5, 0x25, 0x01, Kind::fail_io, IoStatus::target},
        {6, 0x29, 0x00, Kind::requeue, IoStatus::io},
        {2, 0x04, 0x01, Kind::not_handled, IoStatus::io},
        {5, 0x25, 0x00, Kind::not_handled, IoStatus::io},
        {6, 0x29, 0x01, Kind::not_handled, IoStatus::io},
    };
    attach_both();
    for (const SenseRow& row : rows)
        EXPECT_EQ(handler.check_sense(0, row.key, row.asc, row.ascq),
                  (SenseVerdict{row.kind, row.status}))
            << int{row.key} << '/' << int{row.asc} << '/' << int{row.ascq};
    EXPECT_EQ(handler.check_sense(99, 2, 0x04, 0x03).kind, Kind::not_handled);
}

TEST_F(Emc, APassivePathsWordMakesTheHandlerLook) {
    attach_both();
    array.set_owner(0, 1);
    handler.check_sense(0, 2, 0x04, 0x03);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
}

TEST_F(Emc, ActivationsOfOneDeviceShareOneTrespassAndAreAllAnswered) {
    attach_both();
    for (int n = 0; n < 3; ++n) handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(array.count(scsi::op_mode_select_10), 1u);
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>(3, {1, HandlerResult::ok})));
}

TEST_F(Emc, ADeviceThatGoesAnswersItsActivations) {
    attach_both();
    handler->activate(1, handler.now);
    handler->activate(1, handler.now);
    handler->detach(1, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated,
              (std::vector<HandlerDriver::Activated>(2, {1, HandlerResult::device_offlined})));
    EXPECT_EQ(handler.activate(1), HandlerResult::no_handler);
    EXPECT_EQ(handler->status_text(1), "not attached");
}

TEST_F(Emc, OtherArraysAreNotAttached) {
    DeviceIdentity other = handler.identity(0, 0);
    other.clariion_model.reset();
    EXPECT_FALSE(handler->attach(5, other, handler.now));
    EXPECT_FALSE(handler->attached(5));
}

TEST_F(Emc, TellsItsStateInWords) {
    handler.add(1);
    EXPECT_EQ(handler->status_text(0), "not yet known");
    handler.run();
    EXPECT_EQ(handler->status_text(0), "SP A port 1: bound, default SP A");
    array.set_upgrading(true);
    EXPECT_EQ(handler.activate(0), HandlerResult::device_busy);
    EXPECT_EQ(handler->status_text(0), "SP A port 1: bound, default SP A, firmware upgrade");
}

}  // namespace
}  // namespace braidway::multipath
