// SPDX-License-Identifier: Apache-2.0
// Long because: one sentence for each rule of the graph, side by side.
#include "lockdep/order_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

constexpr Hold exclusive = Hold::exclusive;
constexpr Hold shared = Hold::shared;
constexpr Want write = Want::write;
constexpr Want fair_read = Want::fair_read;
constexpr Want unfair_read = Want::unfair_read;

/// A graph with nodes 1, 2, 3, ...
class OrderGraphTest : public ::testing::Test {
  protected:
    explicit OrderGraphTest(size_t bytes_max = SIZE_MAX) { world.bytes_max = bytes_max; }

    void make_nodes(NodeId count) {
        for (NodeId i = 1; i <= count; ++i) ASSERT_EQ(graph.add_node(), i);
    }
    bool add(NodeId from, Hold hold, NodeId to, Want want, const std::vector<Gate>& gates = {}) {
        Evidence evidence;
        evidence.thread = ++number;
        return graph.add({from, to, hold, want, evidence}, gates, ring);
    }
    /// Mutexes.
    bool add(NodeId from, NodeId to, const std::vector<Gate>& gates = {}) {
        return add(from, exclusive, to, write, gates);
    }
    bool add_writer(NodeId node, const std::vector<Gate>& gates = {}) {
        return graph.add_writer(node, gates, {}, ring);
    }

    TestSurroundings world;
    Arena arena{world};
    OrderGraph graph{arena};
    Ring ring;
    uint32_t number = 0;
};

TEST_F(OrderGraphTest, GivesTheRingOfWhoReadsTwiceFirstWhenAWriterComes) {
    make_nodes(2);
    EXPECT_FALSE(add(1, shared, 1, fair_read, {{1, shared}, {2, exclusive}}));
    EXPECT_FALSE(add(1, shared, 2, write, {{1, shared}}));
    EXPECT_FALSE(add(2, exclusive, 1, fair_read, {{1, shared}, {2, exclusive}}));
    EXPECT_TRUE(add_writer(1));
    EXPECT_EQ(ring.length, 1u);
}

TEST_F(OrderGraphTest, KeepsAStepThatSomebodyTookBesideThatOfAHandler) {
    make_nodes(2);
    const Step by_handler{1, 2, exclusive, write, {}, true};
    EXPECT_FALSE(graph.add(by_handler, {}, ring));
    EXPECT_FALSE(add(1, 2, {{7, exclusive}}));
    EXPECT_TRUE(add(2, 1, {{7, exclusive}}));
    EXPECT_TRUE(ring.steps[1].by_handler);
    EXPECT_TRUE(add(2, 1));
    EXPECT_FALSE(graph.add(by_handler, {}, ring));
    EXPECT_TRUE(add(1, 2));
    EXPECT_FALSE(ring.steps[0].by_handler);
}

// --- rings ---------------------------------------------------------------------------------------

TEST_F(OrderGraphTest, SeesARingWhenTheLastOfItsStepsIsAdded) {
    make_nodes(3);
    EXPECT_FALSE(add(1, 2));
    EXPECT_FALSE(add(2, 3));
    EXPECT_FALSE(add(1, 3));
    EXPECT_TRUE(add(3, 1));
    ASSERT_EQ(ring.length, 2u);
    EXPECT_EQ(ring.kept().size(), 2u);
    EXPECT_EQ(ring.steps[0].from, 3u);
    EXPECT_EQ(ring.steps[0].to, 1u);
    EXPECT_EQ(ring.steps[0].evidence.thread, 4u);
    EXPECT_EQ(ring.steps[1].from, 1u);
    EXPECT_EQ(ring.steps[1].to, 3u);
    EXPECT_EQ(ring.steps[1].evidence.thread, 3u);
}

TEST_F(OrderGraphTest, AStepToItsOwnNodeIsARingOfOne) {
    make_nodes(1);
    EXPECT_TRUE(add(1, 1));
    EXPECT_EQ(ring.length, 1u);
    EXPECT_EQ(ring.steps[0].to, 1u);
}

TEST_F(OrderGraphTest, SaysOfAKnownStepThatItIsNothingNew) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2));
    EXPECT_TRUE(add(2, 1));
    EXPECT_FALSE(add(2, 1));
    EXPECT_FALSE(add(1, 2));
    EXPECT_EQ(graph.steps(), 2u);
}

TEST_F(OrderGraphTest, ReportsOnlyRingsThatContainTheNewStep) {
    make_nodes(4);
    add(1, 2);
    EXPECT_TRUE(add(2, 1));
    EXPECT_FALSE(add(3, 1));
    EXPECT_FALSE(add(2, 4));
    EXPECT_TRUE(add(4, 3));
    EXPECT_EQ(ring.length, 4u);
}

TEST_F(OrderGraphTest, FindsRingsOfAThousandLocksAndKeepsTheirFirstSteps) {
    make_nodes(1'000);
    for (NodeId i = 1; i < 1'000; ++i) EXPECT_FALSE(add(i, i + 1, {{i, exclusive}}));
    EXPECT_TRUE(add(1'000, 1, {{1'000, exclusive}}));
    EXPECT_EQ(ring.length, 1'000u);
    ASSERT_EQ(ring.kept().size(), Ring::steps_max);
    EXPECT_EQ(ring.steps[1].from, 1u);
    EXPECT_EQ(ring.steps[15].to, 16u);
}

TEST_F(OrderGraphTest, IgnoresStepsOfNodesThatAreNotThere) {
    make_nodes(1);
    EXPECT_FALSE(add(0, 1));
    EXPECT_FALSE(add(1, 2));
    EXPECT_FALSE(add_writer(0));
    EXPECT_FALSE(graph.has_writer(7));
    EXPECT_EQ(graph.steps(), 0u);
}

// --- modes ---------------------------------------------------------------------------------------

/// Three threads, each of which holds one lock and wants the next: "W1R2" holds 1 to write and
/// wants 2 to read.
struct Triple {
    std::array<std::string_view, 3> steps;
    bool deadlocks;
};

/// The rows of three read/write steps in Linux' locking self-test; each is run in six orders.
constexpr Triple triples[] = {
    {{"W1R2", "W2R3", "W3R1"}, true},
    {{"W1W2", "R2R3", "W3R1"}, true},
    {{"W1W2", "R2R3", "R3W1"}, false},
    {{"W1R2", "R2R3", "W3W1"}, false},
};

bool deadlocks(std::array<std::string_view, 3> steps, Want read, bool writers) {
    TestSurroundings world;
    Arena arena(world);
    OrderGraph graph(arena);
    for (int i = 0; i < 3; ++i) graph.add_node();
    Ring ring;
    for (NodeId node = 1; writers && node <= 3; ++node) graph.add_writer(node, {}, {}, ring);
    bool found = false;
    for (size_t i = 0; i < 3; ++i) {
        const std::string_view text = steps[i];
        const Step step{static_cast<NodeId>(text[1] - '0'),
                        static_cast<NodeId>(text[3] - '0'),
                        text[0] == 'W' ? exclusive : shared,
                        text[2] == 'W' ? write : read,
                        {}};
        const bool closes = graph.add(step, {}, ring);
        EXPECT_TRUE(i == 2 || !closes);
        found = found || closes;
    }
    return found;
}

TEST(OrderGraph, JudgesTheKernelsTriplesOfReadersAndWritersInEveryOrder) {
    int runs = 0;
    for (const Triple& triple : triples) {
        std::array<std::string_view, 3> steps = triple.steps;
        std::ranges::sort(steps);
        do {
            ++runs;
            EXPECT_EQ(deadlocks(steps, unfair_read, true), triple.deadlocks)
                << steps[0] << steps[1] << steps[2];
            EXPECT_EQ(deadlocks(steps, fair_read, false), triple.deadlocks);
            EXPECT_TRUE(deadlocks(steps, fair_read, true));
        } while (std::ranges::next_permutation(steps).found);
    }
    EXPECT_EQ(runs, 24);
}

TEST_F(OrderGraphTest, AReaderOfAFairLockWaitsForAReaderOnlyBehindAWriter) {
    make_nodes(2);
    EXPECT_FALSE(add(1, shared, 2, fair_read));
    EXPECT_FALSE(add(2, shared, 1, fair_read));
    EXPECT_FALSE(graph.has_writer(1));
    EXPECT_FALSE(add_writer(1));
    EXPECT_TRUE(graph.has_writer(1));
    EXPECT_TRUE(add_writer(2));
    EXPECT_EQ(ring.length, 2u);
    EXPECT_FALSE(add_writer(2));
}

TEST_F(OrderGraphTest, ReadingAFairLockTwiceIsARingWithAWriter) {
    make_nodes(2);
    EXPECT_FALSE(add(1, shared, 1, fair_read, {{1, shared}}));
    EXPECT_TRUE(add_writer(1));
    EXPECT_EQ(ring.length, 1u);
    EXPECT_FALSE(add_writer(2));
    EXPECT_TRUE(add(2, shared, 2, fair_read, {{2, shared}}));
}

TEST_F(OrderGraphTest, CanAssumeAWriterOfEveryLock) {
    make_nodes(1);
    graph.assume_writers(true);
    EXPECT_TRUE(add(1, shared, 1, fair_read));
    EXPECT_FALSE(graph.has_writer(1));
    EXPECT_FALSE(add(1, shared, 1, unfair_read));
}

TEST_F(OrderGraphTest, AStrongerWayToTakeAKnownStepCanCloseARing) {
    make_nodes(2);
    EXPECT_FALSE(add(1, shared, 2, unfair_read));
    EXPECT_FALSE(add(2, shared, 1, unfair_read));
    EXPECT_FALSE(add(1, shared, 2, write));
    EXPECT_TRUE(add(2, shared, 1, write));
    EXPECT_EQ(ring.steps[1].evidence.thread, 3u);
    EXPECT_EQ(graph.steps(), 2u);
}

// --- writers and families ------------------------------------------------------------------------

TEST_F(OrderGraphTest, WhoWritesAClassWritesEachOfItsLocks) {
    const NodeId family = graph.add_node();
    const NodeId lock = graph.add_node(family);
    EXPECT_FALSE(add(lock, shared, lock, fair_read));
    EXPECT_TRUE(add_writer(family));
    EXPECT_TRUE(graph.has_writer(lock));
    EXPECT_FALSE(add_writer(lock));
    const NodeId other = graph.add_node(family);
    EXPECT_TRUE(add(other, shared, other, fair_read));
}

TEST_F(OrderGraphTest, WhoWritesOneLockDoesNotWriteItsClass) {
    const NodeId family = graph.add_node();
    const NodeId lock = graph.add_node(family);
    add_writer(lock);
    EXPECT_FALSE(graph.has_writer(family));
    EXPECT_FALSE(add(family, shared, family, fair_read));
}

TEST_F(OrderGraphTest, AWriterUnderTheGateOfTheReaderNeverMeetsIt) {
    make_nodes(1);
    EXPECT_FALSE(add(1, shared, 1, fair_read, {{1, shared}, {50, exclusive}}));
    EXPECT_FALSE(add_writer(1, {{50, exclusive}}));
    EXPECT_FALSE(add_writer(1, {{50, shared}}));
    EXPECT_TRUE(add_writer(1, {{51, exclusive}}));
}

TEST_F(OrderGraphTest, TwoWritersOfARingMustNotNeedOneGate) {
    make_nodes(2);
    add_writer(1, {{50, exclusive}});
    add_writer(2, {{50, exclusive}});
    EXPECT_FALSE(add(1, shared, 2, fair_read));
    EXPECT_FALSE(add(2, shared, 1, fair_read));
    EXPECT_TRUE(add_writer(2, {{51, exclusive}}));
}

// --- gates ---------------------------------------------------------------------------------------

TEST_F(OrderGraphTest, SeesNoRingWhereOneGateIsHeldForEveryStep) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, exclusive}, {11, exclusive}}));
    EXPECT_FALSE(add(2, 1, {{50, exclusive}, {22, exclusive}}));
}

TEST_F(OrderGraphTest, SeesNoRingWhereTwoOfItsStepsShareAGate) {
    make_nodes(3);
    EXPECT_FALSE(add(1, 2, {{50, exclusive}}));
    EXPECT_FALSE(add(2, 3, {{50, exclusive}}));
    EXPECT_FALSE(add(3, 1));
    EXPECT_FALSE(add(3, 1, {{60, exclusive}}));
    EXPECT_TRUE(add(2, 3, {{51, exclusive}}));
}

TEST_F(OrderGraphTest, AGateThatIsOnlyReadKeepsNobodyOut) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, shared}}));
    EXPECT_TRUE(add(2, 1, {{50, shared}}));
}

TEST_F(OrderGraphTest, AGateThatOneReadsAndTheOtherWritesKeepsThemApart) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, shared}}));
    EXPECT_FALSE(add(2, 1, {{50, exclusive}}));
}

TEST_F(OrderGraphTest, AnotherLockOfTheGatesClassIsNoGate) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, exclusive}}));
    EXPECT_TRUE(add(2, 1, {{51, exclusive}}));
}

TEST_F(OrderGraphTest, AWayWithoutTheGateIsKeptBesideTheOneWithIt) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, exclusive}, {60, exclusive}}));
    EXPECT_FALSE(add(1, 2, {{51, exclusive}}));
    EXPECT_FALSE(add(2, 1, {{50, exclusive}, {51, exclusive}}));
    EXPECT_TRUE(add(2, 1, {{50, exclusive}}));
    EXPECT_EQ(ring.steps[1].evidence.thread, 2u);
}

TEST_F(OrderGraphTest, MoreGatesThanAKnownWayHadAreNothingNew) {
    make_nodes(2);
    EXPECT_FALSE(add(1, 2, {{50, shared}}));
    EXPECT_TRUE(add(2, 1, {{51, exclusive}}));
    EXPECT_FALSE(add(2, 1, {{51, exclusive}, {52, shared}}));
    EXPECT_FALSE(add(1, 2, {{50, exclusive}}));
    EXPECT_TRUE(add(1, 2));
}

TEST_F(OrderGraphTest, TakesALongerRingWhenGatesDissolveTheShortOne) {
    make_nodes(4);
    add(1, 2, {{50, exclusive}});
    add(2, 3, {{50, exclusive}});
    add(1, 4);
    add(4, 2);
    EXPECT_TRUE(add(3, 1));
    EXPECT_EQ(ring.length, 4u);
}

TEST_F(OrderGraphTest, AmongManyInstancesTheWayWithoutTheCommonGateStays) {
    make_nodes(2);
    for (LockId i = 0; i < 100; ++i) add(1, 2, {{100 + i, exclusive}, {50, exclusive}});
    EXPECT_FALSE(add(1, 2, {{300, exclusive}, {51, exclusive}}));
    for (LockId i = 0; i < 100; ++i) add(1, 2, {{400 + i, exclusive}, {50, exclusive}});
    EXPECT_TRUE(add(2, 1, {{50, exclusive}, {99, exclusive}}));
    EXPECT_EQ(graph.dropped_steps(), 0u);
}

TEST_F(OrderGraphTest, GatesBeyondTheLimitAreCutOffAndTheStepIsStillKnown) {
    make_nodes(2);
    std::vector<Gate> gates;
    for (LockId i = 300; i > 100; --i) gates.push_back({i, exclusive});
    EXPECT_FALSE(add(1, 2, gates));
    EXPECT_TRUE(add(2, 1, {{300, exclusive}}));
    EXPECT_FALSE(add(2, 1, gates));
    EXPECT_FALSE(add(1, 2, gates));
}

// --- coming and going ----------------------------------------------------------------------------

TEST_F(OrderGraphTest, ARemovedNodeTakesItsStepsAndWritersWithIt) {
    make_nodes(3);
    add(1, 2);
    add(2, 3);
    add(3, 3);
    add_writer(2);
    graph.remove(2);
    graph.remove(2);
    EXPECT_EQ(graph.nodes(), 2u);
    EXPECT_EQ(graph.steps(), 1u);
    EXPECT_FALSE(graph.has_writer(2));
    EXPECT_FALSE(add(3, 1));
    EXPECT_FALSE(add(1, 2));
}

TEST_F(OrderGraphTest, UsesNumbersAndMemoryAgain) {
    make_nodes(2);
    const NodeId first = graph.add_node();
    NodeId highest = first;
    for (LockId i = 0; i < 20'000; ++i) {
        const NodeId node = i == 0 ? first : graph.add_node();
        highest = std::max(highest, node);
        EXPECT_FALSE(add(1, node, {{i, exclusive}, {i + 1, exclusive}}));
        EXPECT_FALSE(add(node, 2, {{i, exclusive}, {i + 1, exclusive}}));
        EXPECT_TRUE(add(node, node, {{i, shared}}));
        add_writer(node, {{7, exclusive}});
        graph.remove(node);
    }
    EXPECT_LE(highest, 150u);
    EXPECT_EQ(graph.steps(), 0u);
    EXPECT_LE(world.given_bytes, 2 * Arena::chunk_bytes);
}

TEST_F(OrderGraphTest, HasNoMoreNodesThanItsLimitUntilOneIsRemoved) {
    for (NodeId i = 1; i <= OrderGraph::nodes_max; ++i) ASSERT_EQ(graph.add_node(), i);
    EXPECT_EQ(graph.add_node(), 0u);
    graph.remove(9);
    EXPECT_EQ(graph.add_node(), 9u);
    EXPECT_EQ(graph.nodes(), OrderGraph::nodes_max);
}

class FullOrderGraphTest : public OrderGraphTest {
  protected:
    FullOrderGraphTest() : OrderGraphTest(2 * Arena::chunk_bytes) {}
};

TEST_F(FullOrderGraphTest, CountsTheStepsForWhichThereIsNoRoom) {
    make_nodes(200);
    for (NodeId from = 1; from <= 200; ++from) {
        for (NodeId to = from + 1; to <= 200; ++to)
            EXPECT_FALSE(add(from, to, {{from, exclusive}}));
    }
    EXPECT_GT(graph.dropped_steps(), 5'000u);
    EXPECT_EQ(graph.steps() + graph.dropped_steps(), 199u * 200 / 2);
    const uint64_t before = graph.steps();
    EXPECT_GT(before, 2'000u);
    graph.remove(1);
    EXPECT_LT(graph.steps(), before);
    const uint64_t dropped = graph.dropped_steps();
    EXPECT_FALSE(add(199, 200));
    EXPECT_EQ(graph.dropped_steps(), dropped);
    EXPECT_TRUE(add(3, 2, {{1'000, exclusive}}));
}

TEST(OrderGraph, HoldsAsManyStepsAsALargeProgramHasInLittleMemory) {
    TestSurroundings world;
    Arena arena(world);
    OrderGraph graph(arena);
    Ring ring;
    for (int i = 0; i < 8'000; ++i) graph.add_node();
    for (NodeId from = 1; from <= 7'992; ++from) {
        for (NodeId to = from + 1; to <= from + 8; ++to) {
            const Gate gate{from, exclusive};
            EXPECT_FALSE(graph.add({from, to, exclusive, write, {}}, {&gate, 1}, ring));
        }
    }
    EXPECT_EQ(graph.steps(), 7'992u * 8);
    EXPECT_LE(world.given_bytes, size_t{4} << 20);
}

}  // namespace
}  // namespace braidway::lockdep
