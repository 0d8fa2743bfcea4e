// SPDX-License-Identifier: Apache-2.0
#include "lockdep/node_order.h"

#include <gtest/gtest.h>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

class NodeOrderTest : public ::testing::Test {
  protected:
    void make_nodes(NodeId count) {
        for (NodeId i = 0; i < count; ++i) order.add_node(table.add_node(0));
    }
    void add(NodeId from, NodeId to) {
        ASSERT_NE(table.insert(from, to, {}), 0u);
        order.add_step(from, to);
    }
    bool before(NodeId left, NodeId right) {
        return table.node(table.node(left).component).place <
               table.node(table.node(right).component).place;
    }

    TestSurroundings world;
    Arena arena{world};
    StepTable table{arena};
    NodeOrder order{table};
};

TEST_F(NodeOrderTest, PutsWhereAStepLeadsBehindWhereItComesFrom) {
    make_nodes(4);
    add(4, 3);
    add(3, 1);
    add(1, 2);
    EXPECT_TRUE(before(4, 3) && before(3, 1) && before(1, 2));
    EXPECT_FALSE(order.together(1, 2));
}

TEST_F(NodeOrderTest, MakesOneComponentOfARingAndKeepsTheRestInOrder) {
    make_nodes(6);
    add(1, 2);
    add(2, 3);
    add(2, 5);
    add(6, 2);
    add(3, 4);
    add(3, 1);
    EXPECT_TRUE(order.together(1, 2) && order.together(2, 3));
    EXPECT_FALSE(order.together(1, 4) || order.together(1, 5) || order.together(1, 6));
    EXPECT_TRUE(before(6, 1) && before(1, 4) && before(1, 5));
    add(5, 6);
    EXPECT_TRUE(order.together(1, 5) && order.together(1, 6));
    EXPECT_TRUE(before(6, 4));
}

TEST_F(NodeOrderTest, TakesAComponentApartWhenANodeOfItIsRemoved) {
    make_nodes(5);
    for (NodeId i = 1; i < 5; ++i) add(i, i + 1);
    add(5, 1);
    add(2, 1);
    table.kill(4);
    order.forget_dead();
    table.sweep();
    order.settle();
    EXPECT_TRUE(order.together(1, 2));
    EXPECT_FALSE(order.together(1, 3) || order.together(1, 5) || order.together(3, 5));
    EXPECT_TRUE(before(5, 1) && before(1, 3));
}

TEST_F(NodeOrderTest, LooksAtFewStepsForChainsToldFromEitherEnd) {
    constexpr NodeId nodes = 20'000;
    make_nodes(2 * nodes);
    for (NodeId i = 1; i < nodes; ++i) add(i + 1, i);
    for (NodeId i = 2 * nodes; i > nodes + 1; --i) add(i, i - 1);
    EXPECT_LE(order.looks(), 4u * nodes);
    for (NodeId i = 1; i < nodes; ++i) ASSERT_TRUE(before(i + 1, i));
    for (NodeId i = 2 * nodes; i > nodes + 1; --i) ASSERT_TRUE(before(i, i - 1));
}

}  // namespace
}  // namespace braidway::lockdep
