// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/numa_text.h"

#include <gtest/gtest.h>

namespace braidway::memory {
namespace {

TEST(NumaText, ReadsTheLinesOfNumaMaps) {
    const auto mappings = parse_numa_maps(
        "5642f2b44000 default file=/opt/a\\040b mapped=8 mapmax=5 N0=6 N1=2 kernelpagesize_kB=4\n"
        "564323d19000 bind:1 heap anon=4 dirty=4 active=0 N1=4 kernelpagesize_kB=4\n"
        "7f0000000000 default file=/lib/x anon=3 dirty=3 mapped=9 N0=6 N1=3 kernelpagesize_kB=4\n"
        "nonsense\n"
        "7ffc00000000 default\n");
    ASSERT_EQ(mappings.size(), 4u);
    EXPECT_EQ(mappings[0].begin, 0x5642f2b44000u);
    EXPECT_TRUE(mappings[0].file);
    EXPECT_EQ(mappings[0].path, "/opt/a\\040b");
    EXPECT_EQ(mappings[0].pages(), 8u);
    EXPECT_EQ(mappings[0].nodes, (NodePages{{0, 6}, {1, 2}}));
    EXPECT_EQ(mappings[0].anon_on(0), 0u);
    EXPECT_FALSE(mappings[1].file);
    EXPECT_EQ(mappings[1].anon_on(1), 4u);
    EXPECT_EQ(mappings[1].anon_on(0), 0u);
    EXPECT_EQ(mappings[2].anon_on(0), 2u);
    EXPECT_EQ(mappings[2].anon_on(1), 1u);
    EXPECT_TRUE(mappings[3].nodes.empty());
}

TEST(NumaText, ReadsNumaStatOfCgroupV1WithChildren) {
    const auto bytes = parse_numa_stat(
        "total=50 N0=40 N1=10\nfile=1 N0=1 N1=0\nanon=2 N0=2 N1=0\nunevictable=0 N0=0 N1=0\n"
        "hierarchical_total=9 N0=7 N1=2\nhierarchical_file=5 N0=4 N1=1\n"
        "hierarchical_anon=4 N0=3 N1=1\nhierarchical_unevictable=0 N0=0 N1=0\n",
        4096);
    ASSERT_EQ(bytes.size(), 2u);
    EXPECT_EQ(bytes.at(0).file, 4u * 4096);
    EXPECT_EQ(bytes.at(0).anon, 3u * 4096);
    EXPECT_EQ(bytes.at(1).total(), 2u * 4096);
}

TEST(NumaText, ReadsNumaStatOfCgroupV2AndTakesSharedMemoryOutOfFiles) {
    const auto bytes = parse_numa_stat(
        "anon N0=4096 N1=0\nfile N0=81920 N1=8192\nkernel_stack N0=999 N1=0\n"
        "shmem N0=40960 N1=0\nslab_reclaimable N0=100 N1=7\nslab_unreclaimable N0=11 N1=0\n",
        4096);
    EXPECT_EQ(bytes.at(0).anon, 4096u);
    EXPECT_EQ(bytes.at(0).file, 40960u);
    EXPECT_EQ(bytes.at(0).shmem, 40960u);
    EXPECT_EQ(bytes.at(0).slab, 111u);
    EXPECT_EQ(bytes.at(1).file, 8192u);
    EXPECT_EQ(bytes.at(1).slab, 7u);
    EXPECT_TRUE(parse_numa_stat("", 4096).empty());
}

}  // namespace
}  // namespace braidway::memory
