// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/shrinker.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

using fake::mib;

constexpr uint64_t mib_bytes = 1 << 20;

class ShrinkerTest : public testing::Test {
  protected:
    FakeKernel kernel{2};
    ShrinkerScan shrinker{kernel};

    ShrinkerTest() {
        kernel.world().shrinker_debugfs = true;
        kernel.world().shrinkers = {
            {.name = "sb-ext4-12",
             .by_cgroup = true,
             .objects = {{{1, 0}, 400'000}, {{1, 1}, 200'000}, {{77, 1}, 100'000}}},
            {.name = "mm-shadow-3", .objects = {{{0, 0}, 10'000}, {{0, 1}, 100'000}}},
            {.name = "thp-deferred_split-9", .objects = {{{0, 1}, 5'000}}}};
    }
    uint64_t slab(uint32_t node) {
        return read_node_state(kernel, node, Refresh::yes)->slab_reclaimable;
    }
};

TEST_F(ShrinkerTest, FreesAboutTheAmountOnOneNode) {
    const uint64_t before[] = {slab(0), slab(1)};
    const Answer answer =
        shrinker.reclaim({.node = 1, .kind = Kind::slab, .bytes = 20 * mib_bytes});
    EXPECT_EQ(answer.error, 0);
    EXPECT_NEAR(static_cast<double>(before[1] - slab(1)), 20.0 * mib_bytes, 1.0 * mib_bytes);
    EXPECT_EQ(slab(0), before[0]);
}

TEST_F(ShrinkerTest, SpreadsOverShrinkersAndCgroupsByTheirObjects) {
    const Ask ask{.node = 1, .kind = Kind::slab, .bytes = 20 * mib_bytes};
    EXPECT_EQ(shrinker.reclaim(ask).error, 0);
    const auto& super = kernel.world().shrinkers[0].objects;
    const uint64_t from_root = 200'000 - super.at({1, 1});
    const uint64_t from_group = 100'000 - super.at({77, 1});
    EXPECT_NEAR(static_cast<double>(from_root), 2.0 * static_cast<double>(from_group), 3);
    EXPECT_GT(from_group, 0u);
    EXPECT_EQ(kernel.world().shrinkers[2].objects.at({0, 1}), 5'000u) << "huge pages are no slab";
}

TEST_F(ShrinkerTest, SaysWhenNothingMoreGoes) {
    kernel.world().shrinkers.resize(1);
    kernel.world().shrinkers[0].objects = {{{1, 1}, 9}};
    kernel.world().shrinkers[0].skips_cached = true;
    kernel.fill(0, {.pages = mib});
    const Ask ask{.node = 1, .kind = Kind::slab, .bytes = mib_bytes};
    EXPECT_TRUE(shrinker.reclaim(ask).exhausted) << "all objects are in use";
    kernel.world().shrinkers[0].objects.clear();
    EXPECT_TRUE(shrinker.reclaim(ask).exhausted) << "there are none";
}

TEST_F(ShrinkerTest, GoesOnWhenAFilesystemIsUnmountedMeanwhile) {
    kernel.fail("/sys/kernel/debug/shrinker/sb-ext4-12/scan", ENOENT);
    EXPECT_EQ(shrinker.reclaim({.node = 1, .kind = Kind::slab, .bytes = mib_bytes}).error, 0);
    EXPECT_LT(kernel.world().shrinkers[1].objects.at({0, 1}), 100'000u);
    kernel.fail("/sys/kernel/debug/shrinker/mm-shadow-3/scan", EPERM);
    EXPECT_EQ(shrinker.reclaim({.node = 1, .kind = Kind::slab, .bytes = mib_bytes}).error, EPERM);
}

TEST_F(ShrinkerTest, SaysWhatIsMissing) {
    EXPECT_TRUE(shrinker.probe().has_value());
    kernel.world().privileged = false;
    EXPECT_EQ(shrinker.probe().error().code, EACCES);
    kernel.world().privileged = true;
    kernel.world().shrinker_debugfs = false;
    EXPECT_TRUE(shrinker.probe().error().message.contains("CONFIG_SHRINKER_DEBUG"));
    kernel.world().debugfs = false;
    EXPECT_TRUE(shrinker.probe().error().message.contains("mount -t debugfs"));
}

TEST(ShrinkerCounts, AreReadByCgroupAndNode) {
    const auto counts = parse_shrinker_counts("1 224 2\n21 98 6\nbad\n55\n\n7 1");
    ASSERT_EQ(counts.size(), 3u);
    EXPECT_EQ(counts[0].cgroup, 1u);
    EXPECT_EQ(counts[1].objects, (std::vector<uint64_t>{98, 6}));
    EXPECT_EQ(counts[2].objects, std::vector<uint64_t>{1});
}

}  // namespace
}  // namespace braidway::memory
