// SPDX-License-Identifier: Apache-2.0
#include "multipath/handler_desk.h"

#include <gtest/gtest.h>

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using Kind = HandlerAction::Kind;

constexpr Instant start{5'000'000'000};

ScsiCommand command_for(DeviceId device, Duration timeout = 10s) {
    ScsiCommand command;
    command.device = device;
    command.cdb = wire::test_unit_ready_cdb();
    command.timeout = timeout;
    return command;
}

HandlerAction next(HandlerDesk& desk) {
    HandlerAction action;
    EXPECT_TRUE(desk.next_action(action));
    return action;
}

bool is_empty(HandlerDesk& desk) {
    HandlerAction action;
    return !desk.next_action(action);
}

TEST(HandlerDesk, ACommandIsHandedOverWithATagThatComesBack) {
    HandlerDesk desk;
    const uint64_t tag = desk.send(command_for(3), start);
    const HandlerAction sent = next(desk);
    EXPECT_EQ(sent.kind, Kind::send_command);
    EXPECT_EQ(sent.device, 3u);
    EXPECT_EQ(sent.command.tag, tag);
    EXPECT_FALSE(desk.end(4, tag)) << "not this device's";
    EXPECT_TRUE(desk.end(3, tag));
    EXPECT_FALSE(desk.end(3, tag)) << "once";
    EXPECT_NE(desk.send(command_for(3), start), tag);
}

TEST(HandlerDesk, TheTimerIsArmedForTheEarliestAndDisarmedAtTheEnd) {
    HandlerDesk desk;
    const uint64_t slow = desk.send(command_for(1, 100s), start);
    const uint64_t quick = desk.send(command_for(2, 10s), start);
    next(desk);
    next(desk);
    EXPECT_EQ(next(desk).deadline, start + 15s) << "ten seconds and the grace";
    EXPECT_TRUE(is_empty(desk)) << "it is armed once";
    EXPECT_TRUE(desk.end(2, quick));
    EXPECT_EQ(next(desk).deadline, start + 105s);
    EXPECT_TRUE(desk.end(1, slow));
    const HandlerAction disarm = next(desk);
    EXPECT_EQ(disarm.kind, Kind::arm_timer);
    EXPECT_EQ(disarm.deadline, never);
    EXPECT_TRUE(is_empty(desk));
}

TEST(HandlerDesk, ACommandWithADelayGoesWhenItsTimeHasCome) {
    HandlerDesk desk;
    const uint64_t tag = desk.send(command_for(1), start, 2s);
    EXPECT_EQ(next(desk).deadline, start + 2s);
    EXPECT_FALSE(desk.end(1, tag)) << "nobody can answer what was not sent";
    EXPECT_FALSE(desk.take_due(start + 1s));
    EXPECT_TRUE(is_empty(desk));
    EXPECT_FALSE(desk.take_due(start + 3s));
    EXPECT_EQ(next(desk).command.tag, tag);
    EXPECT_EQ(next(desk).deadline, start + 3s + 15s) << "the time runs from when it went";
    EXPECT_TRUE(desk.end(1, tag));
}

TEST(HandlerDesk, ACommandThatIsNotAnsweredComesDue) {
    HandlerDesk desk;
    const uint64_t tag = desk.send(command_for(1), start);
    EXPECT_FALSE(desk.take_due(start + 15s - 1ns));
    const auto due = desk.take_due(start + 15s);
    ASSERT_TRUE(due);
    EXPECT_EQ(due->tag, tag);
    EXPECT_EQ(due->device, 1u);
    EXPECT_FALSE(due->alarm);
    EXPECT_FALSE(desk.take_due(start + 15s));
    EXPECT_FALSE(desk.end(1, tag)) << "too late";
}

TEST(HandlerDesk, AnAlarmRingsOnce) {
    HandlerDesk desk;
    const uint64_t tag = desk.alarm(7, start + 1s);
    EXPECT_EQ(next(desk).deadline, start + 1s);
    const auto due = desk.take_due(start + 1s);
    ASSERT_TRUE(due);
    EXPECT_TRUE(due->alarm);
    EXPECT_EQ(due->tag, tag);
    EXPECT_FALSE(desk.take_due(start + 9s));
}

TEST(HandlerDesk, WhatIsCancelledIsNeitherSentNorDue) {
    HandlerDesk desk;
    desk.cancel(desk.send(command_for(1), start));
    desk.cancel(desk.send(command_for(1), start, 1s));
    desk.cancel(desk.alarm(1, start + 1s));
    EXPECT_FALSE(desk.take_due(start + 100s));
    EXPECT_TRUE(is_empty(desk));
}

TEST(HandlerDesk, ActionsComeInOrder) {
    HandlerDesk desk;
    desk.activated(1, HandlerResult::retry);
    desk.admission_changed(2, true);
    const HandlerAction activated = next(desk);
    EXPECT_EQ(activated.kind, Kind::activated);
    EXPECT_EQ(activated.device, 1u);
    EXPECT_EQ(activated.result, HandlerResult::retry);
    const HandlerAction admission = next(desk);
    EXPECT_EQ(admission.kind, Kind::admission_changed);
    EXPECT_EQ(admission.device, 2u);
    EXPECT_TRUE(admission.admits);
}

TEST(DeviceTable, FindsWhatIsThere) {
    DeviceTable<int> table;
    EXPECT_EQ(table.find(0), nullptr);
    table.add(5) = 50;
    EXPECT_EQ(*table.find(5), 50);
    EXPECT_EQ(table.find(4), nullptr);
    EXPECT_EQ(table.find(6), nullptr);
    EXPECT_EQ(table.size(), 6u);
    table.remove(5);
    EXPECT_EQ(table.find(5), nullptr);
}

TEST(HandlerFailure, TheTransportAndTheSenseDataNameTheResult) {
    using wire::ScsiTransport;
    const auto of = [](ScsiTransport transport) { return failure_of({.transport = transport}); };
    EXPECT_EQ(of(ScsiTransport::no_connection), HandlerResult::not_connected);
    EXPECT_EQ(of(ScsiTransport::no_resources), HandlerResult::resources_unavailable);
    EXPECT_EQ(of(ScsiTransport::connection_lost), HandlerResult::connection_failure);
    EXPECT_EQ(of(ScsiTransport::timed_out), HandlerResult::timed_out);
    EXPECT_EQ(of(ScsiTransport::aborted), HandlerResult::timed_out);
    EXPECT_EQ(failure_of({.status = wire::scsi::status_busy}), HandlerResult::io);
    const auto gone = wire::fixed_sense({.key = 5, .asc = 0x25});
    EXPECT_EQ(failure_of({.status = wire::scsi::status_check_condition, .sense = gone}),
              HandlerResult::device_offlined);
}

TEST(HandlerFailure, OnlyDevicesThatAskForTimeGetIt) {
    const auto attention = wire::fixed_sense({.key = 6, .asc = 0x29});
    EXPECT_EQ(pause_before_retry(wire::classify(
                  {.status = wire::scsi::status_check_condition, .sense = attention})),
              0s);
    EXPECT_EQ(pause_before_retry(wire::classify({.status = wire::scsi::status_busy})),
              handler_busy_pause);
}

}  // namespace
}  // namespace braidway::multipath
