// SPDX-License-Identifier: Apache-2.0
#include "lockdep/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(Arena, GivesZeroedAlignedPiecesThatDoNotOverlap) {
    TestSurroundings world;
    Arena arena(world);
    auto* const first = static_cast<unsigned char*>(arena.allocate(5));
    std::memset(first, 0xff, 5);
    auto* const second = static_cast<unsigned char*>(arena.allocate(32));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(second) % 16, 0u);
    EXPECT_GE(second, first + 5);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(second[i], 0);
    EXPECT_EQ(arena.used_bytes(), Arena::chunk_bytes);
}

TEST(Arena, GivesLargePiecesPagesOfTheirOwnAndGoesOnWithTheChunk) {
    TestSurroundings world;
    Arena arena(world);
    auto* const first = static_cast<std::byte*>(arena.allocate(16));
    EXPECT_NE(arena.allocate(Arena::chunk_bytes), nullptr);
    EXPECT_EQ(static_cast<std::byte*>(arena.allocate(16)), first + 16);
    EXPECT_EQ(world.given_bytes, 2 * Arena::chunk_bytes);
}

TEST(Arena, SaysWhenThereIsNoMoreMemory) {
    TestSurroundings world;
    world.bytes_max = Arena::chunk_bytes;
    Arena arena(world);
    EXPECT_NE(arena.allocate(64), nullptr);
    EXPECT_EQ(arena.allocate(Arena::chunk_bytes), nullptr);
    EXPECT_EQ(arena.allocate(SIZE_MAX), nullptr);
    EXPECT_NE(arena.allocate(64), nullptr);
    EXPECT_EQ(Arena(world).allocate(16), nullptr);
}

TEST(Arena, GivesNoMoreThanItsLimit) {
    TestSurroundings world;
    Arena arena(world);
    EXPECT_EQ(arena.allocate(Arena::bytes_max + 1), nullptr);
    EXPECT_EQ(world.given_bytes, 0u);
}

}  // namespace
}  // namespace braidway::lockdep
