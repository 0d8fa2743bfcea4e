// SPDX-License-Identifier: Apache-2.0
#include "multipath/service_time.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

struct Given {
    const char* throughput;
    uint64_t in_flight_bytes;
};

std::unique_ptr<Selector> make(const std::vector<Given>& paths) {
    std::vector<PathArguments> arguments;
    for (const Given& path : paths) arguments.push_back({"1", path.throughput});
    auto selector = std::move(make_service_time({}, arguments, {}).value());
    for (uint32_t at = 0; at < paths.size(); ++at)
        if (paths[at].in_flight_bytes > 0) selector->carry_over(at, 1, paths[at].in_flight_bytes);
    return selector;
}

struct Vector {
    const char* rule;
    std::vector<Given> paths;
    uint64_t length_bytes;
    uint32_t picked;
};

constexpr uint64_t two_to_60 = 1ULL << 60;
constexpr uint64_t two_to_63 = 1ULL << 63;

const Vector vectors[] = {
    {"equal throughputs: fewer bytes in flight", {{"1", 4097}, {"1", 4096}}, 4096, 1},
    {"equal throughputs above 1: fewer bytes in flight", {{"50", 512}, {"50", 1024}}, 4096, 0},
    {"all equal: the first in the list", {{"1", 4096}, {"1", 4096}, {"1", 4096}}, 512, 0},
    {"nothing in flight: throughput alone", {{"1", 0}, {"100", 0}}, 4096, 1},
    {"equal bytes in flight: the higher throughput", {{"3", 4096}, {"2", 4096}}, 4096, 0},
    {"service time counts this request, too", {{"1", 4096}, {"2", 8192}}, 4096, 1},
    {"slower, but idle enough", {{"1", 0}, {"4", 16384}}, 4096, 0},
    {"faster, in spite of more in flight", {{"1", 0}, {"4", 12287}}, 4096, 1},
    {"equal service times: the higher throughput", {{"1", 1000}, {"3", 5000}}, 1000, 1},
    {"equal service times, other order", {{"3", 5000}, {"1", 1000}}, 1000, 0},
    {"one byte more decides", {{"1", 1000}, {"3", 5001}}, 1000, 0},
    {"a flush has no bytes", {{"1", 4096}, {"2", 8192}}, 0, 1},
    {"throughput 0 is the last resort", {{"0", 0}, {"1", two_to_60}}, 4096, 1},
    {"throughput 0 everywhere is as good as equal", {{"0", 4096}, {"0", 512}}, 4096, 1},
    {"no low bits are lost where sums are large",
     {{"2", 2 * two_to_60 + 1}, {"1", two_to_60}},
     0,
     1},
    {"products beyond 64 bits are compared", {{"1", two_to_60}, {"100", two_to_63}}, 4096, 1},
    {"sums beyond 64 bits are compared", {{"2", two_to_60}, {"1", two_to_63}}, two_to_63, 0},
    {"sums beyond 64 bits, other order", {{"1", two_to_63}, {"2", two_to_60}}, two_to_63, 1},
    {"the best of many",
     {{"10", 40960}, {"20", 40961}, {"30", 40960}, {"40", 409600}, {"5", 0}},
     4096,
     4},
};

TEST(ServiceTime, FollowsItsRuleForEachVector) {
    for (const Vector& vector : vectors)
        EXPECT_EQ(make(vector.paths)->pick({.length_bytes = vector.length_bytes}, {}),
                  vector.picked)
            << vector.rule;
}

/// Where `count` I/Os go that are done one after the other.
std::vector<uint32_t> one_by_one(Selector& selector, int count) {
    std::vector<uint32_t> picked;
    for (int at = 0; at < count; ++at) {
        picked.push_back(selector.pick({.length_bytes = 4096}, {}).value());
        selector.started(picked.back(), 4096, {});
        selector.ended(picked.back(), 4096, {}, {});
    }
    return picked;
}

/// Where `count` I/Os go that are in flight together.
std::vector<uint32_t> together(Selector& selector, int count, uint64_t length_bytes = 4096) {
    std::vector<uint32_t> picked;
    for (int at = 0; at < count; ++at) {
        picked.push_back(selector.pick({.length_bytes = length_bytes}, {}).value());
        selector.started(picked.back(), length_bytes, {});
    }
    return picked;
}

TEST(ServiceTime, TakesTurnsLeastRecentlyUsedFirstWhenEqualPathsAreIdle) {
    const auto selector = make({{"1", 0}, {"1", 0}, {"1", 0}});
    EXPECT_THAT(one_by_one(*selector, 5), ElementsAre(0, 1, 2, 0, 1));
}

TEST(ServiceTime, GivesAllIoToTheHighestThroughputWhenNothingIsInFlight) {
    const auto selector = make({{"1", 0}, {"100", 0}});
    EXPECT_THAT(one_by_one(*selector, 4), ElementsAre(1, 1, 1, 1));
}

TEST(ServiceTime, SharesIoInFlightByThroughput) {
    const auto selector = make({{"1", 0}, {"3", 0}});
    EXPECT_THAT(together(*selector, 8), ElementsAre(1, 1, 1, 0, 1, 1, 1, 0));
}

TEST(ServiceTime, TakesBackWhatHasEnded) {
    const auto selector = make({{"1", 0}, {"1", 0}});
    EXPECT_THAT(together(*selector, 2, 1000), ElementsAre(0, 1));
    selector->ended(1, 1000, {}, {});
    EXPECT_EQ(selector->pick({.length_bytes = 1}, {}), 1u);
}

TEST(ServiceTime, TakesAReinstatedPathLastAmongEquals) {
    const auto selector = make({{"1", 0}, {"1", 0}, {"1", 0}});
    selector->fail_path(0);
    EXPECT_THAT(one_by_one(*selector, 1), ElementsAre(1));
    selector->reinstate_path(0);
    EXPECT_THAT(one_by_one(*selector, 4), ElementsAre(2, 1, 0, 2));
}

TEST(ServiceTime, CountsWhatEndsOnAPathThatIsDown) {
    const auto selector = make({{"1", 0}, {"1", 0}});
    together(*selector, 2);
    selector->fail_path(0);
    selector->ended(0, 4096, {}, {});
    selector->reinstate_path(0);
    EXPECT_EQ(selector->pick({.length_bytes = 512}, {}), 0u);
}

TEST(ServiceTime, UsesThroughputZeroWhenTheOthersAreDown) {
    const auto selector = make({{"0", 0}, {"1", 0}, {"0", 0}});
    EXPECT_THAT(one_by_one(*selector, 2), ElementsAre(1, 1));
    selector->fail_path(1);
    EXPECT_THAT(one_by_one(*selector, 3), ElementsAre(0, 2, 0));
}

/// The rule as it stands in the header, over all paths and with no short cut.
uint32_t best_of_all(const std::vector<uint32_t>& order, const std::vector<uint32_t>& throughputs,
                     const std::vector<uint64_t>& bytes, uint64_t length) {
    uint32_t best = order.front();
    const auto service_time = [&](uint32_t path) {
        return static_cast<long double>(bytes[path] + length) / throughputs[path];
    };
    for (const uint32_t path : order) {
        bool better = throughputs[path] > throughputs[best];
        if (throughputs[path] == throughputs[best])
            better = bytes[path] < bytes[best];
        else if (bytes[path] != bytes[best] && throughputs[path] != 0 && throughputs[best] != 0 &&
                 service_time(path) != service_time(best))
            better = service_time(path) < service_time(best);
        if (better) best = path;
    }
    return best;
}

TEST(ServiceTime, ChoosesAsIfItLookedAtAllPaths) {
    Random random(20090402);
    for (int life = 0; life < 300; ++life) {
        std::vector<PathArguments> words;
        std::vector<uint32_t> throughputs;
        std::vector<uint32_t> order;
        for (uint32_t path = 0; path < 1 + random.below(6); ++path) {
            throughputs.push_back(static_cast<uint32_t>(random.below(4)));
            words.push_back({"1", std::to_string(throughputs.back())});
            order.push_back(path);
        }
        std::vector<uint64_t> bytes(order.size());
        const auto selector = std::move(make_service_time({}, words, {}).value());
        std::vector<std::pair<uint32_t, uint64_t>> out;
        for (int step = 0; step < 60; ++step) {
            if (random.below(2) == 0 && !out.empty()) {
                const auto [path, length] = out.back();
                out.pop_back();
                selector->ended(path, length, {}, {});
                bytes[path] -= length;
                continue;
            }
            const uint64_t length = 512 * random.below(4);
            const uint32_t expected = best_of_all(order, throughputs, bytes, length);
            ASSERT_EQ(selector->pick({.length_bytes = length}, {}), expected)
                << life << " " << step;
            std::erase(order, expected);
            order.push_back(expected);
            selector->started(expected, length, {});
            bytes[expected] += length;
            out.emplace_back(expected, length);
        }
    }
}

TEST(ServiceTime, HasThroughputOneWhenNoneIsGiven) {
    const auto selector = std::move(make_service_time({}, {{}, {"5"}, {"1", "1"}}, {}).value());
    EXPECT_THAT(one_by_one(*selector, 3), ElementsAre(0, 1, 2));
}

TEST(ServiceTime, RefusesWrongArguments) {
    EXPECT_EQ(make_service_time({}, {{"1", "101"}}, {}).error().message,
              "service-time ps: invalid throughput value: path 1: relative_throughput '101': "
              "expected a whole number from 0 to 100");
    EXPECT_THAT(make_service_time({}, {{}, {"-1"}}, {}).error().message,
                StartsWith("service-time ps: invalid repeat count: path 2: repeat_count '-1'"));
    EXPECT_THAT(make_service_time({}, {{"1", "2", "3"}}, {}).error().message,
                StartsWith("service-time ps: incorrect number of arguments: path 1: 3 words, "
                           "expected at most 2: [repeat_count [relative_throughput]]"));
}

TEST(ServiceTime, ShowsBytesInFlightThroughputAndTheRepeatCountThatCounts) {
    const auto selector =
        std::move(make_service_time({"ignored"}, {{"7", "50"}, {"0"}}, {}).value());
    selector->started(0, 4096, {});
    EXPECT_THAT(selector->info_words(0), ElementsAre("4096", "50"));
    EXPECT_THAT(selector->info_words(1), ElementsAre("0", "1"));
    EXPECT_THAT(selector->table_words(0), ElementsAre("1", "50"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0", "1"));
    EXPECT_THAT(selector->group_words(), ElementsAre());
}

/// As make(), with the kernel's numbers and counts that may be below zero.
std::unique_ptr<Selector> make_strict(const char* left_throughput, int64_t left_bytes,
                                      const char* right_throughput, int64_t right_bytes) {
    auto selector =
        std::move(make_service_time({}, {{"1", left_throughput}, {"1", right_throughput}},
                                    {.kernel_strict = true, .node_of_cpu = {}})
                      .value());
    selector->carry_over(0, 1, static_cast<uint64_t>(left_bytes));
    selector->carry_over(1, 1, static_cast<uint64_t>(right_bytes));
    return selector;
}

TEST(ServiceTime, GoesBelowZeroWhenStrict) {
    const auto selector = make_strict("1", 0, "1", 0);
    selector->ended(1, 4096, {}, {});
    EXPECT_THAT(selector->info_words(1), ElementsAre("-4096", "1"));
    EXPECT_THAT(together(*selector, 3), ElementsAre(1, 0, 1));
}

struct StrictVector {
    const char* rule;
    const char* left_throughput;
    int64_t left_bytes;
    const char* right_throughput;
    int64_t right_bytes;
    uint64_t length_bytes;
    uint32_t picked;
};

constexpr StrictVector strict_vectors[] = {
    {"fewer bytes", "1", 4096, "1", 512, 4096, 1},
    {"below zero is fewer", "1", 0, "1", -4096, 4096, 1},
    {"counts have 32 bits: 2^32 + 1 is 1", "1", 2, "1", (int64_t{1} << 32) + 1, 512, 1},
    {"the difference has 32 bits: 2^31 - 1 less -2 is below zero", "1", -2, "1", INT32_MAX, 0, 1},
    {"equal bytes: the higher throughput", "2", 4096, "3", 4096, 4096, 1},
    {"throughput 0 is the last resort", "0", -4096, "1", 4096, 4096, 1},
    {"service times", "1", 4096, "2", 8192, 4096, 1},
    {"below zero, but not with this request", "1", -4096, "2", 0, 4096, 0},
    // 4096 >> 7 = 32 against ((2^64 - 4096) >> 7) * 2 = 2^58 - 64: 96 - 2^58, cut down to 96.
    {"below zero with this request is huge, but cut down", "1", -8192, "2", 0, 4096, 0},
    // 4096 - 2147487744 = -2^31, 4096 - 2147487746 = -2^31 - 2, cut down to 2^31 - 2.
    {"a difference of -2^31", "1", 1073743872, "2", 4096, 0, 1},
    {"a difference below -2^31 turns round", "1", 1073743873, "2", 4096, 0, 0},
};

TEST(ServiceTime, ComparesAsTheKernelWhenStrict) {
    for (const StrictVector& vector : strict_vectors) {
        const auto selector = make_strict(vector.left_throughput, vector.left_bytes,
                                          vector.right_throughput, vector.right_bytes);
        EXPECT_EQ(selector->pick({.length_bytes = vector.length_bytes}, {}), vector.picked)
            << vector.rule;
    }
}

}  // namespace
}  // namespace braidway::multipath
