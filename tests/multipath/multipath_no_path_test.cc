// SPDX-License-Identifier: Apache-2.0
// What happens when no path is left: holding, its time limit, the two messages about it.
#include <gmock/gmock.h>

#include "driver.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(MultipathNoPath, HoldsWhenTheLastPathFailsAndThePolicyIsQueue) {
    Driver map(one_path());
    EXPECT_EQ(map.complete(map.route(), IoStatus::transport), Verdict::hold);
    EXPECT_THAT(map.told(), ElementsAre("failed a left 0", "no paths", "arm 1060"));
    EXPECT_EQ(map.io(), "hold");
    EXPECT_TRUE(map.map->status().queueing);
}

TEST(MultipathNoPath, FailsAtOnceWhenThePolicyIsFail) {
    MultipathSpec spec = one_path();
    spec.no_path.queue = false;
    Driver map(std::move(spec));
    map.fail("a");
    EXPECT_THAT(map.told(), ElementsAre("failed a left 0", "no paths"));
    const Route route = map.route();
    EXPECT_EQ(route.kind, Route::Kind::fail);
    EXPECT_EQ(route.status, IoStatus::io);
    map.reinstate("a");
    EXPECT_THAT(map.told(), ElementsAre("reinstated a left 1", "paths back", "run held"));
    EXPECT_EQ(map.io(), "a");
}

TEST(MultipathNoPath, HoldsForEverWhenThePolicyHasNoTimeout) {
    MultipathSpec spec = one_path();
    spec.no_path.timeout = std::nullopt;
    Driver map(std::move(spec));
    map.fail("a");
    EXPECT_THAT(map.told(), ElementsAre("failed a left 0", "no paths"));
    map.now = map.now + 24h;
    map.timer();
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathNoPath, FailsEverythingOnceTheTimeIsUpUntilAPathIsBack) {
    Driver map(one_path());
    map.fail("a");
    map.told();
    map.now = map.now + 60s;
    map.timer();
    EXPECT_THAT(map.told(), ElementsAre("fail held"));
    EXPECT_EQ(map.io(), "fail");
    EXPECT_TRUE(map.map->status().no_path_expired);
    EXPECT_FALSE(map.map->status().queueing);
    map.check_says(Event::Kind::checker_up, "a");
    EXPECT_THAT(map.told(), ElementsAre("reinstated a left 1", "paths back", "run held"));
    EXPECT_FALSE(map.map->status().no_path_expired);
    map.fail("a");
    EXPECT_THAT(map.told(), ElementsAre("failed a left 0", "no paths", "arm 1120"))
        << "the policy works again";
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathNoPath, TakesNoHarmFromATimerThatComesAfterAReinstate) {
    Driver map(one_path());
    map.fail("a");
    map.now = map.now + 59s;
    map.reinstate("a");
    map.now = map.now + 1s;
    map.told();
    map.timer();
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_FALSE(map.map->status().no_path_expired);
}

TEST(MultipathNoPath, AsksForTheTimerAgainWhenAnOldOneComesEarly) {
    Driver map(one_path());
    map.fail("a");
    map.now = map.now + 59s;
    map.reinstate("a");
    map.fail("a");
    map.told();
    map.now = map.now + 1s;
    map.timer();
    EXPECT_THAT(map.told(), ElementsAre("arm 1119"));
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathNoPath, StartsTheClockAtCreationWhenNoPathWorks) {
    MultipathSpec spec = one_path();
    spec.groups[0].paths[0].up = false;
    Driver map(std::move(spec));
    EXPECT_THAT(map.told(), ElementsAre("no paths", "arm 1060"));
}

TEST(MultipathNoPath, AnswersTheOriginalErrorWhenTheTimeIsUp) {
    Driver map(one_path());
    const Route route = map.route();
    map.fail("a");
    map.now = map.now + 60s;
    map.timer();
    EXPECT_EQ(map.complete(route, IoStatus::timeout), Verdict::done);
}

TEST(MultipathNoPath, WithATimeoutOfZeroFailsAtOnce) {
    MultipathSpec spec = one_path();
    spec.no_path.timeout = 0s;
    Driver map(std::move(spec));
    EXPECT_EQ(map.complete(map.route(), IoStatus::transport), Verdict::done);
    EXPECT_EQ(map.io(), "fail");
}

TEST(MultipathNoPath, TakesTheLongestTimeoutThereIs) {
    MultipathSpec spec = one_path();
    spec.no_path.timeout = Duration::max();
    Driver map(std::move(spec));
    map.fail("a");
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathFailIfNoPath, FailsHeldIoWhenNoPathIsLeftAndStopsTheTimer) {
    Driver map(one_path());
    map.fail("a");
    map.told();
    map.message(Message::fail_if_no_path);
    EXPECT_THAT(map.told(), ElementsAre("disarm", "fail held"));
    EXPECT_EQ(map.io(), "fail");
    EXPECT_FALSE(map.map->status().queueing);
    EXPECT_FALSE(map.map->status().no_path_expired);
}

TEST(MultipathFailIfNoPath, LastsUntilQueueIfNoPathAlsoOverAReinstate) {
    Driver map(one_path());
    map.message(Message::fail_if_no_path);
    EXPECT_THAT(map.told(), IsEmpty());
    map.fail("a");
    EXPECT_EQ(map.io(), "fail");
    map.reinstate("a");
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::done);
    map.message(Message::queue_if_no_path);
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathQueueIfNoPath, StartsTheClockWhenNoPathIsLeft) {
    MultipathSpec spec = one_path();
    spec.no_path.queue = false;
    Driver map(std::move(spec));
    map.fail("a");
    map.told();
    map.now = map.now + 100s;
    map.message(Message::queue_if_no_path);
    EXPECT_THAT(map.told(), ElementsAre("arm 1160"));
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathQueueIfNoPath, StartsTheClockAgainAfterTheTimeWasUp) {
    Driver map(one_path());
    map.fail("a");
    map.now = map.now + 60s;
    map.timer();
    map.told();
    map.message(Message::queue_if_no_path);
    EXPECT_THAT(map.told(), ElementsAre("arm 1120"));
    EXPECT_EQ(map.io(), "hold");
}

TEST(MultipathQueueIfNoPath, ArmsNothingWhileAPathIsLeft) {
    MultipathSpec spec = one_path();
    spec.no_path.queue = false;
    Driver map(std::move(spec));
    map.message(Message::queue_if_no_path);
    EXPECT_THAT(map.told(), IsEmpty());
    EXPECT_EQ(map.complete(map.route(), IoStatus::io), Verdict::hold);
}

TEST(MultipathNoPath, TellsOfTheFirstPathThatComesBackOnly) {
    Driver map(make_spec({make_group({"a", "b"})}));
    map.fail("a");
    map.fail("b");
    map.told();
    map.reinstate("b");
    map.reinstate("a");
    EXPECT_THAT(map.told(), ElementsAre("reinstated b left 1", "paths back", "disarm", "run held",
                                        "reinstated a left 2"));
}

}  // namespace
}  // namespace braidway::multipath
