// SPDX-License-Identifier: Apache-2.0
#include "lockdep/step_table.h"

#include <gtest/gtest.h>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

class StepTableTest : public ::testing::Test {
  protected:
    Way way(Hold hold, Want want, std::vector<Gate> gates) {
        Way fresh{0, Way::mode(hold, want), {}};
        EXPECT_TRUE(table.gates().keep(GateList(gates).view(), fresh.gates));
        return fresh;
    }
    uint32_t count_ways(uint32_t record) {
        uint32_t count = 0;
        while (table.way(record, count) != nullptr) ++count;
        return count;
    }

    TestSurroundings world;
    Arena arena{world};
    StepTable table{arena};
};

TEST_F(StepTableTest, FindsEachOfManySteps) {
    for (int i = 0; i < 300; ++i) table.add_node(0);
    for (NodeId i = 1; i <= 300; ++i) {
        for (NodeId j = 1; j <= 300; j += 7) ASSERT_NE(table.insert(i, j, {}), 0u);
    }
    for (NodeId i = 1; i <= 300; ++i) {
        for (NodeId j = 1; j <= 300; ++j) {
            const uint32_t record = table.find(i, j);
            ASSERT_EQ(record != 0, j % 7 == 1);
            if (record == 0) continue;
            EXPECT_TRUE(table.step(record).from == i && table.step(record).to == j);
        }
    }
}

TEST_F(StepTableTest, AWayThatDemandsLessTakesThePlaceOfThoseThatDemandMore) {
    table.add_node(0);
    table.add_node(0);
    const uint32_t step =
        table.insert(1, 2, way(Hold::shared, Want::unfair_read, {{5, Hold::exclusive}}));
    EXPECT_TRUE(table.keep_way(step, way(Hold::shared, Want::write, {{6, Hold::exclusive}})));
    EXPECT_TRUE(table.keep_way(step, way(Hold::exclusive, Want::fair_read, {{7, Hold::shared}})));
    EXPECT_EQ(count_ways(step), 3u);
    const GateList seven(std::vector<Gate>{{7, Hold::exclusive}});
    EXPECT_TRUE(table.knows_way(step, Way::mode(Hold::exclusive, Want::fair_read), seven.view()));
    EXPECT_TRUE(table.knows_way(step, Way::mode(Hold::shared, Want::unfair_read), seven.view()));
    EXPECT_FALSE(table.knows_way(step, Way::mode(Hold::exclusive, Want::write), seven.view()));
    EXPECT_TRUE(table.keep_way(step, way(Hold::shared, Want::write, {})));
    EXPECT_EQ(count_ways(step), 2u);
    EXPECT_TRUE(table.keep_way(step, way(Hold::exclusive, Want::write, {})));
    EXPECT_EQ(count_ways(step), 1u);
}

TEST_F(StepTableTest, ListsTheWritersOfANodeAndThenThoseOfItsFamily) {
    const NodeId family = table.add_node(0);
    const NodeId node = table.add_node(family);
    EXPECT_EQ(table.writer(node, 0), nullptr);
    table.keep_writer(family, way(Hold::exclusive, Want::write, {{1, Hold::shared}}));
    table.keep_writer(node, way(Hold::exclusive, Want::write, {{2, Hold::shared}}));
    table.keep_writer(node, way(Hold::exclusive, Want::write, {{3, Hold::shared}}));
    LockId expected[] = {2, 3, 1};
    for (uint32_t i = 0; i < 3; ++i) {
        ASSERT_NE(table.writer(node, i), nullptr);
        EXPECT_EQ(table.gates().view(table.writer(node, i)->gates).lock(0), expected[i]);
    }
    EXPECT_EQ(table.writer(node, 3), nullptr);
    EXPECT_EQ(table.writer(family, 1), nullptr);
    table.kill(family);
    EXPECT_EQ(table.writer(node, 2), nullptr);
}

TEST_F(StepTableTest, ASweepForgetsOnlyWhatIsDead) {
    for (int i = 0; i < 4; ++i) table.add_node(0);
    table.insert(1, 2, {});
    table.insert(2, 3, {});
    table.insert(2, 2, {});
    table.insert(1, 3, {});
    table.insert(4, 1, {});
    table.kill(2);
    EXPECT_EQ(table.live_steps(), 2u);
    EXPECT_NE(table.find(1, 2), 0u);
    table.sweep();
    EXPECT_EQ(table.find(1, 2), 0u);
    EXPECT_EQ(table.find(2, 2), 0u);
    EXPECT_NE(table.find(1, 3), 0u);
    EXPECT_NE(table.find(4, 1), 0u);
    EXPECT_EQ(table.node(1).first_out, table.find(1, 3));
    EXPECT_EQ(table.node(3).first_in, table.find(1, 3));
    EXPECT_EQ(table.add_node(0), 2u);
    EXPECT_FALSE(table.has_dead());
}

}  // namespace
}  // namespace braidway::lockdep
