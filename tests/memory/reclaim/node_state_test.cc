// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_state.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t mib = 1 << 20;

constexpr const char* real_vmstat = R"(nr_free_pages 5800000
nr_zone_inactive_file 999999
nr_mlock 3
numa_hit 123456789
nr_inactive_anon 200
nr_active_anon 100
nr_inactive_file 3000
nr_active_file 2000
nr_unevictable 7
nr_slab_reclaimable 400
nr_slab_unreclaimable 500
nr_anon_pages 250
nr_mapped 60
nr_file_pages 5200
nr_dirty 11
nr_writeback 12
nr_shmem 50
nr_swapcached 20
pgdemote_kswapd 1
pgdemote_direct 2
pgdemote_khugepaged 4
pgdemote_proactive 8
)";

constexpr const char* real_meminfo = R"(
Node 1 MemTotal:       24684084 kB
Node 1 MemFree:        23300000 kB
Node 1 SwapCached:           80 kB
)";

TEST(NodeState, ReadsTheRealTexts) {
    const NodeState state =
        parse_node_state(real_vmstat, real_meminfo, "pgpgin 5\npswpin 1\npswpout 9\n", 4096);
    EXPECT_EQ(state.total, 24684084ull * 1024);
    EXPECT_EQ(state.free, 5800000ull * 4096);
    EXPECT_EQ(state.file_inactive, 3000u * 4096) << "not the zone's";
    EXPECT_EQ(state.file_active, 2000u * 4096);
    EXPECT_EQ(state.file_lru(), 5000u * 4096);
    EXPECT_EQ(state.anon_lru, 300u * 4096);
    EXPECT_EQ(state.anon_pages, 250u * 4096);
    EXPECT_EQ(state.page_cache(), (5200u - 50 - 20) * 4096) << "neither tmpfs nor swap cache";
    EXPECT_EQ(state.mapped_page_cache(), 60u * 4096);
    EXPECT_EQ(state.dirty, 11u * 4096);
    EXPECT_EQ(state.writeback, 12u * 4096);
    EXPECT_EQ(state.mlocked, 3u * 4096);
    EXPECT_EQ(state.unevictable, 7u * 4096);
    EXPECT_EQ(state.slab_reclaimable, 400u * 4096);
    EXPECT_EQ(state.slab_unreclaimable, 500u * 4096);
    EXPECT_EQ(state.demoted, 15u * 4096);
    EXPECT_EQ(state.swapped_out, 9u * 4096);
    EXPECT_EQ(parse_node_state(real_vmstat, "", "", 65536).dirty, 11u * 65536) << "pages of arm64";
}

TEST(NodeState, SurvivesHostileTexts) {
    for (const char* text :
         {"", "\n\n\n", " ", "nr_dirty", "nr_dirty ", "nr_dirty\n", "nr_dirty x", "nr_dirty -5",
          "nr_dirty 99999999999999999999999999", "nr_dirty:", " nr_dirty 5", "nr_dirty\t5",
          "NR_DIRTY 5", "nr_dirtyx 5", "xnr_dirty 5", "nr_dirty    ", ": : :"}) {
        const NodeState state = parse_node_state(text, text, text, 4096);
        EXPECT_EQ(state.dirty, 0u) << '"' << text << '"';
        EXPECT_EQ(state.total, 0u) << '"' << text << '"';
    }
    EXPECT_EQ(parse_node_state("nr_dirty 5", "", "", 4096).dirty, 5u * 4096) << "no newline";
    EXPECT_EQ(parse_node_state("nr_dirty   5  6\r\n", "", "", 4096).dirty, 5u * 4096);
    EXPECT_EQ(parse_node_state("", "Node 0 MemTotal:", "", 4096).total, 0u);
    EXPECT_EQ(parse_node_state("", "MemTotal: 7 kB", "", 4096).total, 7u * 1024);
    EXPECT_EQ(parse_node_state("", "Node 0 MemTotal: x\nNode 0 MemFree: 4 kB", "", 4096).total, 0u);
}

TEST(NodeState, OfAShrunkFileCountIsNeverNegative) {
    const NodeState state{.file_pages = 10, .swap_cache = 8, .mapped = 100, .shmem = 8};
    EXPECT_EQ(state.page_cache(), 0u);
    EXPECT_EQ(state.mapped_page_cache(), 0u);
}

TEST(SwapState, IsReadFromMeminfo) {
    const SwapState swap = parse_swap_state(
        "MemTotal: 1 kB\nSwapCached:  5 kB\nSwapTotal:    2097148 kB\nSwapFree:    1000 kB\n");
    EXPECT_EQ(swap.total, 2097148ull * 1024);
    EXPECT_EQ(swap.free, 1000u * 1024);
    EXPECT_EQ(parse_swap_state("").total, 0u);
    EXPECT_EQ(parse_swap_state("SwapTotal: many kB\nSwapFree:\n").free, 0u);
}

TEST(Difference, CountsWhatFellAndNothingThatGrew) {
    const NodeState before{.free = 100 * mib,
                           .file_pages = 500 * mib,
                           .mapped = 50 * mib,
                           .anon_pages = 80 * mib,
                           .shmem = 20 * mib,
                           .slab_reclaimable = 30 * mib,
                           .swapped_out = 5 * mib};
    NodeState after = before;
    after.file_pages -= 120 * mib;  // 100 of the cache, 20 of tmpfs
    after.shmem = 0;
    after.mapped = 40 * mib;
    after.anon_pages = 100 * mib;
    after.slab_reclaimable = 22 * mib;
    after.swapped_out = 25 * mib;
    after.free = 90 * mib;
    const Difference change = difference(before, after);
    EXPECT_EQ(change.freed[Kind::page_cache], 90 * mib);
    EXPECT_EQ(change.freed[Kind::mapped_page_cache], 10 * mib);
    EXPECT_EQ(change.freed[Kind::anonymous], 0u);
    EXPECT_EQ(change.freed[Kind::slab], 8 * mib);
    EXPECT_EQ(change.shmem, 20 * mib);
    EXPECT_EQ(change.swapped_out, 20 * mib);
    EXPECT_EQ(change.demoted, 0u);
    EXPECT_EQ(change.net_free, -static_cast<int64_t>(10 * mib));
}

TEST(Difference, TakesUnmappingForNoFreeing) {
    const NodeState before{.file_pages = 500 * mib, .mapped = 50 * mib};
    NodeState after = before;
    after.mapped = 0;
    EXPECT_EQ(difference(before, after).freed.total(), 0u);
}

TEST(Difference, TakesDemotionForNoFreeing) {
    const NodeState before{.file_pages = 500 * mib, .anon_pages = 300 * mib, .demoted = 7 * mib};
    NodeState after = before;
    after.file_pages -= 100 * mib;
    after.demoted += 100 * mib;
    Difference change = difference(before, after);
    EXPECT_EQ(change.demoted, 100 * mib);
    EXPECT_EQ(change.freed.total(), 0u);
    after.anon_pages -= 100 * mib;
    change = difference(before, after);
    EXPECT_EQ(change.freed[Kind::page_cache], 50 * mib);
    EXPECT_EQ(change.freed[Kind::anonymous], 50 * mib);
    after.demoted += 1000 * mib;
    EXPECT_EQ(difference(before, after).freed.total(), 0u) << "more than fell: pages came, too";
}

TEST(NodeState, MakesCountsExactWhereItMay) {
    FakeKernel kernel;
    kernel.world().held_back = 100;
    kernel.settle();
    kernel.fill(0, {.pages = 50});
    EXPECT_EQ(read_node_state(kernel, 0, Refresh::no)->file_inactive, 0u);
    EXPECT_EQ(read_node_state(kernel, 0, Refresh::yes)->file_inactive, 50u * 4096);
    kernel.world().privileged = false;
    EXPECT_TRUE(read_node_state(kernel, 0, Refresh::yes).has_value()) << "a failure is ignored";
}

TEST(NodeState, NamesTheFileThatCannotBeRead) {
    FakeKernel kernel;
    const auto state = read_node_state(kernel, 7, Refresh::no);
    ASSERT_FALSE(state.has_value());
    EXPECT_THAT(state.error().message, HasSubstr("node7/vmstat"));
    kernel.fail("/proc/vmstat", EACCES);
    EXPECT_TRUE(read_node_state(kernel, 0, Refresh::no).has_value()) << "only swap is not known";
}

TEST(NodeCheck, TellsUnknownOfflineAndMemorylessNodesApart) {
    FakeKernel kernel(3);
    kernel.node(1).has_memory = false;
    kernel.node(2).online = false;
    kernel.world().offline.insert(5);
    EXPECT_TRUE(check_node(kernel, 0).has_value());
    const auto said = [&](uint32_t node) {
        const auto checked = check_node(kernel, node);
        EXPECT_FALSE(checked.has_value()) << node;
        if (checked) return std::string();
        EXPECT_EQ(checked.error().code, ENODEV);
        return checked.error().message;
    };
    EXPECT_EQ(said(1), "node 1 has no memory; nodes with memory: 0");
    EXPECT_EQ(said(2), "node 2 is offline; nodes with memory: 0");
    EXPECT_EQ(said(5), "node 5 is offline; nodes with memory: 0");
    EXPECT_EQ(said(4), "there is no node 4; nodes with memory: 0");
    EXPECT_EQ(said(UINT32_MAX), "there is no node 4294967295; nodes with memory: 0");
    EXPECT_THAT(*nodes_with_memory(kernel), ElementsAre(0));
}

TEST(NodeCheck, DoesWithoutTheListOfNodesWithMemory) {
    FakeKernel kernel(2);
    kernel.fail("/sys/devices/system/node/has_memory", ENOENT);
    EXPECT_THAT(*nodes_with_memory(kernel), ElementsAre(0, 1));
    kernel.fail("/sys/devices/system/node/online", ENOENT);
    const auto nodes = nodes_with_memory(kernel);
    ASSERT_FALSE(nodes.has_value());
    EXPECT_THAT(nodes.error().message, HasSubstr("says nothing of its NUMA nodes"));
    EXPECT_FALSE(check_node(kernel, 0).has_value());
}

}  // namespace
}  // namespace braidway::memory
