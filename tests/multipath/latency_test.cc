// SPDX-License-Identifier: Apache-2.0
#include "multipath/latency.h"

#include <gmock/gmock.h>

#include "selector_world.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::StartsWith;

constexpr uint64_t seed = 7;

std::unique_ptr<Selector> make(size_t paths) {
    return std::move(make_latency({}, std::vector<PathArguments>(paths), {}).value());
}

SelectorWorld world_of(std::vector<WorldPath> paths) {
    const size_t count = paths.size();
    return {make(count), std::move(paths), seed};
}

TEST(Latency, SharesIoEvenlyBetweenEqualPaths) {
    for (const size_t depth : {1, 2, 7, 64}) {
        SelectorWorld world = world_of({{.service = 1ms}, {.service = 1ms}, {.service = 1ms}});
        world.run(9000, depth);
        for (const size_t path : {0, 1, 2})
            EXPECT_NEAR(world.share(path), 1.0 / 3, 0.04) << "depth " << depth;
    }
}

TEST(Latency, TakesTurnsBetweenPathsThatAreNearlyEqual) {
    SelectorWorld world = world_of({{.delay = 1000us}, {.delay = 1080us}, {.delay = 1300us}});
    world.run(3000, 1);
    EXPECT_NEAR(world.share(0), 0.49, 0.02);
    EXPECT_NEAR(world.share(1), 0.49, 0.02);
    EXPECT_LT(world.share(2), 0.04) << "not near enough";
}

TEST(Latency, SpreadsTheFirstIosOverPathsItKnowsNothingOf) {
    const auto selector = make(3);
    std::vector<uint32_t> picked;
    for (int at = 0; at < 6; ++at) {
        picked.push_back(selector->pick({.length_bytes = 4096}, Instant{1}).value());
        selector->started(picked.back(), 4096, Instant{1});
    }
    EXPECT_THAT(picked, ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(Latency, TakesTheFasterPathAndLooksAtTheOtherBoundedly) {
    SelectorWorld world = world_of({{.service = 10ms}, {.service = 1ms}});
    world.run(20'000, 1);
    EXPECT_LT(world.share(0), 1.0 / 32);
    EXPECT_GT(world.count(0), 20u);
    const double busy = static_cast<double>(world.count(0)) * 10 / 20'000;
    EXPECT_LT(busy, 2.0 / 32) << "of the time, about";
}

TEST(Latency, FindsAPathThatHasRecovered) {
    SelectorWorld world = world_of({{.service = 100ms}, {.service = 2ms}});
    world.run(2000, 1);
    EXPECT_LT(world.share(0), 0.02);
    world.paths[0].service = 1ms;
    const Instant recovered = world.now();
    while (world.now() - recovered < 5s) world.run(1, 1);
    world.run(1000, 1);
    EXPECT_GT(world.share(0), 0.9);
}

TEST(Latency, LooksAtAVerySlowPathEveryTenSecondsAllTheSame) {
    SelectorWorld world = world_of({{.service = 60s}, {.service = 1ms}});
    world.run(1000, 4);
    world.drain();
    world.paths[0].service = 500us;
    const Instant recovered = world.now();
    while (world.now() - recovered < 11s) world.run(1, 1);
    world.run(1000, 1);
    EXPECT_GT(world.share(0), 0.9);
}

TEST(Latency, GivesAReinstatedPathOneIoAtOnceAndMoreWhenItHasAnswered) {
    SelectorWorld world = world_of({{.service = 1ms}, {.service = 1ms}});
    world.run(100, 1);
    world.drain();
    Selector& selector = world.selector();
    selector.fail_path(0);
    selector.reinstate_path(0);
    const Instant now = world.now();
    const auto pick = [&](Instant at) {
        const uint32_t picked = selector.pick({.length_bytes = 4096}, at).value();
        selector.started(picked, 4096, at);
        return picked;
    };
    EXPECT_EQ(pick(now), 0u);
    EXPECT_EQ(pick(now), 1u);
    selector.ended(1, 4096, now, now + 1ms);
    EXPECT_EQ(pick(now + 1ms), 1u) << "the other one has not answered";
    selector.ended(0, 4096, now, now + 2ms);
    selector.ended(1, 4096, now + 1ms, now + 2ms);
    EXPECT_EQ(pick(now + 4ms), 1u);
    EXPECT_EQ(pick(now + 4ms), 0u);
}

TEST(Latency, DoesNotGiveUpAPathForOneHiccup) {
    SelectorWorld world = world_of({{.service = 1ms}, {.service = 3ms}});
    world.run(500, 1);
    world.paths[0].service = 1s;
    world.run(1, 1);
    world.drain();
    world.paths[0].service = 1ms;
    world.run(1000, 1);
    EXPECT_GT(world.share(0), 0.8);
}

TEST(Latency, LeavesAPathThatFallsSilentBeforeItAnswers) {
    SelectorWorld world = world_of({{.service = 1ms}, {.service = 2ms}});
    world.run(200, 4);
    world.drain();
    world.paths[0].silent = true;
    world.run(1000, 16);
    EXPECT_LT(world.count(0), 12u);
    EXPECT_EQ(world.count(0) + world.count(1), 1000u) << "the other one goes on";
}

TEST(Latency, TakesAPathToBeAsSlowAsItHasBeenSilent) {
    const auto selector = make(2);
    for (const uint32_t path : {0, 1}) {
        selector->started(path, 4096, Instant{0});
        selector->ended(path, 4096, Instant{0}, Instant{path == 0 ? 1'000'000 : 20'000'000});
    }
    const Instant start{20'000'000};
    EXPECT_EQ(selector->pick({.length_bytes = 4096}, start), 0u);
    selector->started(0, 4096, start);
    EXPECT_EQ(selector->pick({.length_bytes = 4096}, start + 10ms), 0u);
    EXPECT_EQ(selector->pick({.length_bytes = 4096}, start + 25ms), 1u);
    selector->ended(0, 4096, start, start + 25ms);
}

TEST(Latency, TellsAParallelPathFromASerialOne) {
    SelectorWorld world = world_of({{.service = 10us, .delay = 1ms}, {.service = 1010us}});
    world.run(5000, 32);
    world.run(5000, 32);
    // The first answers 32 at a time in 1 ms; the second one of them.
    EXPECT_GT(world.share(0), 0.93);
    EXPECT_GT(world.throughput(), 25'000);
}

TEST(Latency, IsNotMisledByTheSizesThatAPathHappensToGet) {
    // Every other I/O takes 17 times longer; in turns one path would get all of these.
    SelectorWorld world = world_of(
        {{.service = 1ms, .service_per_kib = 16us}, {.service = 1ms, .service_per_kib = 16us}});
    world.sizes = {4096, 1 << 20};
    for (const size_t depth : {1, 2, 8}) {
        world.run(4000, depth);
        EXPECT_NEAR(world.share(0), 0.5, 0.1) << "depth " << depth;
    }
    // A path slower by half is still told from the others' large I/Os.
    world.paths[1].service = 1500us;
    world.paths[1].service_per_kib = 24us;
    world.run(4000, 1);
    world.run(4000, 1);
    EXPECT_GT(world.share(0), 0.9);
}

TEST(Latency, ShowsWhatIsInFlightAndTheLastLatencyInMicroseconds) {
    const auto selector = std::move(make_latency({}, {{"7"}, {"0"}}, {}).value());
    selector->started(0, 4096, Instant{0});
    EXPECT_THAT(selector->info_words(0), ElementsAre("1", "0"));
    selector->ended(0, 4096, Instant{0}, Instant{2'500'000});
    EXPECT_THAT(selector->info_words(0), ElementsAre("0", "2500"));
    EXPECT_THAT(selector->table_words(0), ElementsAre("1"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0"));
}

TEST(Latency, TakesLatenciesOfAnyLength) {
    const auto selector = make(2);
    for (uint32_t path : {0, 1}) {
        selector->started(path, 0, Instant{0});
        selector->ended(path, 0, Instant{0}, path == 0 ? Instant{0} : never);
    }
    EXPECT_EQ(selector->pick({}, never), 0u);
    selector->carry_over(0, UINT32_MAX, 0);
    selector->carry_over(1, UINT32_MAX, 0);
    EXPECT_EQ(selector->pick({}, never), 0u);
}

TEST(Latency, RefusesWrongArguments) {
    EXPECT_THAT(make_latency({}, {{"x"}}, {}).error().message,
                StartsWith("latency ps: invalid repeat count: path 1: "));
    EXPECT_THAT(make_latency({}, {{"1", "2"}}, {}).error().message,
                StartsWith("latency ps: incorrect number of arguments: path 1: "));
}

}  // namespace
}  // namespace braidway::multipath
