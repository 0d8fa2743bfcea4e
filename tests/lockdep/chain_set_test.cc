// SPDX-License-Identifier: Apache-2.0
#include "lockdep/chain_set.h"

#include <gtest/gtest.h>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(ChainSet, KnowsNearlyAllOfAsManyChainsAsItIsMadeFor) {
    TestSurroundings world;
    Arena arena(world);
    ChainSet chains(arena);
    ASSERT_TRUE(chains.start());
    for (uint32_t i = 1; i <= ChainSet::chains_max; ++i)
        chains.add(mixed(i), mixed(i), static_cast<StackId>(i));
    size_t known = 0;
    for (uint32_t i = 1; i <= ChainSet::chains_max; ++i) {
        const ChainSet::Known chain = chains.find(mixed(i));
        if (!chain.known) continue;
        ++known;
        EXPECT_EQ(chain.stack, i);
    }
    EXPECT_GE(known, ChainSet::chains_max * 9 / 10);
    EXPECT_FALSE(chains.find(12345).known);
}

TEST(ChainSet, CountsTheVariantsOfAChain) {
    TestSurroundings world;
    Arena arena(world);
    ChainSet chains(arena);
    ASSERT_TRUE(chains.start());
    EXPECT_EQ(chains.variants(5), 0u);
    chains.add(7, 5, 1);
    chains.add(9, 5, 1);
    EXPECT_EQ(chains.variants(5), 2u);
    EXPECT_EQ(chains.variants(7), 0u);
    EXPECT_TRUE(chains.find(9).known);
}

}  // namespace
}  // namespace braidway::lockdep
