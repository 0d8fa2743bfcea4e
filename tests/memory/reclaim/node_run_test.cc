// SPDX-License-Identifier: Apache-2.0
// Whole runs on one node: the order of things, both readings of the amount, and how a run ends.
#include "memory/reclaim/node_run.h"

#include "base/limits.h"
#include "memory/reclaim/run_fixture.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::SwapKind;
using fake::What;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

class NodeRunTest : public RunTest {
  protected:
    /// A node with something of everything, and swap.
    void fill_all() {
        cache(400, 16);
        kernel.fill(0, {.pages = 60 * mib, .mapped = true});
        kernel.fill(0, {.pages = 20 * mib, .dirty = true});
        kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
        kernel.fill(0, {.what = What::tmpfs, .pages = 8 * mib});
        kernel.node(0).slab_reclaimable = 40 * mib;
        kernel.settle();
        swap(500);
    }
};

TEST_F(NodeRunTest, OfNothingTouchesNothing) {
    fill_all();
    const NodeReport report = run(0);
    EXPECT_EQ(report.shortfall, Shortfall::none);
    EXPECT_EQ(report.freed.total(), 0u);
    EXPECT_THAT(report.steps, IsEmpty());
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(NodeRunTest, FreesUntilSoMuchIsFree) {
    cache(800);
    kernel.settle();
    const uint64_t before = fake::free_pages(kernel.world(), 0);
    request.goal = Goal::until_free;
    const NodeReport report = run(before / mib + 100);
    EXPECT_EQ(report.shortfall, Shortfall::none);
    EXPECT_EQ(report.goal, 100 * mib_bytes);
    EXPECT_GE(fake::free_pages(kernel.world(), 0) + 32, before + 100 * mib);
    EXPECT_LE(fake::free_pages(kernel.world(), 0), before + 100 * mib + 32);
    EXPECT_THAT(run(before / mib + 50).steps, IsEmpty()) << "that much is free";
}

TEST_F(NodeRunTest, GoesOnUntilItIsFreeWhenOthersTakeSome) {
    cache(800);
    kernel.settle();
    request.goal = Goal::until_free;
    const uint64_t before = fake::free_pages(kernel.world(), 0) / mib;
    // A process takes 60 MiB at once.
    kernel.on_write([taken = false](fake::World& world, const FakeWrite&) mutable {
        if (!taken) fake::fill(world, 0, {.what = What::anonymous, .pages = 60 * mib});
        taken = true;
    });
    const NodeReport report = run(before + 100);
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    EXPECT_GE(fake::free_pages(kernel.world(), 0) / mib, before + 99);
    EXPECT_LE(fake::free_pages(kernel.world(), 0) / mib, before + 101);
    EXPECT_GE(file_left(), 800u - 161);
    EXPECT_LE(file_left(), 800u - 159);
    for (const auto& [freed, goal] : progress) EXPECT_LE(freed, goal);
}

TEST_F(NodeRunTest, TellsNoProgressWhereFreeMemoryShrinks) {
    cache(600);
    kernel.settle();
    request.goal = Goal::until_free;
    const uint64_t before = fake::free_pages(kernel.world(), 0) / mib;
    kernel.on_write([](fake::World& world, const FakeWrite&) {
        fake::fill(world, 0, {.what = What::anonymous, .pages = fake::free_pages(world, 0) / 2});
    });
    const NodeReport report = run(before + 100);
    EXPECT_EQ(report.shortfall, Shortfall::refilled) << report.reason;
    for (const auto& [freed, goal] : progress) EXPECT_LE(freed, goal);
    EXPECT_LE(kernel.node(0).stolen, 500 * mib) << "bounded, although others take it all";
}

TEST_F(NodeRunTest, FreesAnonymousMemoryBeforeCacheBeforeSlab) {
    fill_all();
    means = {slab_means()};
    request.kinds = {Kind::slab, Kind::page_cache, Kind::anonymous};
    const NodeReport report = run(550);
    std::vector<std::string> kinds;
    for (const Step& step : report.steps) kinds.push_back(step.kind);
    ASSERT_GE(kinds.size(), 3u);
    EXPECT_EQ(kinds[0], "anonymous");
    EXPECT_EQ(kinds[1], "page-cache");
    EXPECT_EQ(kinds[2], "slab");
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    EXPECT_GE(report.freed[Kind::slab], 39 * mib_bytes) << "the first of the caller takes most";
}

TEST_F(NodeRunTest, AsksTheOthersForWhatOneKindCouldNotGive) {
    cache(300);
    kernel.node(0).slab_reclaimable = 200 * mib;
    kernel.settle();
    means = {slab_means()};
    // The kernel does not give what the estimate counts on.
    kernel.fail(reclaim_file0, EIO);
    request.kinds = {Kind::page_cache, Kind::slab};
    const NodeReport report = run(150);
    EXPECT_EQ(report.freed[Kind::slab], 150 * mib_bytes) << report.reason;
    EXPECT_EQ(report.shortfall, Shortfall::none);
}

TEST_F(NodeRunTest, AsksCacheForWhatSwapDidNotTake) {
    cache(600);
    kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
    kernel.settle();
    swap(500);
    kernel.on_write([](fake::World& world, const FakeWrite&) {
        if (world.swap.used > 30 * mib) world.swap.used = world.swap.total;
    });
    request.kinds = {Kind::anonymous, Kind::page_cache};
    const NodeReport report = run(200);
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    expect_freed(report, 200, 4 * mib_bytes);
    EXPECT_GE(report.freed[Kind::page_cache], 160 * mib_bytes);
}

TEST_F(NodeRunTest, DoesNotFreeTwiceWhileSwapIsWritten) {
    cache(600);
    kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
    kernel.settle();
    swap(500);
    kernel.world().swap.write_time = 300ms;
    request.kinds = {Kind::anonymous, Kind::page_cache};
    request.goal = Goal::until_free;
    const uint64_t before = fake::free_pages(kernel.world(), 0) / mib;
    const NodeReport report = run(before + 100);
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    EXPECT_LE(report.freed[Kind::page_cache], 2 * mib_bytes) << "the pages were on their way";
}

TEST_F(NodeRunTest, GoesOnToTheNextMechanism) {
    cache(300);
    kernel.settle();
    means = {{.name = "second",
              .kinds = KindSet().add(Kind::page_cache),
              .reclaim = [this](const Ask& ask) -> Answer {
                  kernel.node(0).lru.front().pages -= ask.bytes / fake::page_size;
                  return {};
              }}};
    kernel.fail(reclaim_file0, EIO, 1);
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    ASSERT_EQ(report.steps.size(), 2u);
    EXPECT_EQ(report.steps[0].outcome, "failed");
    EXPECT_EQ(report.steps[1].mechanism, "second");
    EXPECT_EQ(report.steps[1].change.freed[Kind::page_cache], 100 * mib_bytes);
    EXPECT_THAT(report.plan.chains[0].second, ElementsAre("node-reclaim", "second"));
}

TEST_F(NodeRunTest, UsesNoGlobalMeansWithoutConsent) {
    kernel.node(0).slab_reclaimable = 100 * mib;
    kernel.settle();
    means = {slab_means()};
    means[0].name = "drop-caches";
    means[0].reach = Reach::global;
    request.kinds = {Kind::slab};
    NodeReport report = run(50);
    EXPECT_EQ(report.shortfall, Shortfall::consent);
    EXPECT_THAT(report.reason, HasSubstr("--allow-global"));
    EXPECT_EQ(report.freed.total(), 0u);
    request.allow_global = true;
    report = run(50);
    EXPECT_EQ(report.freed[Kind::slab], 50 * mib_bytes) << report.reason;
}

TEST_F(NodeRunTest, SaysWhatEveryKindLacks) {
    cache(100);
    kernel.settle();
    // No swap, and nothing that frees slab: both are in the reason.
    kernel.fill(0, {.what = What::anonymous, .pages = 100 * mib});
    request.kinds = {Kind::anonymous, Kind::slab};
    const NodeReport report = run(100);
    EXPECT_THAT(report.reason, HasSubstr("no swap"));
    EXPECT_THAT(report.reason, HasSubstr("frees slab by node"));
}

TEST_F(NodeRunTest, SaysThatThePrivilegeIsMissing) {
    cache(300);
    kernel.settle();
    kernel.world().privileged = false;
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::privilege);
    EXPECT_THAT(report.reason, HasSubstr("needs root"));
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(NodeRunTest, WritesBackFirstAndShowsIt) {
    cache(100);
    kernel.fill(0, {.pages = 300 * mib, .dirty = true});
    kernel.settle();
    more_tools = [this](NodeTools& tools) {
        tools.write_back = [this]() -> Result<std::string> {
            EXPECT_THAT(kernel.writes(), IsEmpty());
            for (fake::Pages& run : kernel.node(0).lru) run.dirty = false;
            (void)kernel.pause(400ms);
            return "1 filesystem written back";
        };
    };
    request.writeback = true;
    const NodeReport report = run(300);
    EXPECT_EQ(report.shortfall, Shortfall::none) << report.reason;
    ASSERT_EQ(report.steps.size(), 2u);
    EXPECT_EQ(report.steps[0].mechanism, "writeback");
    EXPECT_EQ(report.steps[0].asked, 300 * mib_bytes);
    EXPECT_EQ(report.steps[0].length, 400ms);
    EXPECT_EQ(report.steps[0].outcome, "1 filesystem written back");
}

TEST_F(NodeRunTest, SaysThatWritingBackFailed) {
    cache(100);
    kernel.fill(0, {.pages = 300 * mib, .dirty = true});
    kernel.settle();
    more_tools = [](NodeTools& tools) {
        tools.write_back = []() -> Result<std::string> {
            return fail("writing back /nope: No such file or directory", EIO);
        };
    };
    request.writeback = true;
    const NodeReport report = run(300);
    EXPECT_THAT(report.reason, HasSubstr("writing back /nope"));
    EXPECT_EQ(report.shortfall, Shortfall::dirty);
}

TEST_F(NodeRunTest, EndsAtTheBudgetAlsoWhileItWaits) {
    kernel.fill(0, {.pages = 600 * mib, .active = true});
    kernel.world().memory_stat_refreshes = false;
    kernel.world().stats_age = 1h;
    request.budget = 3s;
    const Instant begun = kernel.now();
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::budget);
    EXPECT_THAT(report.reason, HasSubstr("time budget of 3 s"));
    EXPECT_LE(kernel.now() - begun, 3s + 50ms);
    EXPECT_GE(kernel.now() - begun, 3s);
}

TEST_F(NodeRunTest, EndsAtTheBudgetWhileItHoldsARate) {
    cache(900);
    kernel.settle();
    request.budget = 2s;
    request.bytes_per_second_max = 10 * mib_bytes;
    const Instant begun = kernel.now();
    const NodeReport report = run(800);
    EXPECT_EQ(report.shortfall, Shortfall::budget);
    EXPECT_LE(kernel.now() - begun, 2s + 10ms);
    EXPECT_LE(report.freed.total(), 22 * mib_bytes);
}

TEST_F(NodeRunTest, DoesNotWaitForSwapBeyondItsBudget) {
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fill(0, {.what = What::anonymous, .pages = 500 * mib});
    kernel.settle();
    swap(600);
    kernel.world().swap.write_time = 10s;
    request.kinds = {Kind::anonymous};
    request.budget = 100ms;
    const Instant begun = kernel.now();
    (void)run(400);
    EXPECT_LE(kernel.now() - begun, 200ms);
}

TEST_F(NodeRunTest, StopsUnderPressure) {
    cache(900);
    kernel.settle();
    request.pressure_percent_max = 20;
    kernel.on_write([](fake::World& world, const FakeWrite&) { world.pressure_some_avg10 = 33; });
    const NodeReport report = run(800);
    EXPECT_EQ(report.shortfall, Shortfall::pressure);
    EXPECT_THAT(report.reason, HasSubstr("33.0 %, above pressure-max (20.0 %)"));
    EXPECT_EQ(asked().size(), 1u);
}

TEST_F(NodeRunTest, IsConsistentWheneverItIsCancelled) {
    for (int64_t at_us = 0; at_us < 40'000; at_us += 350) {
        FakeKernel fresh;
        fresh.world().swap = {.kind = SwapKind::file, .total = 500 * mib, .write_time = 5ms};
        fresh.fill(0, {.pages = 500 * mib, .folio = 16});
        fresh.fill(0, {.what = What::anonymous, .pages = 40 * mib});
        fresh.settle();
        fresh.cancel_after(std::chrono::microseconds(at_us));
        request.kinds = {Kind::anonymous, Kind::page_cache};
        request.bytes = 480 * mib_bytes;
        NodeTools tools{.machine = fresh};
        tools.mechanisms.push_back(std::make_unique<NodeReclaim>(fresh, 0));
        const auto before = read_node_state(fresh, 0, Refresh::yes);
        const NodeReport report = NodeRun(std::move(tools), 0, request).run();
        const auto after = read_node_state(fresh, 0, Refresh::yes);
        const Difference real = difference(*before, *after);
        EXPECT_EQ(report.freed[Kind::page_cache], real.freed[Kind::page_cache]) << at_us;
        EXPECT_EQ(report.freed[Kind::anonymous], real.freed[Kind::anonymous]) << at_us;
        EXPECT_TRUE(report.shortfall == Shortfall::cancelled || report.shortfall == Shortfall::none)
            << at_us << report.reason;
        EXPECT_EQ(report.reason.empty(), report.shortfall == Shortfall::none);
    }
}

TEST_F(NodeRunTest, BeginsNothingWhenItIsCancelledAlready) {
    fill_all();
    kernel.cancel_after(0s);
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::cancelled);
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(NodeRunTest, EndsAtOnceWhenItIsCancelledWhileItWaits) {
    kernel.fill(0, {.pages = 600 * mib, .active = true});
    kernel.world().memory_stat_refreshes = false;
    kernel.world().stats_age = 1h;
    kernel.cancel_after(1s);
    const Instant begun = kernel.now();
    EXPECT_EQ(run(100).shortfall, Shortfall::cancelled);
    EXPECT_EQ(kernel.now(), begun + 1s);
}

TEST_F(NodeRunTest, SurvivesANodeThatGoesOffline) {
    cache(900);
    kernel.settle();
    kernel.on_write([](fake::World& world, const FakeWrite&) { world.nodes[0].online = false; });
    const NodeReport report = run(800);
    EXPECT_EQ(report.shortfall, Shortfall::no_mechanism);
    EXPECT_LE(asked().size(), 5u);
    EXPECT_LT(kernel.paused(), 10s);
}

TEST_F(NodeRunTest, ReportsANodeThatCannotBeRead) {
    kernel.node(0).online = false;
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::failed);
    EXPECT_THAT(report.reason, HasSubstr("node0/vmstat"));
    EXPECT_EQ(report.freed.total(), 0u);
}

TEST_F(NodeRunTest, CountsTmpfsThatWentToSwapAsCollateral) {
    cache(200);
    kernel.fill(0, {.what = What::tmpfs, .pages = 60 * mib});
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.settle();
    swap(500);
    request.kinds = {Kind::anonymous};
    const NodeReport report = run(100);
    EXPECT_EQ(report.collateral_shmem, 60 * mib_bytes) << "the oldest goes first";
    EXPECT_LE(kernel.world().swap.used, 200 * mib) << "bounded";
    expect_about(report.freed[Kind::anonymous],
                 300 - left([](const fake::Pages& run) { return run.what == What::anonymous; }),
                 mib_bytes);
}

TEST_F(NodeRunTest, PrefersSwappingByProcessWhereTmpfsIsOld) {
    cache(200);
    kernel.fill(0, {.what = What::tmpfs, .pages = 60 * mib});
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.settle();
    swap(500);
    means = {{.name = "process-pageout",
              .kinds = KindSet().add(Kind::anonymous),
              .reclaim = [](const Ask&) -> Answer { return {.exhausted = true}; }}};
    request.kinds = {Kind::anonymous};
    EXPECT_EQ(run(10).plan.chains[0].second.front(), "process-pageout");
}

TEST_F(NodeRunTest, PlansWithoutTouchingAnything) {
    fill_all();
    request.bytes = 100 * mib_bytes;
    NodeTools tools{.machine = kernel};
    tools.mechanisms.push_back(std::make_unique<NodeReclaim>(kernel, 0));
    const NodeReport report = NodeRun(std::move(tools), 0, request).plan();
    EXPECT_EQ(report.plan.goal, 100 * mib_bytes);
    EXPECT_EQ(report.plan.share[Kind::page_cache], 100 * mib_bytes);
    EXPECT_EQ(report.plan.dirty, 20 * mib_bytes);
    EXPECT_EQ(report.freed.total(), 0u);
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

}  // namespace
}  // namespace braidway::memory
