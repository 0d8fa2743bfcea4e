// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/range_set.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace braidway::memory {
namespace {

using Ranges = std::vector<PageRange>;

TEST(RangeSet, UnitesWhatTouchesOrOverlapsInAnyOrder) {
    RangeSet set;
    set.add({10, 20});
    set.add({30, 40});
    set.add({5, 6});
    set.add({20, 25});
    set.add({12, 14});
    set.add({7, 7});
    EXPECT_EQ(set.ranges(), (Ranges{{5, 6}, {10, 25}, {30, 40}}));
    EXPECT_EQ(set.pages(), 26u);
}

TEST(RangeSet, CoversOnlyWhatOneRangeHolds) {
    RangeSet set;
    EXPECT_FALSE(set.covers({0, 1}));
    set.add({10, 20});
    set.add({21, 30});
    EXPECT_TRUE(set.covers({10, 20}));
    EXPECT_TRUE(set.covers({25, 30}));
    EXPECT_TRUE(set.covers({3, 3}));
    EXPECT_FALSE(set.covers({15, 25}));
    EXPECT_FALSE(set.covers({9, 12}));
    set.add({20, 21});
    EXPECT_TRUE(set.covers({15, 25}));
}

TEST(RangeSet, ClipLeavesOutTheRest) {
    RangeSet set;
    set.add({0, 4});
    set.add({6, 10});
    set.add({12, 14});
    set.clip(8);
    EXPECT_EQ(set.ranges(), (Ranges{{0, 4}, {6, 8}}));
    set.clip(0);
    EXPECT_TRUE(set.empty());
}

TEST(RangeSet, StaysSmallWhenTheSameIsAddedAgainAndAgain) {
    RangeSet set;
    for (uint64_t i = 0; i < 100'000; ++i) set.add({(i % 50) * 10, (i % 50) * 10 + 5});
    EXPECT_LT(set.size(), 4096u);
    EXPECT_EQ(set.pages(), 250u);
}

TEST(RangeSet, AgreesWithASetOfPages) {
    Random random(7);
    for (int round = 0; round < 50; ++round) {
        RangeSet set;
        std::vector<bool> pages(300);
        for (int i = 0; i < 40; ++i) {
            const uint64_t begin = random.below(280);
            const uint64_t end = begin + random.below(20);
            set.add({begin, end});
            for (uint64_t page = begin; page < end; ++page) pages[page] = true;
            if (random.below(8) == 0) set.ranges();
        }
        std::vector<bool> seen(300);
        for (const PageRange& range : set.ranges())
            for (uint64_t page = range.begin; page < range.end; ++page) seen[page] = true;
        EXPECT_EQ(seen, pages);
    }
}

}  // namespace
}  // namespace braidway::memory
