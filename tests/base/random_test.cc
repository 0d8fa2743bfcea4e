// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace braidway {
namespace {

TEST(Random, TheFirstNumbersOfASeedAreKnown) {
    // The published test vector of splitmix64 for the seed 1234567.
    Random random(1234567);
    EXPECT_EQ(random.next(), 6457827717110365317u);
    EXPECT_EQ(random.next(), 3203168211198807973u);
    EXPECT_EQ(random.next(), 9817491932198370423u);
}

TEST(Random, BelowStaysBelowAndReachesEverything) {
    Random random(1);
    std::array<int, 10> seen{};
    for (int draw = 0; draw < 10'000; ++draw) {
        const uint64_t number = random.below(seen.size());
        ASSERT_LT(number, seen.size());
        ++seen[number];
    }
    for (const int count : seen) {
        EXPECT_GT(count, 800);
        EXPECT_LT(count, 1200);
    }
}

TEST(Random, ChancesComeOutAsAskedFor) {
    Random random(2);
    int hits = 0;
    for (int draw = 0; draw < 100'000; ++draw) hits += random.chance_ppm(250'000);
    EXPECT_GT(hits, 24'000);
    EXPECT_LT(hits, 26'000);
    EXPECT_FALSE(random.chance_ppm(0));
    EXPECT_TRUE(random.chance_ppm(1'000'000));
}

}  // namespace
}  // namespace braidway
