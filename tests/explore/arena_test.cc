// SPDX-License-Identifier: Apache-2.0
#include "explore/arena.h"

#include <gtest/gtest.h>

#include <vector>

namespace braidway::explore {
namespace {

TEST(Arena, GivesTheSameAddressesAfterClear) {
    Arena arena;
    const auto take_all = [&arena] {
        std::vector<void*> taken;
        for (const size_t size :
             {size_t{1}, size_t{8}, size_t{40'000}, size_t{40'000}, size_t{200'000}, size_t{3}}) {
            taken.push_back(arena.take(size, 64));
            EXPECT_EQ(reinterpret_cast<uintptr_t>(taken.back()) % 64, 0u);
        }
        return taken;
    };
    const std::vector<void*> first = take_all();
    arena.clear();
    EXPECT_EQ(take_all(), first);
}

TEST(Arena, GivesPiecesThatDoNotOverlap) {
    Arena arena;
    char* const one = static_cast<char*>(arena.take(10, 1));
    char* const two = static_cast<char*>(arena.take(10, 1));
    EXPECT_GE(two, one + 10);
}

}  // namespace
}  // namespace braidway::explore
