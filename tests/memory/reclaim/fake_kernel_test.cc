// SPDX-License-Identifier: Apache-2.0
// The scripted kernel against the real one's formats and against figures that were measured on it.
#include "memory/reclaim/fake_kernel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>

#include "memory/reclaim/fake_reclaim.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using namespace std::chrono_literals;

const std::string reclaim0 = "/sys/devices/system/node/node0/reclaim";
constexpr uint64_t mib_bytes = 1 << 20;
constexpr uint64_t batch = 128 << 10;  ///< The least that one call frees.

NodeState state(FakeKernel& kernel, uint32_t node = 0) {
    auto read = read_node_state(kernel, node, Refresh::yes);
    EXPECT_TRUE(read.has_value());
    return read.value_or(NodeState{});
}

int write(FakeKernel& kernel, const std::string& path, std::string_view text) {
    const auto done = kernel.write(path, text);
    return done ? 0 : done.error().code;
}

std::string real_text(const char* path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::set<std::string> names(const std::string& text) {
    std::set<std::string> all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) all.insert(line.substr(0, line.find(' ')));
    return all;
}

TEST(FakeKernel, CountsOnlyWhatTheRealKernelCountsToo) {
    const std::string real = real_text("/sys/devices/system/node/node0/vmstat");
    if (!real.contains("nr_free_pages_blocks")) GTEST_SKIP() << "node0/vmstat is not of 6.18";
    FakeKernel kernel;
    const auto text = kernel.read("/sys/devices/system/node/node0/vmstat");
    ASSERT_TRUE(text.has_value());
    const auto there = names(real);
    for (const std::string& name : names(*text)) EXPECT_TRUE(there.contains(name)) << name;
}

TEST(FakeKernel, GivesEveryCounterOfANodeState) {
    FakeKernel kernel;
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 64 * mib, .write_time = 1s};
    kernel.fill(0, {.pages = 30 * mib});
    kernel.fill(0, {.pages = 20 * mib, .active = true, .mapped = true});
    kernel.fill(0, {.pages = 3 * mib, .dirty = true});
    kernel.fill(0, {.pages = 2 * mib, .mapped = true, .mlocked = true});
    kernel.fill(0, {.what = What::tmpfs, .pages = 5 * mib});
    kernel.fill(0, {.what = What::anonymous, .pages = 7 * mib});
    kernel.node(0).slab_reclaimable = mib;
    EXPECT_EQ(write(kernel, reclaim0, "128K swappiness=max"), 0);
    const NodeState now = state(kernel);
    EXPECT_EQ(now.total, 1024 * mib_bytes);
    EXPECT_EQ(now.file_inactive, 33 * mib_bytes);
    EXPECT_EQ(now.file_active, 20 * mib_bytes);
    EXPECT_EQ(now.file_pages, 60 * mib_bytes);
    EXPECT_EQ(now.swap_cache, batch);
    EXPECT_EQ(now.page_cache(), 55 * mib_bytes);
    EXPECT_EQ(now.mapped, 22 * mib_bytes);
    EXPECT_EQ(now.dirty, 3 * mib_bytes);
    EXPECT_EQ(now.mlocked, 2 * mib_bytes);
    EXPECT_EQ(now.unevictable, 2 * mib_bytes);
    EXPECT_EQ(now.shmem, 5 * mib_bytes - batch);
    EXPECT_EQ(now.anon_pages, 7 * mib_bytes);
    EXPECT_EQ(now.swapped_out, batch);
    EXPECT_EQ(now.slab_reclaimable, mib_bytes);
    EXPECT_EQ(now.free, (1024 - 16 - 4 - 1 - 67) * mib_bytes);
    EXPECT_EQ(read_swap_state(kernel)->free, 64 * mib_bytes - batch);
}

/// What the file of the real kernel answers; less than a page each, so nothing is freed.
TEST(FakeKernel, ReadsCommandsAsTheRealFileDoes) {
    const int file = ::open(reclaim0.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) GTEST_SKIP() << reclaim0 << " is not there or takes a privilege";
    FakeKernel kernel;
    for (const char* text : {"0",
                             "100",
                             "4095",
                             "",
                             "\n",
                             " ",
                             "0x10",
                             "100 ",
                             "100 swappiness=0",
                             "100 swappiness=201",
                             "100 swappiness=max",
                             "100 swappiness=-1",
                             "100 nodes=0",
                             "100B",
                             "1MB",
                             "0,",
                             "max",
                             "-1",
                             "0 swappiness=",
                             "0 swappiness=0x10",
                             "3kswappiness=0",
                             "0 swappiness=0 swappiness=max",
                             " 0",
                             "0\n",
                             "0  swappiness=5",
                             "0swappiness=5",
                             "0\tswappiness=5",
                             "0K",
                             "1k",
                             "010",
                             "0 swappiness=max0",
                             "swappiness=0",
                             "0.5",
                             "0 swappiness= 5",
                             "0 swappiness=1 nodes"}) {
        const ssize_t done = ::write(file, text, std::string_view(text).size());
        EXPECT_EQ(write(kernel, reclaim0, text), done < 0 ? errno : 0) << '"' << text << '"';
    }
    ::close(file);
}

TEST(FakeKernel, FreesWholeFoliosAndAtLeastABatch) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 200 * mib, .folio = 64});
    const NodeState before = state(kernel);
    EXPECT_EQ(write(kernel, reclaim0, "100M swappiness=0"), 0);
    const uint64_t freed = difference(before, state(kernel)).freed[Kind::page_cache];
    EXPECT_GE(freed, 100 * mib_bytes);
    EXPECT_LE(freed, 100 * mib_bytes + 512 * 1024);
    EXPECT_EQ(freed % (64 * fake::page_size), 0u);
    kernel.fill(0, {.pages = 32 * mib});
    const uint64_t left = state(kernel).page_cache();
    EXPECT_EQ(write(kernel, reclaim0, "4096"), 0);
    EXPECT_EQ(left - state(kernel).page_cache(), 256 * 1024u);
}

TEST(FakeKernel, TakesPageCacheForAnonymousMemoryWithoutSwap) {
    FakeKernel kernel;
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.fill(0, {.pages = 300 * mib});
    const NodeState before = state(kernel);
    EXPECT_EQ(write(kernel, reclaim0, "200M swappiness=max"), 0);
    const Difference change = difference(before, state(kernel));
    EXPECT_NEAR(static_cast<double>(change.freed[Kind::page_cache]), 200.0 * mib_bytes, mib_bytes);
    EXPECT_EQ(change.freed[Kind::anonymous], 0u);
}

TEST(FakeKernel, SwapsTmpfsThatIsOlderFirst) {
    FakeKernel kernel;
    kernel.world().swap = {.kind = fake::SwapKind::zram, .total = 500 * mib, .zram_percent = 84};
    kernel.fill(0, {.what = What::tmpfs, .pages = 80 * mib});
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.fill(0, {.pages = 100 * mib});
    const NodeState before = state(kernel);
    EXPECT_EQ(write(kernel, reclaim0, "100M swappiness=max"), 0);
    const Difference change = difference(before, state(kernel));
    EXPECT_EQ(change.shmem, 80 * mib_bytes);
    EXPECT_NEAR(static_cast<double>(change.freed[Kind::anonymous]), 20.0 * mib_bytes, batch);
    EXPECT_EQ(change.freed[Kind::page_cache], 0u);
    EXPECT_NEAR(static_cast<double>(change.net_free), 16.0 * mib_bytes, mib_bytes);
}

TEST(FakeKernel, KeepsTheGateShutWithoutUnmappedCleanCache) {
    FakeKernel kernel;
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 500 * mib};
    kernel.fill(0, {.what = What::anonymous, .pages = 100 * mib});
    kernel.fill(0, {.pages = 100 * mib, .dirty = true});
    const Instant begin = kernel.now();
    EXPECT_EQ(write(kernel, reclaim0, "50M swappiness=max"), EAGAIN);
    EXPECT_LT(kernel.now() - begin, 100us);
    EXPECT_EQ(write(kernel, "/proc/sys/vm/min_unmapped_ratio", "0"), 0);
    EXPECT_EQ(write(kernel, reclaim0, "50M swappiness=max"), EAGAIN) << "all is dirty";
    kernel.fill(0, {.pages = 20 * mib, .mapped = true});
    EXPECT_EQ(write(kernel, reclaim0, "50M swappiness=max"), EAGAIN) << "all is mapped";
    EXPECT_EQ(write(kernel, "/proc/sys/vm/zone_reclaim_mode", "4"), 0);
    EXPECT_EQ(write(kernel, reclaim0, "10M swappiness=max"), 0);
}

TEST(FakeKernel, DoesNotGiveActivePagesBeforeItsStatisticsAreNew) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 400 * mib, .active = true});
    EXPECT_EQ(write(kernel, reclaim0, "100M swappiness=0"), EAGAIN);
    EXPECT_EQ(state(kernel).page_cache(), 400 * mib_bytes);
    EXPECT_TRUE(kernel.pause(2200ms));
    EXPECT_EQ(write(kernel, reclaim0, "100M swappiness=0"), 0);
    kernel.fill(0, {.pages = 100 * mib, .active = true});
    const uint64_t before = state(kernel).page_cache();
    EXPECT_TRUE(kernel.read("/sys/fs/cgroup/memory.stat").has_value());
    EXPECT_EQ(write(kernel, reclaim0, "380M swappiness=0"), 0);
    EXPECT_NEAR(static_cast<double>(before - state(kernel).page_cache()), 380.0 * mib_bytes, batch);
}

TEST(FakeKernel, LeavesDirtyAndLockedPagesAndTakesMappedOnesLast) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 50 * mib, .mapped = true});
    kernel.fill(0, {.pages = 60 * mib});
    kernel.fill(0, {.pages = 10 * mib, .dirty = true});
    kernel.fill(0, {.pages = 20 * mib, .mapped = true, .mlocked = true});
    EXPECT_EQ(write(kernel, "/proc/sys/vm/min_unmapped_ratio", "0"), 0);
    EXPECT_EQ(write(kernel, reclaim0, "30M swappiness=0"), 0);
    EXPECT_EQ(state(kernel).mapped, 70 * mib_bytes);
    // The gate counts what is mapped twice here, as locked pages are mapped and on no list.
    kernel.fill(0, {.pages = 60 * mib});
    EXPECT_EQ(write(kernel, reclaim0, "1G swappiness=0"), EAGAIN);
    EXPECT_GE(state(kernel).page_cache(), 30 * mib_bytes);
    EXPECT_EQ(state(kernel).dirty, 10 * mib_bytes);
    EXPECT_EQ(state(kernel).mlocked, 20 * mib_bytes);
}

TEST(FakeKernel, HoldsCountsBackUntilTheyAreRefreshed) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 100 * mib});
    kernel.settle();
    kernel.world().held_back = 250;
    EXPECT_EQ(write(kernel, reclaim0, "10M swappiness=0"), 0);
    const auto stale = read_node_state(kernel, 0, Refresh::no);
    ASSERT_TRUE(stale.has_value());
    const uint64_t exact = state(kernel).page_cache();
    EXPECT_NEAR(static_cast<double>(exact), 90.0 * mib_bytes, batch);
    EXPECT_EQ(stale->page_cache(), exact + 250 * fake::page_size);
}

TEST(FakeKernel, IsBusyForAWhileAndRefilledMeanwhile) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 100 * mib});
    kernel.node(0).busy_until = kernel.now() + 20ms;
    EXPECT_EQ(write(kernel, reclaim0, "10M"), EAGAIN);
    kernel.node(0).refill_per_second = 1000;
    EXPECT_TRUE(kernel.pause(1s));
    EXPECT_NEAR(static_cast<double>(state(kernel).page_cache()),
                static_cast<double>((100 * mib + 1001) * fake::page_size), 8192);
    EXPECT_EQ(write(kernel, reclaim0, "10M"), 0);
}

TEST(FakeKernel, DemotesWhereThereIsASlowerTier) {
    FakeKernel kernel(2);
    kernel.node(0).demotes_to = 1;
    kernel.fill(0, {.pages = 100 * mib});
    const NodeState before = state(kernel);
    EXPECT_EQ(write(kernel, reclaim0, "50M swappiness=0"), 0);
    const uint64_t demoted = difference(before, state(kernel)).demoted;
    EXPECT_NEAR(static_cast<double>(demoted), 50.0 * mib_bytes, batch);
    EXPECT_EQ(state(kernel, 1).page_cache(), demoted);
}

TEST(FakeKernel, KeepsWhatACgroupIsPromised) {
    FakeKernel kernel;
    const uint32_t id = kernel.add_cgroup("/job", "", 80 * mib);
    kernel.fill(0, {.pages = 100 * mib, .cgroup = id});
    EXPECT_EQ(write(kernel, reclaim0, "60M swappiness=0"), EAGAIN);
    EXPECT_EQ(state(kernel).page_cache(), 80 * mib_bytes);
}

TEST(FakeKernel, ReclaimsACgroupOnEveryNode) {
    FakeKernel kernel(2);
    kernel.fill(0, {.pages = 200 * mib});
    kernel.fill(1, {.pages = 100 * mib});
    EXPECT_EQ(write(kernel, "/sys/fs/cgroup/memory.reclaim", "90M swappiness=0"), 0);
    EXPECT_NEAR(static_cast<double>(state(kernel, 0).page_cache()), 140.0 * mib_bytes, mib_bytes);
    EXPECT_NEAR(static_cast<double>(state(kernel, 1).page_cache()), 70.0 * mib_bytes, mib_bytes);
    EXPECT_EQ(write(kernel, "/sys/fs/cgroup/memory.reclaim", "1M nodes=0"), EINVAL);
    EXPECT_EQ(write(kernel, "/sys/fs/cgroup/memory.reclaim", "1G swappiness=0"), EAGAIN);
}

TEST(FakeKernel, EvictsGenerationsOfOneNodeExactly) {
    FakeKernel kernel(2);
    kernel.world().mglru = kernel.world().mglru_enabled = true;
    for (const uint32_t node : {0u, 1u}) kernel.fill(node, {.pages = 94 * mib});
    const std::string path = "/sys/kernel/debug/lru_gen";
    EXPECT_EQ(write(kernel, path, "- 1 1 2 0 6400"), EINVAL) << "too young";
    EXPECT_EQ(write(kernel, path, "- 1 1 1 0 6400"), 0);
    EXPECT_EQ(state(kernel, 1).page_cache(), 69 * mib_bytes);
    EXPECT_EQ(write(kernel, path, "- 1 1 1 0 1000000"), 0);
    EXPECT_EQ(state(kernel, 1).page_cache(), 0u);
    EXPECT_EQ(state(kernel, 0).page_cache(), 94 * mib_bytes);
    EXPECT_EQ(write(kernel, path, "- 9 1 1 0 1"), EINVAL) << "no such cgroup";
}

TEST(FakeKernel, AgesSoThatWhatWasUsedLastCanGo) {
    FakeKernel kernel;
    kernel.world().mglru = kernel.world().mglru_enabled = true;
    kernel.fill(0, {.pages = 50 * mib, .active = true});
    const std::string path = "/sys/kernel/debug/lru_gen";
    EXPECT_EQ(write(kernel, path, "+ 1 0 4"), EINVAL);
    EXPECT_EQ(write(kernel, path, "+ 1 0 3,+ 1 0 4"), 0);
    EXPECT_EQ(write(kernel, path, "- 1 0 3 0"), 0);
    EXPECT_EQ(state(kernel).page_cache(), 0u);
}

TEST(FakeKernel, SkipsInodesWithCachedPagesWhenSlabIsDropped) {
    FakeKernel kernel;
    kernel.node(0).slab_reclaimable = 138 * mib;
    kernel.fill(0, {.pages = 100 * mib});
    EXPECT_EQ(write(kernel, "/proc/sys/vm/drop_caches", "2"), 0);
    EXPECT_NEAR(static_cast<double>(state(kernel).slab_reclaimable), 124.0 * mib_bytes, mib_bytes);
    EXPECT_EQ(write(kernel, "/proc/sys/vm/drop_caches", "3"), 0);
    EXPECT_LT(state(kernel).slab_reclaimable, 10 * mib_bytes);
    EXPECT_EQ(state(kernel).page_cache(), 0u);
    EXPECT_EQ(write(kernel, "/proc/sys/vm/drop_caches", "7"), EINVAL);
}

TEST(FakeKernel, FailsAsToldAndRecordsWrites) {
    FakeKernel kernel;
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fail(reclaim0, EINTR, 1);
    EXPECT_EQ(write(kernel, reclaim0, "1M"), EINTR);
    EXPECT_EQ(write(kernel, reclaim0, "2M"), 0);
    EXPECT_EQ(kernel.writes_to(reclaim0), (std::vector<std::string>{"1M", "2M"}));
    EXPECT_EQ(kernel.writes()[0].error, EINTR);
    kernel.world().privileged = false;
    EXPECT_EQ(kernel.writable(reclaim0).error().code, EACCES);
    EXPECT_EQ(kernel.read("/sys/kernel/debug/lru_gen").error().code, EACCES);
    EXPECT_EQ(kernel.writable("/nowhere").error().code, ENOENT);
}

TEST(FakeKernel, LetsThingsHappenInItsTime) {
    FakeKernel kernel;
    const Instant begin = kernel.now();
    std::vector<Duration> seen;
    for (const Duration later : {Duration(30ms), Duration(10ms)})
        kernel.at(later, [&](fake::World& world) { seen.push_back(world.now - begin); });
    EXPECT_TRUE(kernel.pause(50ms));
    EXPECT_EQ(seen, (std::vector<Duration>{10ms, 30ms}));
    kernel.cancel_after(10ms);
    EXPECT_FALSE(kernel.pause(1s));
    EXPECT_EQ(kernel.now() - begin, 60ms);
    EXPECT_TRUE(kernel.cancelled());
}

TEST(FakeKernel, ListsNodesOfEverySort) {
    FakeKernel kernel(3);
    kernel.node(2).has_memory = false;
    kernel.world().offline = {4};
    EXPECT_TRUE(check_node(kernel, 1).has_value());
    EXPECT_TRUE(check_node(kernel, 2).error().message.contains("has no memory"));
    EXPECT_TRUE(check_node(kernel, 4).error().message.contains("offline"));
    EXPECT_TRUE(check_node(kernel, 7).error().message.contains("there is no node 7"));
}

}  // namespace
}  // namespace braidway::memory
