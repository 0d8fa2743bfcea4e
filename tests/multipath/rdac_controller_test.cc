// SPDX-License-Identifier: Apache-2.0
// LUNs that move together: one MODE SELECT for one controller.
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

/// Four LUNs, all owned by controller 0, seen through controller 1 as devices 0 to 3.
struct RdacController : testing::Test {
    ScsiResponder array{{.kind = ArrayKind::rdac, .luns = 4}};
    HandlerDriver handler{"rdac", array};

    RdacController() {
        for (uint8_t lun = 0; lun < 4; ++lun) handler.attach(1, lun);
    }
    uint32_t moves() const { return array.count(scsi::op_mode_select_10); }
    void activate_all() {
        handler.activated.clear();
        for (DeviceId device = 0; device < 4; ++device) handler->activate(device, handler.now);
    }
    void expect_all(HandlerResult result) {
        ASSERT_EQ(handler.activated.size(), 4u);
        for (const auto& one : handler.activated) EXPECT_EQ(one.result, result);
    }
};

TEST_F(RdacController, AllLunsThatWaitMoveInOneCommand) {
    activate_all();
    handler.run();
    expect_all(HandlerResult::ok);
    EXPECT_EQ(moves(), 1u);
    EXPECT_EQ(array.last_transfer()->luns, (std::vector<uint8_t>{0, 1, 2, 3}));
    for (uint8_t lun = 0; lun < 4; ++lun) {
        EXPECT_EQ(array.owner(lun), 1);
        EXPECT_TRUE(handler.admits(lun));
    }
}

TEST_F(RdacController, LunsThatComeWhileACommandIsUnderWayGoIntoTheNext) {
    handler->activate(0, handler.now);
    handler.drain();
    handler.answer_one();  // The access page of LUN 0; now the MODE SELECT is out.
    for (DeviceId device = 1; device < 4; ++device) handler->activate(device, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated.size(), 4u);
    EXPECT_EQ(moves(), 2u);
    EXPECT_EQ(array.last_transfer()->luns, (std::vector<uint8_t>{1, 2, 3}));
}

TEST_F(RdacController, ASlowDeviceIsNotWaitedForLong) {
    handler->activate(0, handler.now);
    handler->activate(1, handler.now);
    handler.drain();
    handler.answer_one();  // LUN 0 is ready, LUN 1 does not answer.
    const ScsiCommand slow = handler.commands.front();
    handler.commands.clear();
    EXPECT_EQ(moves(), 0u);
    EXPECT_EQ(handler.deadline - handler.now, std::chrono::milliseconds(50));
    handler.ring();
    ASSERT_EQ(handler.commands.size(), 1u);
    handler.answer_one();
    EXPECT_EQ(handler.activated, (std::vector<HandlerDriver::Activated>{{0, HandlerResult::ok}}));
    EXPECT_EQ(array.last_transfer()->luns, (std::vector<uint8_t>{0}));
    handler.commands.push_back(slow);
    handler.run();
    EXPECT_EQ(handler.activated.size(), 2u);
}

TEST_F(RdacController, PortsOfOneControllerShareACommand) {
    ScsiResponder wide{{.kind = ArrayKind::rdac, .ports = {{0, 1}, {1, 2}, {1, 2}}}};
    HandlerDriver driver("rdac", wide);
    driver.attach(1);
    driver.attach(2);
    driver->activate(0, driver.now);
    driver->activate(1, driver.now);
    driver.drain();
    driver.answer_one();
    driver.answer_one();
    ASSERT_EQ(driver.commands.size(), 1u);
    const auto page = wire::parse_rdac_transfer(driver.commands.front().data_out, true);
    EXPECT_EQ(page->luns, (std::vector<uint8_t>{0}));
    driver.run();
    EXPECT_EQ(driver.activated.size(), 2u);
    EXPECT_TRUE(driver.admits(0));
    EXPECT_TRUE(driver.admits(1));
}

TEST_F(RdacController, TheFirmwareDecidesWhichCommandIsUsed) {
    ScsiResponder small{{.kind = ArrayKind::rdac, .rdac_luns_max = 31}};
    HandlerDriver driver("rdac", small);
    driver.attach(1);
    EXPECT_EQ(driver.activate(0), HandlerResult::ok);
    EXPECT_EQ(small.count(scsi::op_mode_select_6), 1u);
    EXPECT_FALSE(small.last_transfer()->expanded);
    handler.activate(0);
    EXPECT_TRUE(array.last_transfer()->expanded);
}

TEST_F(RdacController, ALunThatThePageHasNoPlaceForIsRefused) {
    ScsiResponder small{{.kind = ArrayKind::rdac, .luns = 40, .rdac_luns_max = 16}};
    HandlerDriver driver("rdac", small);
    driver.attach(1, 35);
    EXPECT_EQ(driver.activate(0), HandlerResult::invalid_io);
    EXPECT_EQ(small.count(scsi::op_mode_select_6), 0u);
}

TEST_F(RdacController, TwoControllersAndTwoArraysDoNotShareCommands) {
    const DeviceId other = handler.attach(0, 0);
    array.set_owner(0, 1);
    array.set_owner(1, 0);
    handler->activate(other, handler.now);
    handler->activate(1, handler.now);
    handler.run();
    EXPECT_EQ(moves(), 2u);
}

struct Row {
    sim::ScsiReply reply;
    unsigned count;
    HandlerResult result;
    uint32_t commands;
};

TEST_F(RdacController, TheAnswerToTheCommandDecides) {
    const Row rows[] = {
        {sense_reply(0, 0, 0), 5, HandlerResult::ok, 6},
        {sense_reply(0xb, 0x47, 0), 5, HandlerResult::ok, 6},
        {sense_reply(6, 0x29, 0), 5, HandlerResult::ok, 6},
        {sense_reply(2, 0x04, 0x01), 5, HandlerResult::ok, 6},
        {sense_reply(6, 0x29, 0), 6, HandlerResult::retry, 6},
        {sense_reply(2, 0x04, 0x01), 6, HandlerResult::retry, 6},
        {sense_reply(5, 0x91, 0x36), 40, HandlerResult::ok, 41},
        {sense_reply(5, 0x26, 0), 1, HandlerResult::io, 1},
        {sense_reply(4, 0x44, 0), 1, HandlerResult::io, 1},
        {sense_reply(2, 0x04, 0x02), 1, HandlerResult::io, 1},
        {status_reply(scsi::status_busy), 5, HandlerResult::ok, 6},
        {status_reply(scsi::status_busy), 6, HandlerResult::retry, 6},
        {status_reply(scsi::status_reservation_conflict), 1, HandlerResult::io, 1},
        {transport_reply(ScsiTransport::timed_out), 1, HandlerResult::timed_out, 1},
        {transport_reply(ScsiTransport::no_connection), 1, HandlerResult::not_connected, 1},
        {transport_reply(ScsiTransport::connection_lost), 1, HandlerResult::connection_failure, 1},
    };
    for (const Row& row : rows) {
        array.set_owner(0, 0);
        array.script(scsi::op_mode_select_10, row.reply, row.count);
        const uint32_t before = moves();
        EXPECT_EQ(handler.activate(0), row.result) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_EQ(moves() - before, row.commands) << wire::scsi_answer_text(row.reply.answer());
        EXPECT_EQ(handler.admits(0), row.result == HandlerResult::ok);
    }
}

TEST_F(RdacController, TheArraysLockIsWaitedForButNotForEver) {
    array.script(scsi::op_mode_select_10, sense_reply(5, 0x91, 0x36), 1000000);
    const Instant before = handler.now;
    activate_all();
    handler.run();
    expect_all(HandlerResult::retry);
    EXPECT_GE(handler.now - before, std::chrono::minutes(2));
    EXPECT_LE(handler.now - before, std::chrono::seconds(121));
}

TEST_F(RdacController, WhenTheCarrierHasNoConnectionAnotherLunsDeviceCarriesOn) {
    activate_all();
    handler.drain();
    for (int n = 0; n < 4; ++n) handler.answer_one();
    array.script(scsi::op_mode_select_10, transport_reply(ScsiTransport::no_connection));
    handler.run();
    using Activated = HandlerDriver::Activated;
    EXPECT_EQ(handler.activated, (std::vector<Activated>{{0, HandlerResult::not_connected},
                                                         {1, HandlerResult::ok},
                                                         {2, HandlerResult::ok},
                                                         {3, HandlerResult::ok}}));
    EXPECT_EQ(array.owner(0), 0);
    EXPECT_EQ(array.owner(3), 1);
}

TEST_F(RdacController, WhenTheCarrierGoesAnotherLunsDeviceCarriesOn) {
    activate_all();
    handler.drain();
    for (int n = 0; n < 4; ++n) handler.answer_one();
    ASSERT_EQ(handler.commands.size(), 1u);
    handler.commands.clear();
    handler->detach(0, handler.now);
    handler.run();
    EXPECT_EQ(handler.activated.size(), 4u);
    EXPECT_EQ(handler.activated.front().result, HandlerResult::device_offlined);
    EXPECT_EQ(array.last_transfer()->luns, (std::vector<uint8_t>{1, 2, 3}));
}

TEST_F(RdacController, ADeviceThatWaitsCanGo) {
    handler->activate(0, handler.now);
    handler.drain();
    handler.answer_one();
    handler->activate(1, handler.now);
    handler.drain();
    const ScsiCommand move = handler.commands.front();
    handler.commands.pop_front();
    handler.answer_one();  // LUN 1 waits for the next command.
    handler->detach(1, handler.now);
    handler->detach(2, handler.now);
    handler.commands.push_back(move);
    handler.run();
    using Activated = HandlerDriver::Activated;
    EXPECT_EQ(handler.activated, (std::vector<Activated>{{1, HandlerResult::device_offlined},
                                                         {0, HandlerResult::ok}}));
    EXPECT_EQ(moves(), 1u);
    for (const DeviceId last : {0u, 3u}) handler->detach(last, handler.now);
    handler.drain();
    EXPECT_EQ(handler.deadline, never);
}

}  // namespace
}  // namespace braidway::multipath
