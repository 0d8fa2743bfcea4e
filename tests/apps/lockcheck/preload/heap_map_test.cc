// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/heap_map.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace braidway::lockcheck {
namespace {

/// Maps are large, and these do not go away: only a process needs one.
HeapMap& fresh_map() {
    void* const pages =
        mmap(nullptr, sizeof(HeapMap), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *::new (pages) HeapMap;
}

const void* at(uintptr_t address) {
    return reinterpret_cast<const void*>(address);
}

constexpr uintptr_t heap = 0x7f00'1234'0000;
constexpr uintptr_t site = 0x55aa'0000'1234;

TEST(HeapMap, FindsABlockFromAnyPlaceInIt) {
    HeapMap& map = fresh_map();
    ASSERT_TRUE(map.made(at(heap + 16), 100, site));
    HeapBlock block;
    for (const uintptr_t offset : {0, 1, 40, 96, 103}) {
        ASSERT_TRUE(map.find(at(heap + 16 + offset), block)) << offset;
        EXPECT_EQ(block.begin, heap + 16);
        EXPECT_EQ(block.bytes, 104u);
        EXPECT_EQ(block.made_at, site);
    }
    EXPECT_FALSE(map.find(at(heap + 15), block));
    EXPECT_FALSE(map.find(at(heap + 16 + 104), block));
}

TEST(HeapMap, TellsNeighboursApart) {
    HeapMap& map = fresh_map();
    // As glibc lays out blocks of 40 bytes: 48 apart.
    for (uintptr_t i = 0; i < 200; ++i) ASSERT_TRUE(map.made(at(heap + i * 48), 40, site + i));
    HeapBlock block;
    for (uintptr_t i = 0; i < 200; ++i) {
        ASSERT_TRUE(map.find(at(heap + i * 48 + 39), block));
        EXPECT_EQ(block.begin, heap + i * 48);
        EXPECT_EQ(block.made_at, site + i);
        EXPECT_FALSE(map.find(at(heap + i * 48 + 40), block)) << "between blocks";
    }
}

TEST(HeapMap, KnowsTheSizeOfLargeBlocks) {
    HeapMap& map = fresh_map();
    for (const size_t bytes : {size_t{4096}, size_t{4097}, size_t{1} << 20, size_t{5} << 40}) {
        ASSERT_TRUE(map.made(at(heap + 16), bytes, site));
        HeapBlock block;
        ASSERT_TRUE(map.find(at(heap + 16 + 4000), block));
        EXPECT_EQ(block.begin, heap + 16);
        EXPECT_EQ(block.bytes, bytes);
        EXPECT_EQ(map.gone_without_locks(at(heap + 16)), bytes == 4096)
            << "large ones are asked about, for a lock may be out of find()'s reach";
        map.forget(at(heap + 16));
        EXPECT_FALSE(map.find(at(heap + 16 + 4000), block)) << bytes;
    }
}

TEST(HeapMap, LooksBackOverTheSeamOfItsTables) {
    HeapMap& map = fresh_map();
    const uintptr_t seam = 0x7f00'1300'0000;  // A multiple of 16 MiB.
    ASSERT_TRUE(map.made(at(seam - 48), 6000, site));
    ASSERT_TRUE(map.made(at(seam + 8000), 64, site));
    HeapBlock block;
    ASSERT_TRUE(map.find(at(seam + 5000), block));
    EXPECT_EQ(block.begin, seam - 48);
    EXPECT_EQ(block.bytes, 6000u);
}

TEST(HeapMap, IsNotMisledByWhatALargeBlockLeftBehind) {
    HeapMap& map = fresh_map();
    // A large block whose end nobody saw; its memory is used for small ones.
    ASSERT_TRUE(map.made(at(heap), 100'000, site));
    ASSERT_TRUE(map.made(at(heap), 48, site));
    HeapBlock block;
    EXPECT_FALSE(map.block_at(at(heap + 64), block));
    EXPECT_TRUE(map.gone_without_locks(at(heap + 64)));
    EXPECT_TRUE(map.gone_without_locks(at(heap)));
    // The other way round: what follows the first is no longer its size.
    ASSERT_TRUE(map.made(at(heap), 100'000, site));
    ASSERT_TRUE(map.made(at(heap + 64), 48, site));
    map.forget(at(heap));
    ASSERT_TRUE(map.find(at(heap + 64), block));
    EXPECT_EQ(block.bytes, 48u);
}

TEST(HeapMap, SaysWhetherLocksLiveInABlock) {
    HeapMap& map = fresh_map();
    ASSERT_TRUE(map.made(at(heap), 64, site));
    ASSERT_TRUE(map.made(at(heap + 64), 64, site));
    HeapBlock block;
    ASSERT_TRUE(map.find(at(heap + 24), block));
    map.has_locks(block);
    EXPECT_TRUE(map.is_marked(at(heap)));
    EXPECT_FALSE(map.is_marked(at(heap + 64)));
    EXPECT_FALSE(map.gone_without_locks(at(heap)));
    EXPECT_TRUE(map.gone_without_locks(at(heap + 64)));
    EXPECT_FALSE(map.find(at(heap + 64), block)) << "a block that is gone is no longer known";
}

TEST(HeapMap, RefusesToWriteOverABlockWhoseLocksAreStillKnown) {
    HeapMap& map = fresh_map();
    ASSERT_TRUE(map.made(at(heap), 64, site));
    map.has_locks({.begin = heap, .bytes = 64});
    EXPECT_FALSE(map.made(at(heap), 80, site));
    EXPECT_FALSE(map.made(at(heap), 8000, site));
    map.forget(at(heap));
    EXPECT_TRUE(map.made(at(heap), 80, site));
}

TEST(HeapMap, RemembersThatALockLivesInASmallBlock) {
    HeapMap& map = fresh_map();
    ASSERT_TRUE(map.made(at(heap), 24, site));
    HeapBlock block;
    EXPECT_FALSE(map.find(at(heap + 20), block)) << "too small to be written down";
    map.has_lock_in_small_block(at(heap + 36));  // Of a block that begins at heap + 16.
    EXPECT_FALSE(map.gone_without_locks(at(heap + 16)));
    map.forget(at(heap + 16));
    EXPECT_TRUE(map.gone_without_locks(at(heap + 16)));
    EXPECT_FALSE(map.find(at(heap + 36), block));
}

TEST(HeapMap, KnowsSitesThatMakeBlocksOfSeveralSizes) {
    HeapMap& map = fresh_map();
    ASSERT_TRUE(map.made(at(heap), 64, site));
    ASSERT_TRUE(map.made(at(heap + 64), 64, site));
    HeapBlock block;
    ASSERT_TRUE(map.find(at(heap), block));
    EXPECT_TRUE(block.of_one_size);
    ASSERT_TRUE(map.made(at(heap + 128), 80, site));
    ASSERT_TRUE(map.find(at(heap), block));
    EXPECT_FALSE(block.of_one_size);
    ASSERT_TRUE(map.made(at(heap + 256), 80, site + 5));
    ASSERT_TRUE(map.find(at(heap + 256), block));
    EXPECT_TRUE(block.of_one_size) << "another site";
}

TEST(HeapMap, KeepsManySitesApartAndGoesOnWithoutOneWhenItIsFull) {
    HeapMap& map = fresh_map();
    const size_t sites = HeapMap::sites_max + 1000;
    size_t unknown = 0;
    for (uintptr_t i = 0; i < sites; ++i) {
        ASSERT_TRUE(map.made(at(heap), 64, site + i * 5));
        HeapBlock block;
        ASSERT_TRUE(map.find(at(heap), block));
        if (block.made_at == 0) {
            ++unknown;
        } else {
            ASSERT_EQ(block.made_at, site + i * 5);
        }
    }
    EXPECT_GE(unknown, 1000u);
    EXPECT_GT(map.sites(), HeapMap::sites_max * 3 / 4);
}

TEST(HeapMap, WritesNothingDownWhenItIsOff) {
    HeapMap& map = fresh_map();
    map.turn_off();
    EXPECT_TRUE(map.made(at(heap), 64, site));
    HeapBlock block;
    EXPECT_FALSE(map.find(at(heap), block));
    EXPECT_FALSE(map.complete());
    EXPECT_FALSE(map.gone_without_locks(at(heap))) << "nothing is known, so it must be asked";
    EXPECT_EQ(map.mapped_bytes(), 0u);
}

TEST(HeapMap, IsFilledByManyThreadsAtOnce) {
    HeapMap& map = fresh_map();
    constexpr uintptr_t blocks = 20'000;
    std::vector<std::thread> threads;
    for (uintptr_t thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&map, thread] {
            for (uintptr_t i = 0; i < blocks; ++i)
                EXPECT_TRUE(
                    map.made(at(heap + (i * 4 + thread) * 4096), 64 + thread * 8, site + i % 100));
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (uintptr_t i = 0; i < blocks * 4; ++i) {
        HeapBlock block;
        ASSERT_TRUE(map.find(at(heap + i * 4096), block));
        ASSERT_EQ(block.bytes, 64 + i % 4 * 8);
        ASSERT_EQ(block.made_at, site + i / 4 % 100);
    }
    EXPECT_EQ(map.sites(), 100u);
}

}  // namespace
}  // namespace braidway::lockcheck
