// SPDX-License-Identifier: Apache-2.0
// The calls of one mechanism: every trap of the kernel's node reclaim, over a scripted kernel.
#include <fmt/format.h>

#include "base/limits.h"
#include "memory/reclaim/run_fixture.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;

class NodeSeries : public RunTest {};

TEST_F(NodeSeries, FreesCleanCacheExactly) {
    cache(600);
    kernel.settle();
    const NodeReport report = run(100);
    expect_about(report.freed[Kind::page_cache], 100);
    EXPECT_EQ(report.shortfall, Shortfall::none);
    EXPECT_EQ(report.reason, "");
    EXPECT_EQ(file_left(), 500u);
    ASSERT_THAT(report.steps, SizeIs(1));
    EXPECT_EQ(report.steps[0].mechanism, "node-reclaim");
    EXPECT_EQ(report.steps[0].calls, 2u) << "up to the goal, and the rest";
    EXPECT_EQ(report.steps[0].outcome, "done");
    EXPECT_EQ(kernel.paused(), 0ns);
}

TEST_F(NodeSeries, AsksInChunksAndTellsTheProgress) {
    cache(900);
    kernel.settle();
    const NodeReport report = run(600);
    EXPECT_EQ(asked().size(), 4u);
    ASSERT_THAT(progress, SizeIs(4));
    expect_about(progress[0].first, 256);
    EXPECT_EQ(progress[0].second, 600 * mib_bytes);
    expect_about(progress[2].first, 592);
    expect_about(progress[3].first, 600);
    EXPECT_EQ(report.steps[0].calls, 4u);
    expect_about(report.steps[0].asked, 600);
}

TEST_F(NodeSeries, NeverSwapsWithoutRoom) {
    cache(500);
    kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
    kernel.settle();
    request.kinds = {Kind::anonymous};
    NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::no_swap);
    EXPECT_THAT(report.reason, HasSubstr("there is no swap"));
    EXPECT_THAT(asked(), IsEmpty()) << "max would take page cache in silence";
    EXPECT_EQ(file_left(), 500u);
    swap(64);
    kernel.world().swap.used = 50 * mib;
    report = run(100);
    EXPECT_THAT(report.reason, HasSubstr("swap is full: 14M of 64M is free, 16M of that is kept"));
    EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(NodeSeries, StopsWhereSwapIsFullHalfWay) {
    cache(300);
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.settle();
    swap(100);
    request.kinds = {Kind::anonymous};
    const NodeReport report = run(200);
    EXPECT_EQ(report.shortfall, Shortfall::no_swap);
    EXPECT_GE(report.freed[Kind::anonymous], 83 * mib_bytes);
    EXPECT_LE(kernel.world().swap.used, 84 * mib + 32) << "the margin stays";
    EXPECT_EQ(file_left(), 300u);
    EXPECT_EQ(report.collateral.total(), 0u);
}

TEST_F(NodeSeries, SeesSwapThatOthersFillMeanwhile) {
    cache(300);
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.settle();
    swap(400);
    kernel.on_write([](fake::World& world, const FakeWrite&) { world.swap.used = 395 * mib; });
    request.kinds = {Kind::anonymous};
    const NodeReport report = run(200);
    EXPECT_EQ(asked().size(), 1u);
    EXPECT_EQ(report.shortfall, Shortfall::no_swap);
}

TEST_F(NodeSeries, KeepsTheFloorOfFreeMemoryWhileSwapping) {
    cache(400);
    kernel.fill(0, {.what = What::anonymous, .pages = 584 * mib});
    kernel.settle();
    swap(600);
    request.kinds = {Kind::anonymous};
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::floor);
    EXPECT_THAT(report.reason, HasSubstr("20M is free on node 0, less than keep-free (32M)"));
    EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(NodeSeries, FlushesStatisticsAndThenWaitsForThem) {
    kernel.settle();
    kernel.fill(0, {.pages = 600 * mib, .active = true});
    NodeReport report = run(100);
    expect_freed(report, 100);
    EXPECT_EQ(kernel.paused(), 0ns) << "reading memory.stat was enough";
    EXPECT_EQ(kernel.reads_of("/sys/fs/cgroup/memory.stat"), 1u);
    kernel.fill(0, {.pages = 100 * mib, .active = true});
    kernel.world().memory_stat_refreshes = false;
    kernel.node(0).lru.erase(kernel.node(0).lru.begin());
    report = run(80);
    expect_freed(report, 80);
    EXPECT_EQ(kernel.paused(), 2200ms);
    EXPECT_THAT(waited, testing::ElementsAre(HasSubstr("does not know yet")));
}

TEST_F(NodeSeries, WaitsForStatisticsAtMostThreeTimes) {
    kernel.fill(0, {.pages = 600 * mib, .active = true});
    kernel.world().memory_stat_refreshes = false;
    kernel.world().stats_age = 1h;
    const NodeReport report = run(100);
    EXPECT_EQ(kernel.paused(), 3 * 2200ms);
    EXPECT_EQ(report.shortfall, Shortfall::active);
    EXPECT_EQ(asked().size(), 5u) << "one, one after the flush, one after each wait";
    EXPECT_EQ(report.freed.total(), 0u);
}

TEST_F(NodeSeries, DoesNotWaitAgainForAKindThatEnded) {
    kernel.fill(0, {.pages = 600 * mib, .active = true});
    kernel.node(0).slab_reclaimable = 20 * mib;
    kernel.world().memory_stat_refreshes = false;
    kernel.world().stats_age = 1h;
    means = {slab_means()};
    request.kinds = {Kind::page_cache, Kind::slab};
    const NodeReport report = run(100);
    EXPECT_EQ(kernel.paused(), 3 * 2200ms);
    EXPECT_GE(report.freed[Kind::slab], 18 * mib_bytes) << report.reason;
}

TEST_F(NodeSeries, LeavesDirtyPagesAndSaysSo) {
    cache(50);
    kernel.fill(0, {.pages = 300 * mib, .dirty = true});
    kernel.fill(0, {.what = What::tmpfs, .pages = 400 * mib});
    kernel.settle();
    const NodeReport report = run(300);
    EXPECT_EQ(report.shortfall, Shortfall::dirty) << report.reason;
    EXPECT_THAT(report.reason, HasSubstr("300M is dirty (--writeback writes it back first)"));
    EXPECT_EQ(left([](const fake::Pages& run) { return run.dirty; }), 300u);
    EXPECT_LT(kernel.paused(), 1s);
}

TEST_F(NodeSeries, LeavesMlockedPagesAndSaysSo) {
    cache(150);
    kernel.fill(0, {.pages = 300 * mib, .mlocked = true});
    kernel.settle();
    const NodeReport report = run(400);
    EXPECT_EQ(report.shortfall, Shortfall::mlocked) << report.reason;
    EXPECT_THAT(report.reason, HasSubstr("300M is mlocked"));
    EXPECT_GE(report.freed.total(), 139 * mib_bytes);
}

TEST_F(NodeSeries, TakesMappedCacheOnlyWhenAsked) {
    cache(200);
    kernel.fill(0, {.pages = 300 * mib, .mapped = true});
    kernel.settle();
    request.kinds = {Kind::page_cache, Kind::mapped_page_cache};
    const NodeReport report = run(400);
    EXPECT_EQ(report.steps[0].kind, "page-cache,mapped-page-cache");
    EXPECT_EQ(report.shortfall, Shortfall::gate) << "the gate wants unmapped page cache";
    EXPECT_THAT(report.reason, HasSubstr("refuses the node while at most 10M"));
    kernel.world().zone_reclaim_mode = 4;
    const NodeReport second = run(200);
    EXPECT_EQ(second.shortfall, Shortfall::none) << second.reason;
    expect_about(second.freed[Kind::mapped_page_cache], 200, 11 * mib_bytes);
}

TEST_F(NodeSeries, NeverCountsTmpfsAsCache) {
    cache(100);
    kernel.fill(0, {.what = What::tmpfs, .pages = 400 * mib});
    kernel.settle();
    const NodeReport report = run(300);
    EXPECT_LE(report.freed.total(), 100 * mib_bytes);
    EXPECT_EQ(left([](const fake::Pages& run) { return run.what == What::tmpfs; }), 400u);
    EXPECT_NE(report.shortfall, Shortfall::none);
    EXPECT_THAT(report.reason, HasSubstr("400M is tmpfs"));
}

TEST_F(NodeSeries, BacksOffWhileAnotherReclaimerHoldsTheNode) {
    cache(600);
    kernel.settle();
    kernel.node(0).busy_until = kernel.world().now + 300ms;
    kernel.world().page_time = 1ns;
    // The scripted kernel takes a millisecond to refuse; the real one less.
    kernel.fail(reclaim_file0, EAGAIN, 6);
    const NodeReport report = run(100);
    expect_freed(report, 100);
    EXPECT_GE(kernel.paused(), 5ms + 10ms + 20ms + 40ms + 80ms + 160ms);
    EXPECT_LT(kernel.paused(), 4s);
    EXPECT_THAT(waited, testing::Contains(HasSubstr("another reclaimer holds the node")));
}

TEST_F(NodeSeries, GivesUpOnAnotherReclaimerAfterTenSeconds) {
    cache(600);
    kernel.settle();
    kernel.fail(reclaim_file0, EAGAIN, 1000);
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::busy);
    EXPECT_THAT(report.reason, HasSubstr("another reclaimer held the node"));
    EXPECT_GE(kernel.paused(), 10s);
    EXPECT_LE(kernel.paused(), 11s);
    EXPECT_LT(asked().size(), 25u);
}

TEST_F(NodeSeries, NamesABusyNodeForAnonymousMemoryToo) {
    cache(300);
    kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
    kernel.settle();
    swap(400);
    request.kinds = {Kind::anonymous};
    kernel.fail(reclaim_file0, EAGAIN, 1000);
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::busy) << report.reason;
    EXPECT_THAT(report.reason, HasSubstr("another reclaimer"));
}

TEST_F(NodeSeries, DoesNotSpinOnSignals) {
    cache(600);
    kernel.settle();
    kernel.fail(reclaim_file0, EINTR, 3);
    EXPECT_EQ(run(100).shortfall, Shortfall::none);
    kernel.fail(reclaim_file0, EINTR, 1'000'000);
    const NodeReport report = run(100);
    EXPECT_NE(report.shortfall, Shortfall::none);
    EXPECT_LT(asked().size(), 60u);
}

TEST_F(NodeSeries, AsksLargeFoliosOnceTooOftenForNobody) {
    for (const uint64_t folio : {16, 64, 256, 512}) {
        FakeKernel fresh;
        fresh.fill(0, {.pages = 800 * mib / folio * folio, .folio = folio});
        fresh.settle();
        for (const uint64_t asked_mib : {1, 3, 10, 100, 333}) {
            request.bytes = asked_mib * mib_bytes + 4096;
            NodeTools tools{.machine = fresh};
            tools.mechanisms.push_back(std::make_unique<NodeReclaim>(fresh, 0));
            const size_t before = fresh.writes().size();
            const NodeReport report = NodeRun(std::move(tools), 0, request).run();
            const uint64_t spare = std::max({request.bytes / 50, 2 * mib_bytes});
            EXPECT_LE(report.freed.total(), request.bytes + spare) << folio << ' ' << asked_mib;
            EXPECT_GE(report.freed.total() + spare, request.bytes) << folio << ' ' << asked_mib;
            EXPECT_LE(fresh.writes().size() - before, 3u) << folio << ' ' << asked_mib;
        }
    }
}

TEST_F(NodeSeries, ReportsSlabThatWentAsCollateral) {
    cache(600);
    kernel.node(0).slab_reclaimable = 90 * mib;
    kernel.world().slab_percent = 5;
    kernel.settle();
    const NodeReport report = run(200);
    expect_freed(report, 200, 2 * mib_bytes);
    EXPECT_GT(report.collateral[Kind::slab], 5 * mib_bytes);
    EXPECT_LT(report.collateral[Kind::slab], 14 * mib_bytes);
    EXPECT_EQ(report.collateral.total(), report.collateral[Kind::slab]);
    EXPECT_EQ(report.shortfall, Shortfall::none);
}

TEST_F(NodeSeries, TakesDemotionForNoFreeing) {
    FakeKernel tiers(2);
    tiers.node(0).demotes_to = 1;
    tiers.fill(0, {.pages = 600 * mib});
    tiers.settle();
    request.bytes = 100 * mib_bytes;
    NodeTools tools{.machine = tiers};
    tools.mechanisms.push_back(std::make_unique<NodeReclaim>(tiers, 0));
    const NodeReport report = NodeRun(std::move(tools), 0, request).run();
    EXPECT_EQ(report.freed.total(), 0u);
    expect_about(report.demoted, 92);
    expect_about(static_cast<uint64_t>(report.net_free), 92);
    EXPECT_EQ(report.shortfall, Shortfall::demoted);
    EXPECT_THAT(report.reason, HasSubstr("slower tier"));
    EXPECT_EQ(tiers.writes().size(), 1u) << "moving more does not free more";
}

TEST_F(NodeSeries, DoesNotFreeForOthersWithoutEnd) {
    cache(500);
    kernel.settle();
    kernel.node(0).refill_per_second = 8'000'000;  // Faster than pages can be freed by one call.
    kernel.world().page_time = 100ns;
    const NodeReport report = run(100);
    EXPECT_NE(report.shortfall, Shortfall::none);
    EXPECT_LE(kernel.node(0).stolen, 300 * mib) << "at most three times what was asked";
    EXPECT_LT(asked().size(), 20u);
}

/// What one call frees is filled again while the kernel's statistics are waited for.
TEST_F(NodeSeries, DoesNotFreeForAReaderWithoutEnd) {
    cache(300);
    kernel.settle();
    kernel.node(0).refill_per_second = 10 * mib;
    node_reclaim = false;
    uint64_t freed_pages = 0;
    unsigned calls = 0;
    means = {{.name = "short",
              .kinds = KindSet().add(Kind::page_cache),
              .reclaim = [&](const Ask&) -> Answer {
                  fake::pass_time(kernel.world(), 2ms);
                  if (++calls % 2 == 0) return {.error = EAGAIN};
                  kernel.node(0).lru.front().pages -= 20 * mib;
                  if (kernel.node(0).lru.front().pages < 20 * mib)
                      kernel.node(0).lru.erase(kernel.node(0).lru.begin());
                  for (fake::Pages& run : kernel.node(0).lru)
                      if (&run != &kernel.node(0).lru.front())
                          kernel.node(0).lru.front().pages += std::exchange(run.pages, 0);
                  std::erase_if(kernel.node(0).lru, [](const auto& run) { return run.pages == 0; });
                  freed_pages += 20 * mib;
                  return {.error = EAGAIN};
              }}};
    const NodeReport report = run(200);
    EXPECT_EQ(report.shortfall, Shortfall::refilled) << report.reason;
    EXPECT_LE(freed_pages, 450 * mib) << "about twice what was asked";
}

TEST_F(NodeSeries, NamesProtectionWhereTheKernelDoesNotGive) {
    const uint32_t id = kernel.add_cgroup("/kept", "", 400 * mib);
    kernel.fill(0, {.pages = 400 * mib, .cgroup = id});
    cache(100);
    kernel.settle();
    const NodeReport report = run(300);
    expect_freed(report, 100);
    EXPECT_EQ(report.shortfall, Shortfall::active);
    EXPECT_THAT(report.reason, HasSubstr("protected (memory.min, memory.low)"));
}

TEST_F(NodeSeries, CountsExactlyOnAMachineOfManyCpus) {
    kernel.world().cpus = 256;
    kernel.world().held_back = 256 * 125;
    cache(900);
    kernel.settle();
    for (const uint64_t amount : {1, 10, 100, 400}) {
        const NodeReport report = run(amount);
        expect_freed(report, amount);
    }
    EXPECT_GE(file_left(), 900u - 512u);
}

TEST_F(NodeSeries, HoldsTheRate) {
    cache(900);
    kernel.settle();
    request.bytes_per_second_max = 100 * mib_bytes;
    const Instant begun = kernel.now();
    Instant last = begun;
    uint64_t most = 0;
    kernel.on_write([&](fake::World& world, const FakeWrite& one) {
        most = std::max<uint64_t>(most, std::stoull(one.text));
        last = world.now;
    });
    const NodeReport report = run(300);
    expect_freed(report, 300);
    EXPECT_GE(last - begun, 2500ms);
    EXPECT_LE(kernel.now() - begun, 3500ms);
    EXPECT_LE(most, 50 * mib_bytes) << "not all at once, to sleep then";
}

TEST_F(NodeSeries, KeepsTheCacheThatIsToBeKept) {
    cache(300);
    kernel.settle();
    request.keep_cache = 250 * mib_bytes;
    const NodeReport report = run(200);
    EXPECT_EQ(file_left(), 250u);
    EXPECT_EQ(report.shortfall, Shortfall::floor);
    EXPECT_THAT(report.reason, HasSubstr("keep-cache: 250M of page cache stays"));
}

TEST_F(NodeSeries, TakesOneErrnoForWhatItIs) {
    cache(300);
    kernel.settle();
    for (const auto& [error, shortfall] : {std::pair{EPERM, Shortfall::privilege},
                                           {EACCES, Shortfall::privilege},
                                           {ENOENT, Shortfall::no_mechanism},
                                           {EIO, Shortfall::failed},
                                           {EINVAL, Shortfall::failed}}) {
        kernel.fail(reclaim_file0, error, 1);
        const NodeReport report = run(100);
        EXPECT_EQ(name_of(report.shortfall), name_of(shortfall)) << error;
        EXPECT_THAT(report.reason, HasSubstr(errno_text(error)));
        EXPECT_EQ(report.steps.back().calls, 1u);
    }
}

}  // namespace
}  // namespace braidway::memory
