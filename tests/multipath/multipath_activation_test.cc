// SPDX-License-Identifier: Apache-2.0
// Activation of a group by a hardware handler that the test plays.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// Two groups of two paths, and a handler.
MultipathSpec with_handler(uint32_t retries = 0) {
    MultipathSpec spec = two_groups();
    spec.handler.name = "scripted";
    spec.pg_init_retries = retries;
    return spec;
}

struct HandlerDriver : Driver {
    using Driver::Driver;

    void answer(std::string_view name, HandlerResult result, std::string reason = {}) {
        handle({.kind = Event::Kind::path_activated,
                .path = path(name),
                .result = result,
                .reason = std::move(reason)});
    }
    void activation_timer() { handle({.kind = Event::Kind::activation_timer, .reason = {}}); }
    uint32_t rounds() const { return map->dm_info().pg_init_count; }
    bool waits() const { return map->dm_info().queue_io; }
};

TEST(MultipathActivation, HoldsIoUntilEveryPathOfTheGroupHasAnswered) {
    HandlerDriver map(with_handler());
    EXPECT_EQ(map.io(), "hold");
    EXPECT_THAT(map.told(), ElementsAre("activate a1", "activate a2"));
    EXPECT_EQ(map.io(), "hold");
    EXPECT_THAT(map.told(), IsEmpty()) << "one round at a time";
    map.answer("a2", HandlerResult::ok);
    EXPECT_EQ(map.io(), "hold");
    map.answer("a1", HandlerResult::ok);
    EXPECT_THAT(map.told(), ElementsAre("run held"));
    EXPECT_EQ(map.io(2), "a2 a1");
    EXPECT_EQ(map.rounds(), 1u);
    EXPECT_FALSE(map.waits());
}

TEST(MultipathActivation, SkipsPathsThatAreDown) {
    HandlerDriver map(with_handler());
    map.fail("a1");
    map.told();
    map.io();
    EXPECT_THAT(map.told(), ElementsAre("activate a2"));
}

TEST(MultipathActivation, WithoutAHandlerNothingIsActivated) {
    HandlerDriver map(two_groups());
    EXPECT_EQ(map.io(), "a1");
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.rounds(), 0u);
}

/// What each answer does to the first of two paths while the second answers ok.
struct ResultRow {
    HandlerResult result;
    bool fails_path;
    bool disables_group;
};

class MultipathHandlerResults : public testing::TestWithParam<ResultRow> {};

TEST_P(MultipathHandlerResults, FailThePathOrBypassTheGroup) {
    HandlerDriver map(with_handler());
    map.io();
    map.answer("a1", GetParam().result, "because");
    const PathStatus path = map.path_status("a1");
    EXPECT_EQ(path.state, GetParam().fails_path ? PathState::down : PathState::up);
    EXPECT_EQ(path.failed_by, GetParam().fails_path ? "handler" : "");
    EXPECT_EQ(map.group_letters()[0] == 'D', GetParam().disables_group);
    map.answer("a2", HandlerResult::ok);
    const std::string next = map.io();
    if (!GetParam().disables_group) {
        EXPECT_EQ(next.substr(0, 1), "a");
        return;
    }
    // The last good answer takes the disabling back, but the choice starts anew.
    EXPECT_EQ(next, "hold");
}

INSTANTIATE_TEST_SUITE_P(Every, MultipathHandlerResults,
                         testing::Values(ResultRow{HandlerResult::ok, false, false},
                                         ResultRow{HandlerResult::device_failed, true, false},
                                         ResultRow{HandlerResult::device_busy, false, true},
                                         ResultRow{HandlerResult::device_unsupported, true, false},
                                         ResultRow{HandlerResult::not_connected, true, false},
                                         ResultRow{HandlerResult::connection_failure, true, false},
                                         ResultRow{HandlerResult::io, true, false},
                                         ResultRow{HandlerResult::invalid_io, true, false},
                                         ResultRow{HandlerResult::retry, true, false},
                                         ResultRow{HandlerResult::retry_now, true, false},
                                         ResultRow{HandlerResult::timed_out, true, false},
                                         ResultRow{HandlerResult::resources_unavailable, true,
                                                   false},
                                         ResultRow{HandlerResult::device_offlined, true, false},
                                         ResultRow{HandlerResult::no_memory, true, false},
                                         ResultRow{HandlerResult::no_handler, true, false}),
                         [](const auto& row) {
                             std::string name(handler_result_name(row.param.result));
                             std::erase(name, '-');
                             return name;
                         });

TEST(MultipathActivation, BusyDevicesSendTheIoToAnotherGroup) {
    HandlerDriver map(with_handler());
    map.io();
    map.answer("a1", HandlerResult::device_busy);
    map.answer("a2", HandlerResult::device_busy);
    EXPECT_EQ(map.group_letters(), "DE");
    EXPECT_EQ(map.io(), "hold");
    map.told();
    map.answer("b1", HandlerResult::ok);
    map.answer("b2", HandlerResult::ok);
    EXPECT_EQ(map.io(), "b2") << "b1 was the choice that brought the group into use";
    EXPECT_EQ(map.group_letters(), "DA");
}

TEST(MultipathActivation, RetriesAsOftenAsTheTableSaysThenFailsThePath) {
    HandlerDriver map(with_handler(2));
    map.fail("a2");
    map.io();
    map.told();
    for (const uint32_t round : {1U, 2U}) {
        EXPECT_EQ(map.rounds(), round);
        map.answer("a1", HandlerResult::retry_now);
        EXPECT_THAT(map.told(), ElementsAre("activation of a1: retry-now", "activate a1"));
    }
    map.answer("a1", HandlerResult::retry_now);
    EXPECT_EQ(map.rounds(), 3u);
    EXPECT_THAT(map.told(),
                ElementsAre("activation of a1: retry-now", "failed a1 left 2", "run held"));
}

TEST(MultipathActivation, ARetryThatAsksForItWaitsForTheDelay) {
    MultipathSpec spec = with_handler(5);
    spec.pg_init_delay = 7s;
    HandlerDriver map(std::move(spec));
    map.fail("a2");
    map.io();
    map.told();
    map.answer("a1", HandlerResult::retry);
    EXPECT_THAT(map.told(), ElementsAre("activation of a1: retry", "activation at 1007"));
    map.now = map.now + 3s;
    map.activation_timer();
    EXPECT_THAT(map.told(), ElementsAre("activation at 1007")) << "the timer came early";
    map.now = map.now + 4s;
    map.activation_timer();
    EXPECT_THAT(map.told(), ElementsAre("activate a1"));
    map.answer("a1", HandlerResult::retry_now);
    EXPECT_THAT(map.told(), ElementsAre("activation of a1: retry-now", "activate a1"))
        << "the last answer decides about the delay";
}

TEST(MultipathActivation, APathThatFailsDuringTheDelayIsNotAskedAbout) {
    HandlerDriver map(with_handler(5));
    map.io();
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::retry);
    map.told();
    map.fail("a1");
    map.told();
    map.now = map.now + 2s;
    map.activation_timer();
    EXPECT_THAT(map.told(), ElementsAre("activation of a1: device-offlined", "activate a2"));
}

TEST(MultipathActivation, ADisabledGroupIsActivatedAfterTheDelayAndThenEnabled) {
    HandlerDriver map(with_handler());
    map.message(Message::disable_group, 1);
    map.message(Message::disable_group, 2);
    // The table's own request for group 1 is not taken back by disabling it; use it up.
    map.fail("a1");
    map.fail("a2");
    map.told();
    EXPECT_EQ(map.io(), "hold");
    EXPECT_THAT(map.told(), ElementsAre("activation at 1002"));
    map.now = map.now + 2s;
    map.activation_timer();
    map.answer("b1", HandlerResult::ok);
    map.answer("b2", HandlerResult::ok);
    EXPECT_EQ(map.group_letters(), "DA");
}

TEST(MultipathActivation, AGroupThatIsAskedForMeanwhileIsActivatedNext) {
    HandlerDriver map(with_handler());
    map.io();
    map.message(Message::switch_group, 2);
    EXPECT_EQ(map.io(), "hold");
    map.told();
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::ok);
    EXPECT_THAT(map.told(), ElementsAre("activate b1", "activate b2"));
    map.answer("b1", HandlerResult::ok);
    map.answer("b2", HandlerResult::ok);
    EXPECT_EQ(map.io().substr(0, 1), "b");
}

TEST(MultipathActivation, APathThatComesBackIntoTheGroupInUseIsActivatedAloneWhileIoGoesOn) {
    HandlerDriver map(with_handler());
    map.io();
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::ok);
    map.fail("a1");
    map.told();
    map.reinstate("a1");
    EXPECT_THAT(map.told(), ElementsAre("reinstated a1 left 4", "activate a1"));
    EXPECT_EQ(map.io().substr(0, 1), "a");
    map.answer("a1", HandlerResult::ok);
    map.fail("b1");
    map.told();
    map.reinstate("b1");
    EXPECT_THAT(map.told(), ElementsAre("reinstated b1 left 4")) << "its group is not in use";
}

TEST(MultipathActivation, AVetoedPathFailsInsteadOfGettingIo) {
    HandlerDriver map(with_handler());
    map.io();
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::ok);
    map.handle({.kind = Event::Kind::path_vetoed, .path = map.path("a2"), .reason = "standby"});
    map.told();
    EXPECT_EQ(map.io(2), "a1 a1");
    EXPECT_EQ(map.path_status("a2").failed_by, "handler");
    EXPECT_EQ(map.path_status("a2").reason, "standby");
    map.handle({.kind = Event::Kind::path_admitted, .path = map.path("a2"), .reason = {}});
    map.reinstate("a2");
    map.answer("a2", HandlerResult::ok);
    EXPECT_EQ(map.io(2), "a2 a1");
}

TEST(MultipathActivation, NothingStartsDuringASuspensionAndARetryFailsThePath) {
    HandlerDriver map(with_handler(50));
    map.io();
    map.told();
    map.handle({.kind = Event::Kind::suspend, .noflush = true, .reason = {}});
    map.handle({.kind = Event::Kind::no_traffic, .reason = {}});
    EXPECT_THAT(map.told(), ElementsAre("defer held")) << "two activations run";
    map.answer("a1", HandlerResult::retry);
    EXPECT_EQ(map.path_status("a1").state, PathState::down);
    map.answer("a2", HandlerResult::ok);
    map.handle({.kind = Event::Kind::no_traffic, .reason = {}});
    EXPECT_THAT(map.told(), testing::Contains("suspended"));
    map.handle({.kind = Event::Kind::resume, .reason = {}});
    EXPECT_EQ(map.io(), "a2");
}

TEST(MultipathActivation, APathReinstatedWhileSuspendedHasItsGroupActivatedAfterTheResume) {
    HandlerDriver map(with_handler());
    map.io();
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::ok);
    map.fail("a1");
    map.handle({.kind = Event::Kind::suspend, .noflush = true, .reason = {}});
    map.handle({.kind = Event::Kind::no_traffic, .reason = {}});
    map.told();
    map.check_says(Event::Kind::checker_up, "a1");
    EXPECT_THAT(map.told(), ElementsAre("reinstated a1 left 4"));
    map.handle({.kind = Event::Kind::resume, .reason = {}});
    map.told();
    EXPECT_EQ(map.io(), "hold");
    EXPECT_THAT(map.told(), ElementsAre("activate a1", "activate a2"));
}

TEST(MultipathActivation, AnotherHandlerForgetsTheVetoesOfTheOneBefore) {
    HandlerDriver map(with_handler());
    map.handle({.kind = Event::Kind::path_vetoed, .path = map.path("a1"), .reason = "standby"});
    ASSERT_TRUE(map.map->replace(with_handler(), map.now).has_value());
    EXPECT_FALSE(map.map->takes_io(map.path("a1")));
    ASSERT_TRUE(map.map->replace(two_groups(), map.now).has_value());
    EXPECT_TRUE(map.map->takes_io(map.path("a1")));
}

TEST(MultipathActivation, ANewTableForgetsWhatWasAskedAndActivatesTheGroupInUse) {
    HandlerDriver map(with_handler());
    map.io();
    map.told();
    ASSERT_TRUE(map.map->replace(with_handler(), map.now).has_value());
    EXPECT_THAT(map.told(), ElementsAre("run held")) << "what waited for the answers";
    map.answer("a1", HandlerResult::device_failed);
    EXPECT_EQ(map.path_status("a1").state, PathState::up) << "the answer was for the old table";
    EXPECT_EQ(map.io(), "hold");
    map.answer("a1", HandlerResult::ok);
    map.answer("a2", HandlerResult::ok);
    EXPECT_NE(map.io(), "hold");
}

}  // namespace
}  // namespace braidway::multipath
