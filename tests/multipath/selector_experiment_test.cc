// SPDX-License-Identifier: Apache-2.0
// Published experiments with path selectors, replayed in a small queueing model.
//
// The first (linux-kernel list, 2020-04-16): four paths, one of them 4 times slower; which part of
// the I/Os does the slow one get? Measured there: service-time 0.250 at depth 1 and 0.106 at depth
// 64, historical-service-time 0.112 at both; 0.077 is ideal.
// The second (linux-nvme list, 2025-11-04): two paths, one with 30 ms of delay; throughput in MiB/s
// of numa, round-robin, queue-depth, adaptive: read 50, 105, 230, 350; write 65.9, 125, 385, 446.
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

#include "multipath/selector.h"
#include "selector_world.h"

namespace braidway::multipath {
namespace {

using namespace std::chrono_literals;

constexpr size_t ios = 20'000;
constexpr uint64_t seed = 20200416;

std::unique_ptr<Selector> make(const std::string& name, size_t paths) {
    return std::move(make_selector(name, {}, std::vector<PathArguments>(paths)).value());
}

/// The slow path's part of the I/Os in the first experiment.
double slow_share(const std::string& selector, size_t depth) {
    SelectorWorld world(make(selector, 4),
                        {{.service = 1ms}, {.service = 1ms}, {.service = 1ms}, {.service = 4ms}},
                        seed);
    world.run(ios, depth);
    std::printf("%s, depth %zu: the slow path has %.4f of the I/Os, %.0f I/Os per second\n",
                selector.c_str(), depth, world.share(3), world.throughput());
    return world.share(3);
}

TEST(SlowPathOfFour, GetsAQuarterFromServiceTimeAtDepth1) {
    EXPECT_NEAR(slow_share("service-time", 1), 0.250, 1.0 / ios);
    EXPECT_NEAR(slow_share("round-robin", 1), 0.250, 1.0 / ios);
    EXPECT_NEAR(slow_share("queue-length", 1), 0.250, 1.0 / ios);
}

TEST(SlowPathOfFour, GetsLittleFromHistoricalServiceTimeAtDepth1) {
    const double share = slow_share("historical-service-time", 1);
    EXPECT_GE(share, 0.06);
    EXPECT_LE(share, 0.12);
}

TEST(SlowPathOfFour, GetsWhatItCanDoFromBothAtDepth64) {
    for (const char* selector : {"service-time", "historical-service-time"}) {
        const double share = slow_share(selector, 64);
        EXPECT_GE(share, 0.07) << selector;
        EXPECT_LE(share, 0.11) << selector;
    }
}

TEST(SlowPathOfFour, GetsNoMoreThanLooksFromLatencyAtLowDepthAndWhatItCanDoAtHighDepth) {
    for (const size_t depth : {1, 2, 3}) EXPECT_LE(slow_share("latency", depth), 0.04) << depth;
    EXPECT_GT(slow_share("latency", 1), 0.0) << "it is never given up";
    const double share = slow_share("latency", 64);
    EXPECT_GE(share, 0.07);
    EXPECT_LE(share, 0.11);
}

/// I/Os per second in the second experiment. "numa" is the delayed path alone: the near one of the
/// CPU that the published run used.
double delayed_throughput(const std::string& selector) {
    const WorldPath delayed{.service = 130us, .delay = 30ms};
    const WorldPath near{.service = 130us, .delay = 3600us};
    const bool numa = selector == "numa";
    SelectorWorld world(make(numa ? "round-robin" : selector, numa ? 1 : 2),
                        numa ? std::vector{delayed} : std::vector{delayed, near}, seed);
    world.run(ios, 32);
    std::printf("%s: %.0f I/Os per second\n", selector.c_str(), world.throughput());
    return world.throughput();
}

TEST(DelayedPathOfTwo, OrdersSelectorsAsPublished) {
    const double numa = delayed_throughput("numa");
    const double round_robin = delayed_throughput("round-robin");
    const double queue_length = delayed_throughput("queue-length");
    const double latency = delayed_throughput("latency");
    // Published as parts of numa: read 2.1, 4.6, 7.0; write 1.9, 5.8, 6.8.
    EXPECT_GT(round_robin / numa, 1.5);
    EXPECT_LT(round_robin / numa, 2.5);
    EXPECT_GT(queue_length / numa, 4.0);
    EXPECT_LT(queue_length / numa, 6.0);
    EXPECT_GT(latency / numa, 6.0);
    EXPECT_LT(latency / numa, 8.0);
    EXPECT_GT(latency, queue_length * 1.2);
}

TEST(DelayedPathOfTwo, IsUsedByHistoricalServiceTimeNoMoreThanByQueueLength) {
    EXPECT_GT(delayed_throughput("historical-service-time"), delayed_throughput("queue-length"));
}

}  // namespace
}  // namespace braidway::multipath
