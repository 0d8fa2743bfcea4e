// SPDX-License-Identifier: Apache-2.0
#include "multipath/io_affinity.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

std::unique_ptr<Selector> make(const std::vector<PathArguments>& paths,
                               std::vector<uint32_t> node_of_cpu = {}) {
    return std::move(
        make_io_affinity({}, paths, {.kernel_strict = false, .node_of_cpu = std::move(node_of_cpu)})
            .value());
}

/// Where an I/O of each CPU below `cpus` goes.
std::vector<uint32_t> picks(Selector& selector, uint32_t cpus) {
    std::vector<uint32_t> picked;
    for (uint32_t cpu = 0; cpu < cpus; ++cpu)
        picked.push_back(selector.pick({.cpu = cpu}, {}).value());
    return picked;
}

TEST(IoAffinity, TakesThePathOfTheCpu) {
    EXPECT_THAT(picks(*make({{"3"}, {"c"}}), 4), ElementsAre(0, 0, 1, 1));
}

TEST(IoAffinity, LeavesACpuToTheFirstPathThatNamesIt) {
    const auto selector = make({{"3"}, {"7"}});
    EXPECT_THAT(picks(*selector, 3), ElementsAre(0, 0, 1));
    EXPECT_THAT(selector->table_words(1), ElementsAre("7")) << "shown as it was given";
}

TEST(IoAffinity, StaysOnTheNodeWhenThePathOfTheCpuIsDown) {
    const auto selector = make({{"1"}, {"2"}, {"4"}, {"8"}}, {0, 1, 0, 1});
    selector->fail_path(3);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(0, 1, 2, 1));
    selector->fail_path(0);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(2, 1, 2, 1));
}

TEST(IoAffinity, TakesTheFirstCpusPathWhenTheNodeHasNone) {
    const auto selector = make({{"1"}, {"2"}, {"4"}, {"8"}}, {0, 1, 0, 1});
    selector->fail_path(1);
    selector->fail_path(3);
    EXPECT_THAT(picks(*selector, 4), ElementsAre(0, 0, 2, 0));
    selector->fail_path(0);
    selector->fail_path(2);
    EXPECT_EQ(selector->pick({.cpu = 1}, {}), std::nullopt);
}

TEST(IoAffinity, KeepsItsMapWhileAPathIsDown) {
    const auto selector = make({{"1"}, {"2"}});
    selector->fail_path(0);
    EXPECT_THAT(picks(*selector, 2), ElementsAre(1, 1));
    selector->reinstate_path(0);
    EXPECT_THAT(picks(*selector, 2), ElementsAre(0, 1));
}

TEST(IoAffinity, CountsOnlyCpusWithoutAPathAsMisses) {
    const auto selector = make({{"2"}, {"4"}});
    picks(*selector, 3);
    EXPECT_THAT(selector->info_words(0), ElementsAre("1")) << "CPU 0";
    selector->fail_path(0);
    selector->pick({.cpu = 1}, {});
    EXPECT_THAT(selector->info_words(0), ElementsAre("1")) << "a path that is down is no miss";
    selector->pick({.cpu = 4000}, {});
    EXPECT_THAT(selector->info_words(0), ElementsAre("2"));
    EXPECT_THAT(selector->info_words(1), ElementsAre("2")) << "one number for the group";
}

TEST(IoAffinity, PutsCpusBeyondTheKnownOnNodeZero) {
    const auto selector = make({{"1"}, {"2"}}, {1, 0});
    EXPECT_EQ(selector->pick({.cpu = 7}, {}), 1u);
}

TEST(IoAffinity, PrintsMasksAsWideAsTheMachine) {
    const auto selector = make({{"1"}, {"f0"}}, {0, 0, 0, 0, 0, 0, 0, 0});
    EXPECT_THAT(selector->table_words(0), ElementsAre("01"));
    EXPECT_THAT(selector->table_words(1), ElementsAre("f0"));
}

TEST(IoAffinity, RefusesWhatIsNoMaskOrBringsNoNewCpu) {
    const auto refusal = [](const std::vector<PathArguments>& paths) {
        return make_io_affinity({}, paths, {}).error().message;
    };
    EXPECT_THAT(refusal({{}}), StartsWith("io-affinity ps: invalid number of arguments: path 1: "));
    EXPECT_THAT(refusal({{"1", "2"}}), StartsWith("io-affinity ps: invalid number of arguments"));
    EXPECT_THAT(refusal({{"1"}, {"0x2"}}),
                StartsWith("io-affinity ps: invalid cpumask: path 2: '0x2': "));
    EXPECT_THAT(refusal({{"3"}, {"1"}}),
                StartsWith("io-affinity ps: No new/valid CPU mapping found: path 2: '1'"));
    EXPECT_THAT(refusal({{"0"}}), StartsWith("io-affinity ps: No new/valid CPU mapping found"));
}

}  // namespace
}  // namespace braidway::multipath
