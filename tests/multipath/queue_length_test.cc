// SPDX-License-Identifier: Apache-2.0
#include "multipath/queue_length.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

std::unique_ptr<Selector> make(size_t paths, bool kernel_strict = false) {
    return std::move(make_queue_length({}, std::vector<PathArguments>(paths),
                                       {.kernel_strict = kernel_strict, .node_of_cpu = {}})
                         .value());
}

/// Where `count` I/Os go that are in flight together.
std::vector<uint32_t> together(Selector& selector, int count) {
    std::vector<uint32_t> picked;
    for (int at = 0; at < count; ++at) {
        picked.push_back(selector.pick({}, {}).value());
        selector.started(picked.back(), 4096, {});
    }
    return picked;
}

TEST(QueueLength, TakesTurnsAmongPathsThatAreIdle) {
    const auto selector = make(3);
    std::vector<uint32_t> picked;
    for (int at = 0; at < 4; ++at) picked.push_back(selector->pick({}, {}).value());
    EXPECT_THAT(picked, ElementsAre(0, 1, 2, 0));
}

TEST(QueueLength, TakesThePathWithTheFewestInFlight) {
    const auto selector = make(3);
    selector->carry_over(0, 3, 99);
    selector->carry_over(1, 1, 1 << 30);
    selector->carry_over(2, 2, 99);
    EXPECT_THAT(together(*selector, 5), ElementsAre(1, 2, 1, 0, 2));
}

TEST(QueueLength, BreaksTiesByTheLeastRecentlyUsedSoThatABusyPathBurdensNobodyTwice) {
    const auto selector = make(3);
    selector->carry_over(2, 100, 0);
    EXPECT_THAT(together(*selector, 6), ElementsAre(0, 1, 0, 1, 0, 1));
}

TEST(QueueLength, TakesBackWhatHasEndedAlsoOnAPathThatIsDown) {
    const auto selector = make(2);
    EXPECT_THAT(together(*selector, 3), ElementsAre(0, 1, 0));
    selector->fail_path(0);
    selector->ended(0, 4096, {}, {});
    selector->ended(0, 4096, {}, {});
    selector->reinstate_path(0);
    EXPECT_EQ(selector->pick({}, {}), 0u);
    EXPECT_THAT(selector->info_words(1), ElementsAre("1"));
}

TEST(QueueLength, TakesAReinstatedPathLastAmongEquals) {
    const auto selector = make(3);
    selector->fail_path(0);
    selector->reinstate_path(0);
    EXPECT_THAT(together(*selector, 3), ElementsAre(1, 2, 0));
}

TEST(QueueLength, GoesBelowZeroWhenStrictAndSuchAPathWinsUnlessAnIdleOneStandsBefore) {
    const auto selector = make(3, true);
    selector->ended(2, 4096, {}, {});
    EXPECT_THAT(selector->info_words(2), ElementsAre("-1"));
    EXPECT_THAT(together(*selector, 2), ElementsAre(0, 1)) << "the scan stops at the idle one";
    EXPECT_THAT(together(*selector, 4), ElementsAre(2, 2, 0, 1));
}

TEST(QueueLength, HasCountsOf32BitsThatWrap) {
    const auto selector = make(1, true);
    selector->carry_over(0, INT32_MAX, 0);
    selector->started(0, 0, {});
    EXPECT_THAT(selector->info_words(0), ElementsAre("-2147483648"));
}

TEST(QueueLength, ReadsAndShowsRepeatCountsAsDeviceMapperDoes) {
    const auto selector = std::move(make_queue_length({"x"}, {{"100"}, {"0"}, {}}, {}).value());
    EXPECT_THAT(selector->table_words(0), ElementsAre("1"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0"));
    EXPECT_THAT(selector->table_words(2), ElementsAre("1"));
    EXPECT_THAT(make_queue_length({}, {{"1"}, {"1x"}}, {}).error().message,
                StartsWith("queue-length ps: invalid repeat count: path 2: "));
    EXPECT_THAT(make_queue_length({}, {{"1", "1"}}, {}).error().message,
                StartsWith("queue-length ps: incorrect number of arguments: path 1: "));
}

}  // namespace
}  // namespace braidway::multipath
