// SPDX-License-Identifier: Apache-2.0
#include "path/hole_map.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace braidway::path {
namespace {

TEST(HoleMap, KnowsNothingAtFirst) {
    const HoleMap map;
    EXPECT_FALSE(map.covers(0, 1));
    EXPECT_EQ(map.ranges(), 0u);
}

TEST(HoleMap, CoversWhatWasAddedAndNoMore) {
    HoleMap map;
    map.add(4096, 8192);
    EXPECT_TRUE(map.covers(4096, 8192));
    EXPECT_TRUE(map.covers(8192, 1));
    EXPECT_FALSE(map.covers(4095, 2));
    EXPECT_FALSE(map.covers(12287, 2));
    EXPECT_FALSE(map.covers(0, 1u << 20));
}

TEST(HoleMap, JoinsRangesThatTouchOrOverlap) {
    HoleMap map;
    map.add(0, 10);
    map.add(20, 10);
    map.add(40, 10);
    EXPECT_EQ(map.ranges(), 3u);
    map.add(10, 10);
    EXPECT_EQ(map.ranges(), 2u);
    EXPECT_TRUE(map.covers(0, 30));
    map.add(25, 100);
    EXPECT_EQ(map.ranges(), 1u);
    EXPECT_TRUE(map.covers(0, 125));
}

TEST(HoleMap, ForgetsWhatIsRemoved) {
    HoleMap map;
    map.add(0, 100);
    map.remove(40, 20);
    EXPECT_TRUE(map.covers(0, 40));
    EXPECT_FALSE(map.covers(39, 2));
    EXPECT_FALSE(map.covers(59, 2));
    EXPECT_TRUE(map.covers(60, 40));
    map.remove(0, 10);
    map.remove(90, 10);
    EXPECT_TRUE(map.covers(10, 30));
    EXPECT_TRUE(map.covers(60, 30));
    map.remove(0, 1000);
    EXPECT_EQ(map.ranges(), 0u);
}

TEST(HoleMap, AFullMapForgetsRatherThanLies) {
    HoleMap map(2);
    map.add(0, 10);
    map.add(20, 10);
    map.add(40, 10);
    EXPECT_FALSE(map.covers(40, 1));
    map.add(10, 10);
    EXPECT_TRUE(map.covers(0, 30));
    map.add(40, 10);
    map.remove(5, 10);
    EXPECT_TRUE(map.covers(0, 5));
    EXPECT_FALSE(map.covers(5, 10));
    EXPECT_LE(map.ranges(), 2u);
}

/// Random changes, compared with one bit for each byte.
void compare_with_bits(uint64_t seed, size_t ranges_max, bool exact) {
    constexpr uint64_t size = 256;
    Random random(seed);
    HoleMap map(ranges_max);
    std::vector<bool> bits(size, false);
    for (int step = 0; step < 2000; ++step) {
        const uint64_t offset = random.below(size);
        const uint64_t length = random.below(std::min<uint64_t>(size - offset, 40) + 1);
        const bool hole = random.below(2) == 0;
        if (hole)
            map.add(offset, length);
        else
            map.remove(offset, length);
        for (uint64_t at = offset; at < offset + length; ++at) bits[at] = hole;
        ASSERT_LE(map.ranges(), ranges_max);
        for (uint64_t at = 0; at < size; ++at) {
            const bool known = map.covers(at, 1);
            ASSERT_TRUE(known == bits[at] || (!exact && !known)) << "byte " << at;
        }
        const uint64_t from = random.below(size - 1);
        const uint64_t count = 1 + random.below(size - from);
        bool all = true;
        for (uint64_t at = from; at < from + count; ++at) all = all && bits[at];
        const bool known = map.covers(from, count);
        ASSERT_TRUE(known == all || (!exact && !known)) << from << "+" << count;
    }
}

TEST(HoleMap, AgreesWithABitmap) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        compare_with_bits(seed, 1024, true);
    }
}

TEST(HoleMap, NeverClaimsAHoleWhereABitmapHasDataAlsoWhenFull) {
    for (uint64_t seed = 1; seed <= 10; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        compare_with_bits(seed, 3, false);
    }
}

}  // namespace
}  // namespace braidway::path
