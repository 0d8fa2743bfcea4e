// SPDX-License-Identifier: Apache-2.0
#include "lockdep/ring_search.h"

#include <gtest/gtest.h>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

class RingSearchTest : public ::testing::Test {
  protected:
    void add(NodeId from, NodeId to, std::vector<Gate> gates = {}) {
        Way way;
        ASSERT_TRUE(table.gates().keep(GateList(gates).view(), way.gates));
        ASSERT_NE(table.insert(from, to, way), 0u);
        order.add_step(from, to);
    }
    bool run(NodeId from, NodeId to) {
        return search.run({from, to, Hold::exclusive, Want::write, {}}, {}, nullptr, ring);
    }

    TestSurroundings world;
    Arena arena{world};
    StepTable table{arena};
    NodeOrder order{table};
    RingSearch search{arena, table, order};
    Ring ring;
};

TEST_F(RingSearchTest, TakesTheShortestOfSeveralRings) {
    for (int i = 0; i < 6; ++i) order.add_node(table.add_node(0));
    for (NodeId i = 1; i < 6; ++i) add(i, i + 1);
    add(2, 5);
    add(6, 1);
    EXPECT_TRUE(run(6, 1));
    EXPECT_EQ(ring.length, 4u);
    EXPECT_EQ(search.given_up(), 0u);
}

/// Rungs of two nodes each, every one of them reached from both before; one gate is needed at the
/// start and again at the end, so that none of the 2^rungs paths is a ring.
TEST_F(RingSearchTest, GivesUpAmongPathsWithoutEndAndThenHasLessPatience) {
    constexpr NodeId rungs = 30;
    const std::vector<Gate> gate{{7, Hold::exclusive}};
    for (NodeId i = 0; i < 2 * rungs + 2; ++i) order.add_node(table.add_node(0));
    const NodeId first = 2 * rungs + 1;
    const NodeId last = 2 * rungs + 2;
    for (NodeId side = 1; side <= 2; ++side) {
        add(first, side, gate);
        add(2 * rungs - 2 + side, last, gate);
        for (NodeId i = 0; i + 1 < rungs; ++i) {
            add(2 * i + side, 2 * i + 3);
            add(2 * i + side, 2 * i + 4);
        }
    }
    add(last, first);
    for (uint64_t i = 1; i <= RingSearch::patience + 1; ++i) {
        EXPECT_FALSE(run(last, first));
        EXPECT_EQ(search.given_up(), i);
    }
}

/// All nodes of a dense component lead to each other, but one half of them under a gate only, so
/// that a search from one half to the other looks at all steps between them in vain.
TEST_F(RingSearchTest, HasFewLooksLeftAfterVeryManyAndStillSeesShortRings) {
    constexpr NodeId dense = 100;
    const std::vector<Gate> gate{{7, Hold::exclusive}};
    for (NodeId i = 0; i < dense + 2; ++i) order.add_node(table.add_node(0));
    for (NodeId from = 1; from <= dense; ++from)
        for (NodeId to = 1; to <= dense; ++to)
            if (from != to) add(from, to, from <= dense / 2 ? gate : std::vector<Gate>{});
    const GateList list(gate);
    const Step step{dense, 1, Hold::exclusive, Want::write, {}, false};
    const auto search_in_vain = [&] {
        const uint64_t before = search.looks();
        EXPECT_FALSE(search.run(step, list.view(), nullptr, ring));
        return search.looks() - before;
    };
    EXPECT_GT(search_in_vain(), RingSearch::looks_min);
    while (search.looks() < RingSearch::looks_max && !HasFailure()) search_in_vain();
    EXPECT_LE(search_in_vain(), RingSearch::looks_min);
    add(dense + 1, dense + 2);
    add(dense + 2, dense + 1);
    EXPECT_TRUE(run(dense + 2, dense + 1));
}

}  // namespace
}  // namespace braidway::lockdep
