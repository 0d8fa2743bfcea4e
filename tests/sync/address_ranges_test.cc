// SPDX-License-Identifier: Apache-2.0
#include "sync/address_ranges.h"

#include <atomic>
#include <thread>
#include <vector>

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
    AddressRanges<8> ranges;
    std::atomic<bool> stop = false;
    std::vector<std::thread> writers;
    for (uintptr_t writer = 1; writer <= 3; ++writer) {
        writers.emplace_back([&, writer] {
            for (uintptr_t turn = writer; turn < 20000; turn += 3) {
                const unsigned slot = ranges.add(turn, turn + 1'000'000);
                if (slot != ranges.no_slot) ranges.remove(slot);
            }
        });
    }
    std::thread reader([&] {
        while (!stop) {
            ranges.any_of([](uintptr_t begin, uintptr_t end) {
                EXPECT_EQ(end - begin, 1'000'000U);
                return false;
            });
        }
    });
    for (std::thread& writer : writers) writer.join();
    stop = true;
    reader.join();
}

}  // namespace
}  // namespace braidway::sync
