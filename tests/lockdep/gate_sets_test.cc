// SPDX-License-Identifier: Apache-2.0
#include "lockdep/gate_sets.h"

#include <gtest/gtest.h>

#include <vector>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

constexpr Hold exclusive = Hold::exclusive;
constexpr Hold shared = Hold::shared;

GateList list(const std::vector<Gate>& gates) {
    return GateList(gates);
}

TEST(GateList, PutsLocksInOrderOnceEachAsStronglyAsTheyAreHeld) {
    const GateList gates =
        list({{9, shared}, {3, exclusive}, {5, shared}, {9, exclusive}, {3, shared}});
    const GateView view = gates.view();
    ASSERT_EQ(view.count, 3u);
    EXPECT_EQ(view.lock(0), 3u);
    EXPECT_EQ(view.lock(1), 5u);
    EXPECT_EQ(view.lock(2), 9u);
    EXPECT_EQ(view.exclusive, 0b101u);
}

TEST(GateList, KeepsTheOldestLocksWhenThereAreTooMany) {
    std::vector<Gate> many;
    for (LockId i = 40; i > 0; --i) many.push_back({i, i % 2 == 0 ? exclusive : shared});
    const GateList gates(many);
    ASSERT_EQ(gates.view().count, GateView::gates_max);
    for (uint32_t i = 0; i < GateView::gates_max; ++i) {
        EXPECT_EQ(gates.view().lock(i), i + 1);
        EXPECT_EQ(gates.view().is_exclusive(i), i % 2 == 1);
    }
    many.push_back({16, exclusive});
    many.push_back({41, exclusive});
    EXPECT_EQ(GateList(many).view().exclusive, gates.view().exclusive);
}

TEST(Gates, AreCompatibleUnlessALockIsInBothAndOnceExclusive) {
    const GateList one = list({{1, exclusive}, {4, shared}, {6, shared}});
    EXPECT_TRUE(compatible(one.view(), list({}).view()));
    EXPECT_TRUE(compatible(one.view(), list({{2, exclusive}, {4, shared}, {7, exclusive}}).view()));
    EXPECT_FALSE(compatible(one.view(), list({{1, shared}}).view()));
    EXPECT_FALSE(compatible(one.view(), list({{2, shared}, {6, exclusive}}).view()));
    EXPECT_FALSE(compatible(list({{6, exclusive}}).view(), one.view()));
}

TEST(Gates, CoverWhatHasFewerLocksHeldNoMoreStrongly) {
    const GateList one = list({{1, exclusive}, {4, shared}});
    EXPECT_TRUE(covers(one.view(), list({}).view()));
    EXPECT_TRUE(covers(one.view(), list({{1, shared}}).view()));
    EXPECT_TRUE(covers(one.view(), one.view()));
    EXPECT_FALSE(covers(one.view(), list({{4, exclusive}}).view()));
    EXPECT_FALSE(covers(one.view(), list({{3, shared}}).view()));
    EXPECT_FALSE(covers(one.view(), list({{5, shared}}).view()));
    EXPECT_FALSE(covers(list({}).view(), one.view()));
}

class GateSetsTest : public ::testing::Test {
  protected:
    GateSetId keep(const std::vector<Gate>& gates) {
        GateSetId id = 0;
        EXPECT_TRUE(sets.keep(GateList(gates).view(), id));
        return id;
    }

    TestSurroundings world;
    Arena arena{world};
    GateSets sets{arena};
};

TEST_F(GateSetsTest, KeepEachSetOnce) {
    const GateSetId pair = keep({{2, shared}, {1, exclusive}});
    EXPECT_EQ(keep({{1, exclusive}, {2, shared}}), pair);
    EXPECT_NE(keep({{1, exclusive}, {2, exclusive}}), pair);
    EXPECT_NE(keep({{1, exclusive}, {3, shared}}), pair);
    const GateView view = sets.view(pair);
    ASSERT_EQ(view.count, 2u);
    EXPECT_EQ(view.lock(0), 1u);
    EXPECT_EQ(view.lock(1), 2u);
    EXPECT_EQ(view.exclusive, 1u);
}

TEST_F(GateSetsTest, NeedNoMemoryForSetsOfNoneOrOne) {
    EXPECT_EQ(keep({}), 0u);
    EXPECT_EQ(sets.view(0).count, 0u);
    const GateSetId one = keep({{77, shared}});
    EXPECT_EQ(sets.view(one).lock(0), 77u);
    EXPECT_FALSE(sets.view(one).is_exclusive(0));
    EXPECT_TRUE(sets.view(keep({{77, exclusive}})).is_exclusive(0));
    EXPECT_EQ(world.given_bytes, 0u);
    const GateSetId high = keep({{0xfffffff0, exclusive}});
    EXPECT_EQ(sets.view(high).lock(0), 0xfffffff0u);
    EXPECT_EQ(sets.view(high).count, 1u);
    sets.release(high);
    sets.release(one);
    sets.release(0);
}

TEST_F(GateSetsTest, UseTheMemoryOfASetAgainWhenItsLastUserIsGone) {
    const GateSetId first = keep({{1, shared}, {2, shared}, {3, shared}});
    EXPECT_EQ(keep({{1, shared}, {2, shared}, {3, shared}}), first);
    sets.release(first);
    EXPECT_NE(keep({{4, shared}, {5, shared}, {6, shared}}), first);
    sets.release(first);
    EXPECT_EQ(keep({{7, shared}, {8, shared}, {9, shared}}), first);
}

TEST_F(GateSetsTest, NeverLoseASetThatHadMoreUsersThanCanBeCounted) {
    const GateSetId popular = keep({{1, shared}, {2, shared}});
    for (int i = 0; i < 5'000; ++i) keep({{1, shared}, {2, shared}});
    for (int i = 0; i < 5'001; ++i) sets.release(popular);
    EXPECT_EQ(sets.view(popular).count, 2u);
    EXPECT_EQ(keep({{1, shared}, {2, shared}}), popular);
}

TEST_F(GateSetsTest, FindEachOfManySets) {
    std::vector<GateSetId> ids;
    const auto gates = [](LockId i) {
        std::vector<Gate> some;
        for (LockId j = 0; j < 2 + i % 15; ++j)
            some.push_back({i + j, j % 3 == 0 ? shared : exclusive});
        return some;
    };
    for (LockId i = 0; i < 10'000; ++i) ids.push_back(keep(gates(i)));
    for (LockId i = 0; i < 10'000; ++i) EXPECT_EQ(keep(gates(i)), ids[i]);
    for (LockId i = 0; i < 10'000; i += 2) {
        sets.release(ids[i]);
        sets.release(ids[i]);
    }
    for (LockId i = 1; i < 10'000; i += 2) EXPECT_EQ(keep(gates(i)), ids[i]);
}

TEST(GateSets, SayWhenThereIsNoRoom) {
    TestSurroundings world;
    world.bytes_max = 0;
    Arena arena(world);
    GateSets sets(arena);
    GateSetId id = 0;
    EXPECT_TRUE(sets.keep(list({{1, shared}}).view(), id));
    EXPECT_FALSE(sets.keep(list({{1, shared}, {2, shared}}).view(), id));
}

}  // namespace
}  // namespace braidway::lockdep
