// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/proportion.h"

#include <gtest/gtest.h>

namespace braidway::memory {
namespace {

TEST(Proportion, RoundsUpAndDoesNotOverflow) {
    EXPECT_EQ(proportion(10, 1, 3), 4u);
    EXPECT_EQ(proportion(10, 0, 3), 0u);
    EXPECT_EQ(proportion(10, 3, 3), 10u);
    EXPECT_EQ(proportion(10, 0, 0), 0u);
    EXPECT_EQ(proportion(UINT64_MAX, UINT64_MAX / 2, UINT64_MAX), UINT64_MAX / 2);
}

TEST(Less, EndsAtZero) {
    EXPECT_EQ(less(7, 3), 4u);
    EXPECT_EQ(less(3, 3), 0u);
    EXPECT_EQ(less(3, 7), 0u);
    EXPECT_EQ(less(0, UINT64_MAX), 0u);
}

}  // namespace
}  // namespace braidway::memory
