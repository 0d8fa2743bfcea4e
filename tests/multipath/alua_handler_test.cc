// SPDX-License-Identifier: Apache-2.0
#include "multipath/alua_handler.h"

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
using Alua = AluaTest;

TEST_F(Alua, OneReportSpeaksForAllGroupsOfTheLun) {
    EXPECT_EQ(reports(), 2u) << "one per group, not per device";
    EXPECT_TRUE(handler.admits(0));
    EXPECT_TRUE(handler.admits(1));
    EXPECT_FALSE(handler.admits(2));
    EXPECT_FALSE(handler.admits(3));
    EXPECT_TRUE(handler.admits(99));
}

TEST(AluaAttach, EverythingIsAdmittedUntilTheFirstReport) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit}};
    HandlerDriver handler("alua", array);
    handler.add(1);
    EXPECT_TRUE(handler.admits(0));
    handler.drain();
    EXPECT_TRUE(handler.commands.empty()) << "the run begins after a short delay";
    EXPECT_EQ(handler.deadline - handler.now, alua::start_delay);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_EQ(handler.admissions, (std::vector<std::pair<DeviceId, bool>>{{0, false}}));
}

TEST(AluaAttach, ADeviceWithoutPortGroupsIsRefused) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit}};
    HandlerDriver handler("alua", array);
    DeviceIdentity identity = handler.identity(0, 0);
    identity.port_group.reset();
    EXPECT_FALSE(handler->attach(0, identity, handler.now));
    identity = handler.identity(0, 0);
    identity.tpgs = 0;
    EXPECT_FALSE(handler->attach(0, identity, handler.now));
    EXPECT_FALSE(handler->attached(0));
    EXPECT_EQ(handler.activate(0), HandlerResult::no_handler);
}

TEST(AluaAttach, DevicesThatDoNotTellTheirLunShareNoGroup) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit, .ports = {{0, 1}, {0, 1}}}};
    HandlerDriver handler("alua", array);
    for (uint8_t port = 0; port < 2; ++port) {
        DeviceIdentity identity = handler.identity(port, 0);
        identity.unit_id.clear();
        handler.places.push_back({port, 0});
        EXPECT_TRUE(handler->attach(port, identity, handler.now));
    }
    handler.run();
    EXPECT_EQ(array.count(scsi::op_maintenance_in), 2u);
}

TEST(AluaAttach, LunsOfOneArrayShareNoGroup) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit, .ports = {{0, 1}}, .luns = 2}};
    HandlerDriver handler("alua", array);
    handler.attach(0, 0);
    handler.attach(0, 1);
    array.set_group_state(1, 1, scsi::group_standby, handler.now);
    handler->rescan(1, handler.now);
    handler.run();
    EXPECT_TRUE(handler.admits(0));
    EXPECT_FALSE(handler.admits(1));
}

struct StateRow {
    uint8_t state;
    bool admitted;
};

TEST_F(Alua, TheStateDecidesWhatIsAdmitted) {
    const StateRow rows[] = {
        {scsi::group_optimized, true},
        {scsi::group_non_optimized, true},
        {scsi::group_standby, false},
        {scsi::group_unavailable, false},
        {scsi::group_lba_dependent, true},
        {scsi::group_offline, false},
        {5, false},
        {0xd, false},
    };
    for (const StateRow& row : rows) {
        array.set_group_state(0, 1, row.state, handler.now);
        handler->rescan(0, handler.now);
        handler.run();
        EXPECT_EQ(handler.admits(0), row.admitted) << int{row.state};
        EXPECT_EQ(handler.admits(1), row.admitted) << "the other device of the group";
    }
}

TEST_F(Alua, AGroupInTransitionStillTakesIo) {
    array.set_transition_time(std::chrono::seconds(10));
    array.set_group_state(0, 1, scsi::group_standby, handler.now);
    handler->rescan(0, handler.now);
    handler.drain();
    handler.ring();
    handler.answer_one();
    EXPECT_EQ(handler->status_text(0), "group 1 transitioning, explicit");
    EXPECT_TRUE(handler.admits(0));
    handler.run();
    EXPECT_FALSE(handler.admits(0)) << "it has ended";
}

TEST_F(Alua, AGroupInTransitionIsTestedEveryTwoSecondsAndThenRead) {
    array.set_transition_time(std::chrono::seconds(7));
    const uint32_t reports_before = reports();
    const Instant before = handler.now;
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    // A report, the setting, a report that finds it moving; tests at 2, 4, 6 and 8 seconds, the
    // last of which is good; the last report.
    EXPECT_EQ(reports() - reports_before, 3u);
    EXPECT_EQ(tests(), 4u);
    EXPECT_EQ(handler.now - before, alua::start_delay + 4 * alua::poll_interval);
    EXPECT_TRUE(handler.admits(2));
    EXPECT_TRUE(handler.admits(3));
}

TEST_F(Alua, AnArrayThatCannotReportInTransitionIsUnderstood) {
    array.set_transition_time(std::chrono::seconds(3));
    array.set_mute_in_transition(true);
    EXPECT_EQ(handler.activate(2), HandlerResult::ok);
    EXPECT_TRUE(handler.admits(2));
}

TEST_F(Alua, ATransitionThatTakesTooLongCountsAsStandby) {
    array.set_transition_time(std::chrono::hours(1));
    const Instant before = handler.now;
    EXPECT_EQ(handler.activate(2), HandlerResult::io);
    EXPECT_GE(handler.now - before, alua::transition_time_default);
    EXPECT_LE(handler.now - before, alua::transition_time_default + std::chrono::seconds(5));
    EXPECT_FALSE(handler.admits(2));
    EXPECT_EQ(handler->status_text(2), "group 2 standby, explicit");
}

TEST(AluaTransition, TheTimeThatTheDeviceTellsCounts) {
    for (const uint8_t seconds : {uint8_t{10}, uint8_t{200}}) {
        ScsiResponder array{{.kind = ArrayKind::alua_explicit, .transition_seconds = seconds}};
        HandlerDriver handler("alua", array);
        handler.attach(1);
        array.set_transition_time(std::chrono::hours(1));
        const Instant before = handler.now;
        EXPECT_EQ(handler.activate(0), HandlerResult::io);
        EXPECT_NEAR(std::chrono::duration<double>(handler.now - before).count(), seconds, 3);
    }
}

TEST(AluaTransition, ADeviceThatChangesItsMindDoesNotGetMoreTime) {
    ScsiResponder array{{.kind = ArrayKind::alua_explicit}};
    HandlerDriver handler("alua", array);
    handler.attach(1);
    handler->activate(0, handler.now);
    const Instant before = handler.now;
    uint8_t told = 100;
    for (int steps = 0; steps < 1000 && handler.activated.empty(); ++steps) {
        handler.drain();
        if (handler.commands.empty()) {
            handler.ring();
            continue;
        }
        const ScsiCommand command = handler.commands.front();
        handler.commands.pop_front();
        const auto data =
            wire::port_groups_data({.groups = {{.id = 2, .state = scsi::group_transitioning}},
                                    .extended_header = true,
                                    .transition_seconds = told});
        told ^= 1;
        handler.answer(command, {.data_in = data});
    }
    EXPECT_EQ(handler.activated.at(0).result, HandlerResult::io);
    EXPECT_LE(handler.now - before, std::chrono::seconds(105));
}

TEST_F(Alua, SenseDataOfIoAreReadByTheTable) {
    using Kind = SenseVerdict::Kind;
    struct Row : SenseRow {
        bool rechecks;
    };
    const Row rows[] = {
        {{2, 0x04, 0x0a, Kind::retry_now, IoStatus::io}, true},
        {{6, 0x04, 0x0a, Kind::retry_now, IoStatus::io}, true},
        {{6, 0x29, 0x00, Kind::requeue, IoStatus::io}, true},
        {{6, 0x2a, 0x06, Kind::requeue, IoStatus::io}, true},
        {{6, 0x2a, 0x07, Kind::requeue, IoStatus::io}, true},
        {{6, 0x29, 0x04, Kind::requeue, IoStatus::io}, false},
        {{6, 0x2a, 0x01, Kind::requeue, IoStatus::io}, false},
        {{6, 0x3f, 0x03, Kind::requeue, IoStatus::io}, false},
        {{6, 0x3f, 0x0e, Kind::requeue, IoStatus::io}, false},
        {{2, 0x04, 0x0b, Kind::not_handled, IoStatus::io}, false},
        {{5, 0x04, 0x0a, Kind::not_handled, IoStatus::io}, false},
        {{2, 0x29, 0x00, Kind::not_handled, IoStatus::io}, false},
        {{6, 0x3f, 0x0f, Kind::not_handled, IoStatus::io}, false},
    };
    for (const Row& row : rows) {
        const uint32_t before = reports();
        EXPECT_EQ(handler.check_sense(0, row.key, row.asc, row.ascq),
                  (SenseVerdict{row.kind, row.status}))
            << int{row.key} << '/' << int{row.asc} << '/' << int{row.ascq};
        EXPECT_TRUE(handler.admits(0)) << "in transition, too";
        handler.run();
        EXPECT_EQ(reports() > before, row.rechecks)
            << int{row.key} << '/' << int{row.asc} << '/' << int{row.ascq};
        EXPECT_TRUE(handler.admits(0));
    }
    EXPECT_EQ(handler.check_sense(99, 6, 0x2a, 0x06).kind, Kind::not_handled);
}

TEST_F(Alua, ARunThatBeginsInATransitionTestsFirst) {
    handler.check_sense(0, 2, 0x04, 0x0a);
    handler.ring();
    ASSERT_EQ(handler.commands.size(), 1u);
    EXPECT_EQ(handler.commands.front().cdb.opcode(), scsi::op_test_unit_ready);
    handler.answer_one();
    ASSERT_EQ(handler.commands.size(), 1u);
    EXPECT_EQ(handler.commands.front().cdb.opcode(), scsi::op_maintenance_in);
    handler.run();
    EXPECT_EQ(handler->status_text(0), "group 1 optimized, explicit");
}

TEST_F(Alua, AReportThatMayBeOutdatedIsAskedForAgainBeforeAnybodyIsTold) {
    handler->activate(0, handler.now);
    handler.drain();
    handler.ring();
    ASSERT_EQ(handler.commands.size(), 1u);
    handler.check_sense(0, 6, 0x2a, 0x06);  // While the report is under way.
    handler.answer_one();
    EXPECT_TRUE(handler.activated.empty());
    ASSERT_EQ(handler.commands.size(), 1u);
    handler.answer_one();
    EXPECT_EQ(handler.activated.size(), 1u);
    EXPECT_TRUE(handler.commands.empty());
}

TEST_F(Alua, WhatWasAnnouncedDuringARunThatFailsIsLookedAtAfterwards) {
    handler->activate(0, handler.now);
    handler.drain();
    handler.ring();
    array.set_group_state(0, 1, scsi::group_standby, handler.now);
    handler.check_sense(0, 6, 0x2a, 0x06);
    array.script(scsi::op_maintenance_in, transport_reply(ScsiTransport::timed_out));
    handler.run();
    ASSERT_EQ(handler.activated.size(), 1u);
    EXPECT_EQ(handler.activated[0].result, HandlerResult::timed_out);
    EXPECT_FALSE(handler.admits(0));
}

TEST_F(Alua, ManyUnitAttentionsLeadToFewReports) {
    const uint32_t before = reports();
    for (int n = 0; n < 100; ++n) handler.check_sense(n % 2, 6, 0x2a, 0x06);
    handler.run();
    EXPECT_LE(reports() - before, 2u);
}

TEST_F(Alua, AChangeThatWasAnnouncedIsSeen) {
    array.set_group_state(0, 1, scsi::group_standby, handler.now);
    array.set_group_state(0, 2, scsi::group_optimized, handler.now);
    handler.check_sense(0, 6, 0x2a, 0x06);
    handler.run();
    EXPECT_FALSE(handler.admits(0));
    EXPECT_TRUE(handler.admits(2)) << "the report told of the other group, too";
}

TEST_F(Alua, EveryActivationOfAGroupIsAnsweredByOneRun) {
    handler->activate(2, handler.now);
    handler->activate(3, handler.now);
    handler->activate(2, handler.now);
    handler.run();
    using Activated = HandlerDriver::Activated;
    EXPECT_EQ(handler.activated,
              (std::vector<Activated>{
                  {2, HandlerResult::ok}, {3, HandlerResult::ok}, {2, HandlerResult::ok}}));
    EXPECT_EQ(settings(), 1u);
}

TEST_F(Alua, AnActivationDuringARunIsAnsweredToo) {
    handler->rescan(2, handler.now);
    handler.drain();
    handler.ring();
    ASSERT_FALSE(handler.commands.empty());
    EXPECT_EQ(handler.activate(3), HandlerResult::ok);
    EXPECT_EQ(state(2), scsi::group_optimized);
}

TEST_F(Alua, WhenTheCarrierGoesAnotherDeviceGoesOn) {
    handler->activate(2, handler.now);
    handler->activate(3, handler.now);
    handler.drain();
    handler.ring();
    ASSERT_EQ(handler.commands.front().device, 2u);
    const ScsiCommand orphan = handler.commands.front();
    handler.commands.clear();
    handler->detach(2, handler.now);
    handler.answer(orphan, {});
    handler.run();
    using Activated = HandlerDriver::Activated;
    EXPECT_EQ(handler.activated, (std::vector<Activated>{{2, HandlerResult::device_offlined},
                                                         {3, HandlerResult::ok}}));
    handler->detach(3, handler.now);
    handler->detach(3, handler.now);
    EXPECT_EQ(handler.activate(3), HandlerResult::no_handler);
}

TEST_F(Alua, WrongParametersAreRefused) {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"2"}, {"1", "1"}, {""}, {"yes"}})
        EXPECT_FALSE(handler->set_parameters(words, handler.now));
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{}, {"0"}, {"1"}})
        EXPECT_TRUE(handler->set_parameters(words, handler.now));
}

TEST_F(Alua, TellsItsStateInWords) {
    array.set_group_preferred(0, 2, true);
    handler->rescan(0, handler.now);
    handler.run();
    EXPECT_EQ(handler->status_text(0), "group 1 optimized, explicit");
    EXPECT_EQ(handler->status_text(2), "group 2 standby, preferred, explicit");
    EXPECT_EQ(handler->status_text(7), "not attached");
}

}  // namespace
}  // namespace braidway::multipath
