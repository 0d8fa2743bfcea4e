// SPDX-License-Identifier: Apache-2.0
#include "multipath/round_robin_count.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::unique_ptr<Selector> make(const std::vector<PathArguments>& paths) {
    return std::move(make_round_robin_count({}, paths, {}).value());
}

std::vector<uint32_t> picks(Selector& selector, int count, uint64_t length_bytes = 4096) {
    std::vector<uint32_t> picked;
    for (int at = 0; at < count; ++at)
        picked.push_back(selector.pick({.length_bytes = length_bytes}, {}).value());
    return picked;
}

TEST(RoundRobinCount, StaysWithAPathForItsCountOfIos) {
    EXPECT_THAT(picks(*make({{"3"}, {"2"}, {}}), 8), ElementsAre(0, 0, 0, 1, 1, 2, 0, 0));
}

TEST(RoundRobinCount, StaysWithAPathUntilItHasHadItsBytes) {
    const auto selector = make({{"0", "8192"}, {"0", "4097"}});
    EXPECT_THAT(picks(*selector, 5), ElementsAre(0, 0, 1, 1, 0));
    EXPECT_THAT(picks(*selector, 3, 1 << 20), ElementsAre(0, 1, 0)) << "each is enough by itself";
    EXPECT_THAT(picks(*selector, 3, 0), ElementsAre(1, 1, 1)) << "flushes have no bytes";
}

TEST(RoundRobinCount, EndsATurnByWhicheverCountIsReachedFirst) {
    const auto selector = make({{"3", "8192"}, {"1"}});
    EXPECT_THAT(picks(*selector, 3), ElementsAre(0, 0, 1));
    EXPECT_THAT(picks(*selector, 4, 512), ElementsAre(0, 0, 0, 1));
}

TEST(RoundRobinCount, EndsATurnWhenItsPathFails) {
    const auto selector = make({{"3"}, {"3"}, {"3"}});
    EXPECT_THAT(picks(*selector, 2), ElementsAre(0, 0));
    selector->fail_path(0);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(1, 1, 1, 2));
}

TEST(RoundRobinCount, DoesNotCutATurnShortForAPathThatFailsOrComesBackElsewhere) {
    const auto selector = make({{"2"}, {"2"}, {"2"}});
    selector->fail_path(2);
    EXPECT_THAT(picks(*selector, 1), ElementsAre(0));
    selector->fail_path(1);
    selector->reinstate_path(2);
    selector->reinstate_path(1);
    EXPECT_THAT(picks(*selector, 6), ElementsAre(0, 2, 2, 1, 1, 0));
}

TEST(RoundRobinCount, ShowsItsCounts) {
    const auto selector = make({{"3"}, {"0", "65536"}});
    EXPECT_THAT(selector->table_words(0), ElementsAre("3", "0"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("0", "65536"));
    EXPECT_THAT(selector->info_words(0), ElementsAre());
}

TEST(RoundRobinCount, RefusesWrongArguments) {
    const auto refusal = [](const PathArguments& words) {
        return make_round_robin_count({}, {words}, {}).error().message;
    };
    EXPECT_THAT(refusal({"x"}),
                StartsWith("round-robin-count ps: invalid count of I/Os: path 1: min_io 'x'"));
    EXPECT_THAT(refusal({"1", "-1"}),
                StartsWith("round-robin-count ps: invalid count of bytes: path 1: min_bytes '-1'"));
    EXPECT_THAT(refusal({"0"}), HasSubstr("expected one above 0"));
    EXPECT_THAT(refusal({"1", "2", "3"}),
                StartsWith("round-robin-count ps: incorrect number of arguments"));
}

}  // namespace
}  // namespace braidway::multipath
