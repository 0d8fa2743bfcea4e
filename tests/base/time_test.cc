// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <gtest/gtest.h>

namespace braidway {
namespace {

using namespace std::chrono_literals;

TEST(Instant, IsOrderedAndMeasured) {
    const Instant start{1'000};
    const Instant later = start + 5us;
    EXPECT_LT(start, later);
    EXPECT_EQ(later - start, 5us);
    EXPECT_EQ(later - 5us, start);
    EXPECT_LT(later, never);
}

TEST(Instant, NeverStaysNever) {
    EXPECT_EQ(never + 1s, never);
    EXPECT_EQ((Instant{1'000} + Duration::max()), never);
    EXPECT_EQ((Instant{-1'000} + Duration::min()), (Instant{INT64_MIN}));
}

}  // namespace
}  // namespace braidway
