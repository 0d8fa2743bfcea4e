// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t mib_bytes = 1 << 20;
constexpr uint64_t gib_bytes = 1 << 30;
constexpr uint64_t page = 4096;
constexpr uint64_t huge = 2 * mib_bytes;

Fingerprint example() {
    return {.kernel = "6.18.0",
            .nodes = {{.node = 0, .total = 64 * gib_bytes, .free = 60 * gib_bytes}},
            .swap_total = 8 * gib_bytes,
            .swap_used = 0,
            .settings = {{"vm.swappiness", "60"}}};
}

std::vector<std::string> texts(const std::vector<FingerprintDifference>& differences) {
    std::vector<std::string> all;
    for (const FingerprintDifference& one : differences) all.push_back(difference_text(one));
    return all;
}

TEST(FreeBlocks, AreCountedFromTheSizeOfAHugePageOn) {
    const std::string_view text =
        "Node 0, zone      DMA      1      1      1      1      1      1      1      1      1      "
        "1      3 \n"
        "Node 0, zone   Normal      9      9      9      9      9      9      9      9      9      "
        "5      2 \n"
        "Node 1, zone   Normal      9      9      9      9      9      9      9      9      9      "
        "0      7 \n";
    // Orders 9 and 10 are blocks of 2 and 4 MiB.
    EXPECT_EQ(parse_free_blocks(text, 0, page, huge), (6 * 2 + 5 * 4) * mib_bytes);
    EXPECT_EQ(parse_free_blocks(text, 1, page, huge), 7 * 4 * mib_bytes);
    EXPECT_EQ(parse_free_blocks(text, 2, page, huge), 0u);
}

TEST(FreeBlocks, OfOneNodeAreNotThoseOfANodeWithALongerNumber) {
    const std::string_view text = "Node 11, zone Normal 0 0 0 0 0 0 0 0 0 1\n";
    EXPECT_EQ(parse_free_blocks(text, 1, page, huge), 0u);
    EXPECT_EQ(parse_free_blocks(text, 11, page, huge), huge);
}

TEST(FreeBlocks, OfATextThatIsNoneAreNone) {
    EXPECT_EQ(parse_free_blocks("", 0, page, huge), 0u);
    EXPECT_EQ(parse_free_blocks("Node 0, zone\nNode 0, zone  \nNode 0, zone x", 0, page, huge), 0u);
}

TEST(Fingerprint, HasWhatLiesOnTheNodesThatCount) {
    FakeKernel kernel(2);
    kernel.fill(1, {.pages = 100 * mib});
    kernel.fill(1, {.pages = 10 * mib, .mapped = true});
    kernel.fill(1, {.pages = 5 * mib, .dirty = true});
    kernel.fill(1, {.what = What::tmpfs, .pages = 20 * mib});
    kernel.fill(1, {.what = What::anonymous, .pages = 30 * mib});
    kernel.settle();
    kernel.set_file("/proc/sys/kernel/osrelease", "6.18.0-test\n");
    kernel.set_file("/proc/buddyinfo", "Node 1, zone Normal 0 0 0 0 0 0 0 0 0 3\n");
    const auto found = read_fingerprint(kernel, {1});
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->kernel, "6.18.0-test");
    ASSERT_EQ(found->nodes.size(), 1u);
    const NodeFingerprint& node = found->nodes[0];
    EXPECT_EQ(node.node, 1u);
    EXPECT_EQ(node.total, gib_bytes);
    EXPECT_EQ(node.page_cache, 115 * mib_bytes);
    EXPECT_EQ(node.mapped, 10 * mib_bytes);
    EXPECT_EQ(node.dirty, 5 * mib_bytes);
    EXPECT_EQ(node.shmem, 20 * mib_bytes);
    EXPECT_EQ(node.anonymous, 30 * mib_bytes);
    EXPECT_EQ(node.slab, 4 * mib_bytes);
    EXPECT_EQ(node.free_huge, 3 * huge);
}

TEST(Fingerprint, HasTheSettingsInForceAndNoneThatIsNotThere) {
    FakeKernel kernel;
    kernel.set_file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    const auto found = read_fingerprint(kernel, {0});
    ASSERT_TRUE(found.has_value());
    EXPECT_THAT(found->settings,
                Contains(FingerprintSetting{"transparent_hugepage.enabled", "madvise"}));
    EXPECT_THAT(found->settings, Contains(FingerprintSetting{"vm.swappiness", "60"}));
    for (const FingerprintSetting& one : found->settings) {
        EXPECT_NE(one.name, "cpu.governor");
        EXPECT_NE(one.name, "vm.dirty_ratio");
    }
}

TEST(Fingerprint, NamesEveryGovernorOnce) {
    FakeKernel kernel;
    const std::string cpus = "/sys/devices/system/cpu/";
    for (const char* cpu : {"cpu0", "cpu1"})
        kernel.set_file(cpus + cpu + "/cpufreq/scaling_governor", "powersave\n");
    kernel.set_file(cpus + "cpu2/cpufreq/scaling_governor", "performance\n");
    kernel.set_file(cpus + "cpufreq/scaling_governor", "not of a cpu\n");
    const auto found = read_fingerprint(kernel, {0});
    ASSERT_TRUE(found.has_value());
    EXPECT_THAT(found->settings,
                Contains(FingerprintSetting{"cpu.governor", "performance,powersave"}));
}

TEST(Fingerprint, OfANodeThatCannotBeReadIsAnError) {
    FakeKernel kernel;
    kernel.fail("/sys/devices/system/node/node0/vmstat", EIO);
    EXPECT_FALSE(read_fingerprint(kernel, {0}).has_value());
}

TEST(CompareFingerprints, FindsNothingBetweenTheSame) {
    EXPECT_THAT(texts(compare(example(), example())), IsEmpty());
}

TEST(CompareFingerprints, TakesAmountsWithinTwoPercentOfTheNodeForTheSame) {
    Fingerprint found = example();
    const uint64_t tolerance = 64 * gib_bytes / 100 * 2;
    found.nodes[0].free -= tolerance;
    found.nodes[0].slab += tolerance;
    EXPECT_THAT(texts(compare(example(), found)), IsEmpty());
    found.nodes[0].free -= 1;
    EXPECT_THAT(texts(compare(example(), found)),
                ElementsAre("node 0 free: expected 60G, found 59G (may differ by 1.3G)"));
}

TEST(CompareFingerprints, OfASmallNodeAllows64Mib) {
    Fingerprint expected = example();
    expected.nodes[0].total = gib_bytes;
    expected.nodes[0].free = gib_bytes / 2;
    Fingerprint found = expected;
    found.nodes[0].page_cache = 64 * mib_bytes;
    EXPECT_THAT(texts(compare(expected, found)), IsEmpty());
    found.nodes[0].page_cache += 1;
    ASSERT_EQ(compare(expected, found).size(), 1u);
    EXPECT_EQ(compare(expected, found)[0].what, "node 0 page cache");
}

TEST(CompareFingerprints, WantsSettingsAndKernelToBeTheSame) {
    Fingerprint found = example();
    found.kernel = "6.12.0";
    found.settings = {{"vm.swappiness", "61"}};
    EXPECT_THAT(texts(compare(example(), found)),
                ElementsAre("kernel: expected 6.18.0, found 6.12.0",
                            "vm.swappiness: expected 60, found 61"));
}

TEST(CompareFingerprints, NamesWhatOnlyOneOfThemHas) {
    Fingerprint found = example();
    found.nodes[0].node = 1;
    found.settings = {{"ksm.run", "1"}};
    EXPECT_THAT(texts(compare(example(), found)),
                ElementsAre("node 0: expected there, found not there",
                            "node 1: expected not there, found there",
                            "vm.swappiness: expected 60, found not there",
                            "ksm.run: expected not there, found 1"));
}

TEST(CompareFingerprints, SeesUsedSwap) {
    Fingerprint found = example();
    found.swap_used = gib_bytes;
    EXPECT_THAT(texts(compare(example(), found)),
                ElementsAre("swap used: expected 0B, found 1.0G (may differ by 164M)"));
}

}  // namespace
}  // namespace braidway::memory
