// SPDX-License-Identifier: Apache-2.0
// Requests that wait over a suspension or behind a fence: for how long, and what for.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

void suspend(Driver& map, bool noflush) {
    map.handle({.kind = Event::Kind::suspend, .noflush = noflush, .reason = {}});
}

void end_traffic(Driver& map) {
    map.handle({.kind = Event::Kind::no_traffic, .reason = {}});
}

void resume(Driver& map) {
    map.handle({.kind = Event::Kind::resume, .reason = {}});
}

TEST(MultipathSuspension, StartsTheClockOnResumeWhenTheLastPathWentMeanwhile) {
    Driver map(one_path());
    suspend(map, false);
    end_traffic(map);
    map.check_says(Event::Kind::checker_down, "a");
    map.told();
    map.now = map.now + 10s;
    resume(map);
    // The path has been gone for 10 s of the 60.
    EXPECT_THAT(map.told(), ElementsAre("arm 1060", "resumed"));
    EXPECT_EQ(map.io(), "hold");
    map.now = map.now + 50s;
    map.timer();
    EXPECT_THAT(map.told(), ElementsAre("fail held"));
}

TEST(MultipathSuspension, QueuesNoMoreOnResumeWhenTheLastPathWentTooLongAgo) {
    Driver map(one_path());
    suspend(map, false);
    end_traffic(map);
    map.check_says(Event::Kind::checker_down, "a");
    map.told();
    map.now = map.now + 60s;
    resume(map);
    EXPECT_THAT(map.told(), ElementsAre("fail held", "resumed"));
    EXPECT_EQ(map.io(), "fail");
}

TEST(MultipathSuspension, WithoutAFlushDefersWhatFindsNoPathAndFailsNothing) {
    Driver map(one_path());
    const Route first = map.route();
    const Route second = map.route();
    suspend(map, true);
    EXPECT_EQ(map.complete(first, IoStatus::transport), Verdict::defer);
    EXPECT_EQ(map.complete(second, IoStatus::transport), Verdict::defer);
    EXPECT_EQ(map.io(), "defer");
    end_traffic(map);
    map.told();
    map.now = map.now + 60s;
    map.timer();
    resume(map);
    EXPECT_THAT(map.told(), ElementsAre("fail held", "resumed"));
    EXPECT_EQ(map.io(), "fail");
}

MultipathSpec with_handler(MultipathSpec spec) {
    spec.handler.name = "alua";
    spec.pg_init_retries = 1;
    return spec;
}

void answer_activation(Driver& map, std::string_view path, HandlerResult result) {
    map.handle({.kind = Event::Kind::path_activated,
                .path = map.path(path),
                .result = result,
                .reason = {}});
}

TEST(MultipathSuspension, WithoutAFlushDefersWhatAnActivationHeldWhenTheTimeIsUp) {
    Driver map(with_handler(make_spec({make_group({"a"}), make_group({"b"})})));
    map.route();
    answer_activation(map, "a", HandlerResult::ok);
    const Route sent = map.route();
    suspend(map, true);
    EXPECT_EQ(map.complete(sent, IoStatus::transport), Verdict::retry);
    EXPECT_EQ(map.io(), "hold");
    map.check_says(Event::Kind::checker_down, "b");
    map.told();
    map.now = map.now + 60s;
    map.timer();
    EXPECT_THAT(map.told(), ElementsAre("defer held"));
}

TEST(MultipathSuspension, EndsOnlyWhenWhatAnActivationHeldHasRun) {
    Driver map(with_handler(one_path()));
    EXPECT_EQ(map.name_of(map.route()), "hold");
    suspend(map, true);
    end_traffic(map);
    map.told();
    answer_activation(map, "a", HandlerResult::ok);
    EXPECT_THAT(map.told(), ElementsAre("run held"));
    const Route again = map.route();
    EXPECT_EQ(map.name_of(again), "a");
    map.complete(again);
    end_traffic(map);
    EXPECT_THAT(map.told(), ElementsAre("suspended"));
}

TEST(MultipathActivation, AsksTheHandlerForNoPathThatWentDuringTheDelay) {
    Driver map(with_handler(make_spec({make_group({"a", "b"})})));
    map.route();
    answer_activation(map, "a", HandlerResult::retry);
    answer_activation(map, "b", HandlerResult::retry);
    map.check_says(Event::Kind::checker_down, "a");
    map.told();
    map.now = map.now + 2s;
    map.handle({.kind = Event::Kind::activation_timer, .reason = {}});
    EXPECT_THAT(map.told(), ElementsAre("activation of a: device-offlined", "activate b"));
}

TEST(MultipathFence, OfOnePathEndsInTimeThoughAnotherOneBeginsLater) {
    MultipathSpec spec = two_groups();
    spec.fence.patience = 30s;
    Driver map(std::move(spec));
    const Route first = map.route();
    const Route second = map.route();
    ASSERT_NE(first.ticket.entry, second.ticket.entry);
    EXPECT_EQ(map.map->completed(first.ticket, IoStatus::timeout, map.now, true), Verdict::fence);
    EXPECT_THAT(map.told(), ElementsAre("failed a1 left 3", "fence until 1030"));
    map.now = map.now + 20s;
    EXPECT_EQ(map.map->completed(second.ticket, IoStatus::timeout, map.now, true), Verdict::fence);
    EXPECT_THAT(map.told(), ElementsAre("failed a2 left 2", "fence until 1030"));
    map.now = map.now + 10s;
    map.handle({.kind = Event::Kind::fence_timer, .reason = {}});
    EXPECT_THAT(map.told(), ElementsAre("answer fenced", "fence until 1050"));
    map.now = map.now + 20s;
    map.handle({.kind = Event::Kind::fence_timer, .reason = {}});
    EXPECT_THAT(map.told(), ElementsAre("answer fenced"));
}

}  // namespace
}  // namespace braidway::multipath
