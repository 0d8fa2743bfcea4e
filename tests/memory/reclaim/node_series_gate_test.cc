// SPDX-License-Identifier: Apache-2.0
// Of node_series.cc: the kernel's gate before node reclaim, and the guard of mapped page cache.
#include "memory/reclaim/run_fixture.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using namespace std::chrono_literals;

class NodeGate : public RunTest {};

TEST_F(NodeGate, SaysThatTheGateIsClosed) {
    cache(8);
    kernel.settle();
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::gate);
    EXPECT_THAT(report.reason, HasSubstr("min_unmapped_ratio"));
    EXPECT_EQ(asked().size(), 1u) << "asking again changes nothing";
    EXPECT_EQ(kernel.paused(), 0ns);
}

/// Sets the ratios in the scripted kernel as the real gate does in the real one.
struct Opened final : OpenGate {
    explicit Opened(FakeKernel& kernel, bool anonymous) : world(kernel.world()), was(world) {
        world.min_unmapped_ratio = world.min_slab_ratio = 0;
        if (anonymous) world.zone_reclaim_mode |= 4;
    }
    ~Opened() override {
        world.min_unmapped_ratio = was.min_unmapped_ratio;
        world.min_slab_ratio = was.min_slab_ratio;
        world.zone_reclaim_mode = was.zone_reclaim_mode;
    }
    fake::World& world;
    fake::World was;
};

TEST_F(NodeGate, OpensTheGateWithConsentAndClosesItAgain) {
    cache(10);
    kernel.settle();
    unsigned opened = 0;
    more_tools = [&](NodeTools& tools) {
        tools.gate_openers.push_back(
            {"sysctl", [&](bool anonymous, uint64_t) -> Result<std::unique_ptr<OpenGate>> {
                 EXPECT_FALSE(anonymous);
                 ++opened;
                 return std::make_unique<Opened>(kernel, anonymous);
             }});
    };
    const NodeReport report = run(10);
    expect_freed(report, 10);
    EXPECT_EQ(opened, 1u);
    EXPECT_EQ(kernel.world().min_unmapped_ratio, 1u);
    EXPECT_EQ(run(500).shortfall, Shortfall::nothing_left) << "nothing is behind the gate";
    EXPECT_EQ(kernel.world().min_unmapped_ratio, 1u);
}

TEST_F(NodeGate, OpensTheGateForAnonymousMemoryToo) {
    kernel.fill(0, {.pages = 4 * mib, .mapped = true});
    kernel.fill(0, {.what = What::anonymous, .pages = 200 * mib});
    kernel.settle();
    swap(400);
    request.kinds = {Kind::anonymous};
    more_tools = [&](NodeTools& tools) {
        tools.gate_openers.push_back(
            {"sysctl", [&](bool anonymous, uint64_t) -> Result<std::unique_ptr<OpenGate>> {
                 EXPECT_TRUE(anonymous);
                 return std::make_unique<Opened>(kernel, anonymous);
             }});
    };
    const NodeReport report = run(50);
    expect_about(report.freed[Kind::anonymous], 50);
    EXPECT_EQ(kernel.world().zone_reclaim_mode, 0u);
}

TEST_F(NodeGate, SaysWhyTheGateCouldNotBeOpened) {
    cache(8);
    kernel.settle();
    more_tools = [](NodeTools& tools) {
        tools.gate_openers.push_back(
            {"sysctl", [](bool, uint64_t) -> Result<std::unique_ptr<OpenGate>> {
                 return fail("writing min_unmapped_ratio: no", EACCES);
             }});
    };
    request.allow_sysctl = true;
    const NodeReport report = run(100);
    EXPECT_EQ(report.shortfall, Shortfall::privilege);
    EXPECT_THAT(report.reason, HasSubstr("writing min_unmapped_ratio: no"));
    EXPECT_THAT(report.reason, Not(HasSubstr("--allow-sysctl")));
}

TEST_F(NodeGate, ACancelledWaitForTheGateIsACancelledRun) {
    cache(8);
    kernel.settle();
    more_tools = [this](NodeTools& tools) {
        tools.gate_openers.push_back(
            {"sysctl", [this](bool, uint64_t) -> Result<std::unique_ptr<OpenGate>> {
                 kernel.cancel_after(0s);
                 return fail("cancelled", EINTR);
             }});
    };
    EXPECT_EQ(run(100).shortfall, Shortfall::cancelled);
}

/// Page cache that is there only to open the gate: the youngest of the active list.
class ScriptedBallast final : public OpenGate {
  public:
    ScriptedBallast(FakeKernel& kernel, uint64_t bytes) : kernel_(kernel) {
        kernel_.fill(0, {.pages = bytes / fake::page_size, .active = true, .cgroup = cgroup});
    }
    ~ScriptedBallast() override { std::erase_if(kernel_.node(0).lru, of_it); }
    uint64_t bytes() const override {
        uint64_t pages = 0;
        for (const fake::Pages& run : kernel_.node(0).lru) pages += of_it(run) ? run.pages : 0;
        return pages * fake::page_size;
    }

  private:
    static constexpr uint32_t cgroup = 1;
    static bool of_it(const fake::Pages& run) { return run.active; }
    FakeKernel& kernel_;
};

TEST_F(NodeGate, ChoosesTheScopeOfTheGuard) {
    ScriptedGuard guard(kernel, 0);
    more_tools = [&guard, this](NodeTools& tools) {
        tools.guard = &guard;
        tools.gate_openers.push_back(
            {"ballast", [this](bool, uint64_t bytes) -> Result<std::unique_ptr<OpenGate>> {
                 return std::make_unique<ScriptedBallast>(kernel, bytes);
             }});
    };
    cache(500);
    kernel.fill(0, {.pages = 100 * mib, .mapped = true});
    kernel.settle();
    EXPECT_EQ(run(100).shortfall, Shortfall::none);
    EXPECT_THAT(guard.scopes, testing::ElementsAre(GuardScope::large_only));
    EXPECT_EQ(run(350).shortfall, Shortfall::none);
    EXPECT_EQ(guard.scopes.back(), GuardScope::all);
    EXPECT_EQ(guard.bytes(), 0u) << "released";
    EXPECT_GE(guard.releases, 2u);
    request.kinds = {Kind::page_cache, Kind::mapped_page_cache};
    guard.scopes.clear();
    (void)run(10);
    EXPECT_THAT(guard.scopes, IsEmpty()) << "mapped page cache may go";
}

TEST_F(NodeGate, KeepsMappedCacheAlsoWhenMoreIsAsked) {
    ScriptedGuard guard(kernel, 0);
    more_tools = [&guard, this](NodeTools& tools) {
        tools.guard = &guard;
        tools.gate_openers.push_back(
            {"ballast", [this](bool, uint64_t bytes) -> Result<std::unique_ptr<OpenGate>> {
                 return std::make_unique<ScriptedBallast>(kernel, bytes);
             }});
    };
    cache(300);
    kernel.fill(0, {.pages = 200 * mib, .mapped = true});
    kernel.settle();
    const NodeReport report = run(450);
    EXPECT_GE(left([](const fake::Pages& run) { return run.mapped; }), 199u);
    EXPECT_LE(report.collateral[Kind::mapped_page_cache], mib_bytes);
    EXPECT_GE(report.freed[Kind::page_cache], 285 * mib_bytes) << report.reason;
    EXPECT_EQ(report.steps[1].mechanism, "node-reclaim");
    EXPECT_EQ(report.steps[0].mechanism, "ballast");
    EXPECT_TRUE(report.shortfall == Shortfall::mapped || report.shortfall == Shortfall::gate)
        << report.reason;
    EXPECT_EQ(guard.bytes(), 0u);
}

TEST_F(NodeGate, DoesWithoutAMeansWhoseMappedPagesCannotBeKept) {
    ScriptedGuard guard(kernel, 0);
    guard.error = EPERM;
    more_tools = [&guard](NodeTools& tools) { tools.guard = &guard; };
    cache(300);
    kernel.fill(0, {.pages = 200 * mib, .mapped = true});
    kernel.settle();
    const NodeReport report = run(450);
    EXPECT_THAT(asked(), IsEmpty());
    EXPECT_EQ(report.shortfall, Shortfall::privilege);
    EXPECT_THAT(report.reason, HasSubstr("could not be kept"));
}

TEST_F(NodeGate, ReleasesTheGuardHoweverTheRunEnds) {
    ScriptedGuard guard(kernel, 0);
    more_tools = [&guard](NodeTools& tools) { tools.guard = &guard; };
    cache(300);
    kernel.fill(0, {.pages = 200 * mib, .mapped = true});
    kernel.settle();
    kernel.fail(reclaim_file0, EIO, 1);
    EXPECT_EQ(run(450).shortfall, Shortfall::failed);
    EXPECT_EQ(guard.bytes(), 0u);
    kernel.on_write([this](fake::World&, const FakeWrite&) { kernel.cancel_after(0s); });
    EXPECT_EQ(run(450).shortfall, Shortfall::cancelled);
    EXPECT_EQ(guard.bytes(), 0u);
}

}  // namespace
}  // namespace braidway::memory
