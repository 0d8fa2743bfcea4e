// SPDX-License-Identifier: Apache-2.0
#include "lockdep/stack_store.h"

#include <gtest/gtest.h>

#include <vector>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(StackStore, GivesBackWhatWasAddedAndKeepsItOnce) {
    TestSurroundings world;
    Arena arena(world);
    StackStore store(arena);
    ASSERT_TRUE(store.start());
    const std::vector<uintptr_t> one = {10, 20, 30};
    const std::vector<uintptr_t> two = {11, 20, 30};
    const StackId id = store.add(one);
    EXPECT_NE(id, 0u);
    EXPECT_NE(store.add(two), id);
    EXPECT_EQ(store.add(one), id);
    std::array<uintptr_t, 8> room;
    const auto got = store.get(id, room);
    EXPECT_EQ(std::vector<uintptr_t>(got.begin(), got.end()), one);
    EXPECT_EQ(store.get(id, std::span(room).first(2)).size(), 2u);
    EXPECT_EQ(store.add({}), 0u);
    EXPECT_TRUE(store.get(0, room).empty());
}

TEST(StackStore, SaysWhenItIsFull) {
    TestSurroundings world;
    Arena arena(world);
    StackStore store(arena);
    ASSERT_TRUE(store.start());
    uintptr_t frame = 1;
    while (store.add({&frame, 1}) != 0) ++frame;
    EXPECT_EQ(frame, StackStore::nodes_max);
    frame = 1;
    EXPECT_NE(store.add({&frame, 1}), 0u);
}

}  // namespace
}  // namespace braidway::lockdep
