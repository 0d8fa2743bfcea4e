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

}  // namespace
}  // namespace braidway::multipath
