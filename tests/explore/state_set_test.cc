// SPDX-License-Identifier: Apache-2.0
#include "explore/state_set.h"

#include <gtest/gtest.h>

namespace braidway::explore {
namespace {

StateKey key_of(uint64_t number) {
    StateKey key;
    key.mix(number);
    return key;
}

TEST(StateSet, TakesEachKeyOnceAlsoWhenItGrows) {
    StateSet set;
    for (uint64_t number = 0; number < 5000; ++number) EXPECT_TRUE(set.insert(key_of(number)));
    for (uint64_t number = 0; number < 5000; ++number) EXPECT_FALSE(set.insert(key_of(number)));
    EXPECT_EQ(set.size(), 5000U);
}

TEST(StateKey, DependsOnTheOrderOfWhatIsMixedIn) {
    StateKey one = key_of(1);
    one.mix(2);
    StateKey other = key_of(2);
    other.mix(1);
    EXPECT_FALSE(one == other);
}

}  // namespace
}  // namespace braidway::explore
