// SPDX-License-Identifier: Apache-2.0
#include "multipath/round_robin.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

std::vector<uint32_t> picks(Selector& selector, int count) {
    std::vector<uint32_t> picked;
    for (int at = 0; at < count; ++at) picked.push_back(selector.pick({}, {}).value());
    return picked;
}

TEST(RoundRobin, TakesThePathsInTurnInTableOrder) {
    const auto selector = std::move(make_round_robin({}, {{}, {}, {}}, {}).value());
    EXPECT_THAT(picks(*selector, 7), ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

TEST(RoundRobin, LeavesOutAPathThatFailedAndKeepsTheOrderOfTheOthers) {
    const auto selector = std::move(make_round_robin({}, {{}, {}, {}, {}}, {}).value());
    EXPECT_THAT(picks(*selector, 2), ElementsAre(0, 1));
    selector->fail_path(3);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(2, 0, 1, 2));
}

TEST(RoundRobin, TakesAReinstatedPathNext) {
    const auto selector = std::move(make_round_robin({}, {{}, {}, {}}, {}).value());
    selector->fail_path(0);
    EXPECT_THAT(picks(*selector, 3), ElementsAre(1, 2, 1));
    selector->reinstate_path(0);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(0, 2, 1, 0));
}

TEST(RoundRobin, TakesThePathReinstatedLastFirst) {
    const auto selector = std::move(make_round_robin({}, {{}, {}, {}}, {}).value());
    selector->fail_path(1);
    selector->fail_path(2);
    selector->reinstate_path(1);
    selector->reinstate_path(2);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(2, 1, 0, 2));
}

TEST(RoundRobin, TreatsEveryRepeatCountLikeOne) {
    const auto selector = std::move(make_round_robin({}, {{"100"}, {"0"}, {"1"}}, {}).value());
    EXPECT_THAT(picks(*selector, 4), ElementsAre(0, 1, 2, 0));
}

TEST(RoundRobin, ShowsRepeatCountsAsDeviceMapperDoesAndIgnoresWordsOfTheGroup) {
    const auto selector = std::move(make_round_robin({"x", "y"}, {{"100"}, {"0"}, {}}, {}).value());
    EXPECT_THAT(selector->table_words(0), ElementsAre("1"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0"));
    EXPECT_THAT(selector->table_words(2), ElementsAre("1"));
    EXPECT_THAT(selector->info_words(0), ElementsAre());
    EXPECT_THAT(selector->group_words(), ElementsAre());
}

TEST(RoundRobin, DoesNotCareForWhatIsInFlight) {
    const auto selector = std::move(make_round_robin({}, {{}, {}}, {}).value());
    selector->carry_over(0, 9, 1u << 20);
    selector->started(0, 1u << 20, {});
    EXPECT_THAT(picks(*selector, 2), ElementsAre(0, 1));
    selector->ended(0, 1u << 20, {}, {});
}

TEST(RoundRobin, RefusesArgumentsThatAreNoRepeatCount) {
    EXPECT_THAT(make_round_robin({}, {{}, {"x"}}, {}).error().message,
                StartsWith("round-robin ps: invalid repeat count: path 2: repeat_count 'x'"));
    EXPECT_THAT(make_round_robin({}, {{"1", "50"}}, {}).error().message,
                StartsWith("round-robin ps: incorrect number of arguments: path 1: 2 words, "
                           "expected at most 1: [repeat_count]"));
}

}  // namespace
}  // namespace braidway::multipath
