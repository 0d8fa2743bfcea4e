// SPDX-License-Identifier: Apache-2.0
#include "sync/address_ranges.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace braidway::sync {
namespace {

TEST(AddressRanges, GivesASlotAwayAgainAfterItWasRemoved) {
    AddressRanges<2> ranges;
    const unsigned first = ranges.add(10, 20);
    EXPECT_NE(ranges.add(30, 40), ranges.no_slot);
    EXPECT_EQ(ranges.add(50, 60), ranges.no_slot);
    ranges.remove(first);
    EXPECT_FALSE(ranges.any_of([](uintptr_t begin, uintptr_t) { return begin == 10; }));
    EXPECT_EQ(ranges.add(50, 60), first);
    EXPECT_TRUE(
        ranges.any_of([](uintptr_t begin, uintptr_t end) { return begin == 50 && end == 60; }));
}

TEST(AddressRanges, ShowsAReaderWholeRangesOnlyWhileTheyComeAndGo) {
    // One slot, so that each range takes the place of another.
    AddressRanges<1> ranges;
    std::atomic<bool> stop = false;
    std::thread writer([&] {
        for (uintptr_t turn = 1; !stop; ++turn)
            ranges.remove(ranges.add(turn * 10, turn * 10 + 1'000'000'000));
    });
    unsigned torn = 0;
    for (unsigned seen = 0; seen < 100'000;) {
        ranges.any_of([&](uintptr_t begin, uintptr_t end) {
            if (end - begin != 1'000'000'000U) ++torn;
            ++seen;
            return false;
        });
    }
    stop = true;
    writer.join();
    EXPECT_EQ(torn, 0U);
}

}  // namespace
}  // namespace braidway::sync
