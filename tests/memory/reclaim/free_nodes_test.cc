// SPDX-License-Identifier: Apache-2.0
// Whole runs over several nodes, each behind its lock.
#include "memory/reclaim/free_nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "memory/reclaim/run_place.h"
#include "memory/reclaim/temporary_tree.h"

namespace braidway::memory {
namespace {

using fake::mib;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

constexpr uint64_t mib_bytes = 1 << 20;

class Listener final : public ReclaimObserver {
  public:
    void progressed(uint32_t node, uint64_t freed, uint64_t goal) override {
        EXPECT_LE(freed, goal + 4 * mib_bytes);
        nodes.insert(node);
    }
    void waiting(uint32_t, std::string_view why) override { waits.emplace_back(why); }
    std::set<uint32_t> nodes{};
    std::vector<std::string> waits{};
};

class FreeNodes : public testing::Test {
  protected:
    TemporaryTree tree{};
    RootedKernel kernel{4, tree.root()};
    Request request{.bytes = 100 * mib_bytes, .kinds = {Kind::page_cache}};

    void SetUp() override {
        if (geteuid() != 0) ::setenv("XDG_RUNTIME_DIR", (tree.root() + "/run").c_str(), 1);
        for (uint32_t node = 0; node < 4; ++node) kernel.fill(node, {.pages = 500 * mib});
        kernel.settle();
    }
    uint64_t cached(uint32_t node) { return fake::cgroup_pages(kernel.world(), 1, node) / mib; }
    std::string refusal(const NodeList& nodes) {
        const auto report = free_nodes(kernel, nodes, request);
        const auto plan = plan_nodes(kernel, nodes, request);
        EXPECT_FALSE(plan.has_value());
        EXPECT_THAT(kernel.writes(), IsEmpty());
        return report ? "nothing was wrong" : report.error().message;
    }
};

TEST_F(FreeNodes, FreeTheAmountOnEachAndNothingElsewhere) {
    Listener listener;
    const auto report = free_nodes(kernel, {0, 2, 3}, request, &listener);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    ASSERT_EQ(report->nodes.size(), 3u);
    EXPECT_EQ(report->nodes[0].node, 0u);
    EXPECT_EQ(report->nodes[1].node, 2u);
    EXPECT_EQ(report->nodes[2].node, 3u);
    for (const NodeReport& node : report->nodes)
        EXPECT_EQ(node.freed.total() / (2 * mib_bytes), 50u) << node.reason;
    EXPECT_EQ(cached(1), 500u) << "not named";
    EXPECT_EQ(cached(2) / 2, 199u) << "100 MiB and a batch";
    EXPECT_EQ(listener.nodes, (std::set<uint32_t>{0, 2, 3}));
    EXPECT_EQ(outcome_of(*report), Outcome::done);
    EXPECT_GT(report->length, 0ns);
}

TEST_F(FreeNodes, RefuseNodesThatAreNoneBeforeAnythingIsDone) {
    kernel.node(1).has_memory = false;
    kernel.node(2).online = false;
    EXPECT_EQ(refusal({0, 7}), "there is no node 7; nodes with memory: 0,3");
    EXPECT_EQ(refusal({1}), "node 1 has no memory; nodes with memory: 0,3");
    EXPECT_EQ(refusal({0, 2}), "node 2 is offline; nodes with memory: 0,3");
    EXPECT_EQ(refusal({}), "no node was named");
    request.kinds.clear();
    EXPECT_EQ(refusal({0}), "no kind of memory was named");
}

TEST_F(FreeNodes, OneThatFailsDoesNotHoldTheOthers) {
    kernel.node(1).reclaim_file = false;
    const auto report = free_nodes(kernel, {0, 1, 2}, request);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->nodes[0].shortfall, Shortfall::none);
    EXPECT_NE(report->nodes[1].shortfall, Shortfall::none);
    EXPECT_THAT(report->nodes[1].reason, HasSubstr("Linux 6.17"));
    EXPECT_EQ(report->nodes[2].shortfall, Shortfall::none);
    EXPECT_EQ(outcome_of(*report), Outcome::refused);
}

TEST_F(FreeNodes, OfNothingNeedNoLock) {
    const auto place = run_place(kernel.root());
    ASSERT_TRUE(place.has_value());
    const auto held = FileLock::try_take(*place + "/node0.lock");
    request.bytes = 0;
    const auto report = free_nodes(kernel, {0}, request);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(outcome_of(*report), Outcome::done);
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST_F(FreeNodes, WaitForTheLockOfANodeUpToTheBudget) {
    const auto place = run_place(kernel.root());
    ASSERT_TRUE(place.has_value());
    const auto held = FileLock::try_take(*place + "/node0.lock");
    ASSERT_TRUE(held.has_value());
    request.budget = 2s;
    const Instant begun = kernel.now();
    Listener listener;
    const auto report = free_nodes(kernel, {0}, request, &listener);
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->nodes[0].shortfall, Shortfall::busy);
    EXPECT_THAT(report->nodes[0].reason, HasSubstr("another run has held node 0 for 2 s"));
    EXPECT_EQ(listener.waits.size(), 1u);
    EXPECT_GE(kernel.now() - begun, 2s);
    EXPECT_LE(kernel.now() - begun, 2100ms);
    EXPECT_THAT(kernel.writes(), IsEmpty());
    EXPECT_EQ(outcome_of(*report), Outcome::fell_short);
}

TEST_F(FreeNodes, StopWaitingForALockWhenCancelled) {
    const auto place = run_place(kernel.root());
    const auto held = FileLock::try_take(*place + "/node1.lock");
    ASSERT_TRUE(held.has_value());
    kernel.cancel_after(500ms);
    const auto report = free_nodes(kernel, {1}, request);
    EXPECT_EQ(report->nodes[0].shortfall, Shortfall::cancelled);
    EXPECT_EQ(report->nodes[0].after.free, report->nodes[0].before.free);
}

TEST_F(FreeNodes, LetGoOfTheLocks) {
    ASSERT_TRUE(free_nodes(kernel, {0, 1}, request).has_value());
    const auto place = run_place(kernel.root());
    EXPECT_TRUE(FileLock::try_take(*place + "/node0.lock").has_value());
    EXPECT_TRUE(FileLock::try_take(*place + "/node1.lock").has_value());
}

TEST_F(FreeNodes, RestoreWhatAKilledRunHasLeft) {
    const auto place = run_place(kernel.root());
    tree.put(place->substr(tree.root().size()) + "/sysctl.restore",
             "/proc/sys/vm/min_unmapped_ratio 1 0\n/proc/sys/vm/min_slab_ratio 5 0\n");
    kernel.world().min_unmapped_ratio = 0;
    kernel.world().min_slab_ratio = 7;
    ASSERT_TRUE(free_nodes(kernel, {0}, request).has_value());
    EXPECT_EQ(kernel.world().min_unmapped_ratio, 1u);
    EXPECT_EQ(kernel.world().min_slab_ratio, 7u) << "somebody else has changed it";
}

TEST_F(FreeNodes, PlanWithoutPrivilegeAndWithoutChanges) {
    kernel.world().privileged = false;
    const auto report = plan_nodes(kernel, {0, 3}, request);
    ASSERT_TRUE(report.has_value());
    ASSERT_EQ(report->nodes.size(), 2u);
    EXPECT_EQ(report->nodes[1].plan.available[Kind::page_cache], 500 * mib_bytes);
    EXPECT_THAT(kernel.writes(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(tree.root() + "/run/braidway-node-memory"))
        << "nothing is locked";
}

NodeReport ended(Shortfall shortfall, uint64_t freed_mib = 0) {
    NodeReport report;
    report.shortfall = shortfall;
    report.goal = 100 * mib_bytes;
    report.freed[Kind::page_cache] = freed_mib * mib_bytes;
    return report;
}

TEST(OutcomeOf, IsTheWorstOfAllNodes) {
    EXPECT_EQ(outcome_of({}), Outcome::done);
    EXPECT_EQ(outcome_of({.nodes = {ended(Shortfall::none, 100)}}), Outcome::done);
    EXPECT_EQ(outcome_of({.nodes = {ended(Shortfall::none), ended(Shortfall::dirty)}}),
              Outcome::fell_short);
    EXPECT_EQ(outcome_of({.nodes = {ended(Shortfall::privilege), ended(Shortfall::dirty),
                                    ended(Shortfall::none)}}),
              Outcome::refused);
}

TEST(OutcomeOf, IsARefusalOnlyWhereNothingWorthTheNameWasFreed) {
    for (const Shortfall because :
         {Shortfall::no_swap, Shortfall::privilege, Shortfall::no_mechanism, Shortfall::consent,
          Shortfall::floor, Shortfall::pressure}) {
        EXPECT_EQ(outcome_of({.nodes = {ended(because)}}), Outcome::refused);
        EXPECT_EQ(outcome_of({.nodes = {ended(because, 1)}}), Outcome::refused)
            << "what others freed meanwhile";
        EXPECT_EQ(outcome_of({.nodes = {ended(because, 50)}}), Outcome::fell_short);
    }
    for (const Shortfall because :
         {Shortfall::nothing_left, Shortfall::dirty, Shortfall::mlocked, Shortfall::mapped,
          Shortfall::gate, Shortfall::active, Shortfall::busy, Shortfall::refilled,
          Shortfall::budget, Shortfall::cancelled, Shortfall::failed})
        EXPECT_EQ(outcome_of({.nodes = {ended(because)}}), Outcome::fell_short);
}

}  // namespace
}  // namespace braidway::memory
