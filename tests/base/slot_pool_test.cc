// SPDX-License-Identifier: Apache-2.0
#include "base/slot_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace braidway {
namespace {

struct Counted {
    static inline int alive = 0;
    Counted() { ++alive; }
    ~Counted() { --alive; }
    int state = 0;
};

TEST(SlotPool, LendsEachObjectOnceUntilEmpty) {
    SlotPool<Counted> pool(3);
    std::set<Counted*> taken;
    for (int count = 0; count < 3; ++count) taken.insert(pool.take());
    EXPECT_EQ(taken.size(), 3u);
    EXPECT_EQ(pool.in_use(), 3u);
    EXPECT_EQ(pool.take(), nullptr);
    for (Counted* object : taken) pool.give_back(object);
    EXPECT_EQ(pool.in_use(), 0u);
    EXPECT_EQ(pool.capacity(), 3u);
}

TEST(SlotPool, LendsFirstWhatCameBackLast) {
    SlotPool<Counted> pool(4);
    Counted* one = pool.take();
    Counted* two = pool.take();
    pool.give_back(one);
    pool.give_back(two);
    EXPECT_EQ(pool.take(), two);
    EXPECT_EQ(pool.take(), one);
    pool.give_back(one);
    pool.give_back(two);
}

TEST(SlotPool, MakesObjectsWhenTheyAreFirstUsedAndKeepsTheirState) {
    {
        SlotPool<Counted> pool(1000);
        EXPECT_EQ(Counted::alive, 0);
        Counted* object = pool.take();
        EXPECT_EQ(Counted::alive, 1);
        object->state = 5;
        pool.give_back(object);
        EXPECT_EQ(pool.take()->state, 5);
        EXPECT_EQ(Counted::alive, 1);
        pool.give_back(object);
    }
    EXPECT_EQ(Counted::alive, 0);
}

TEST(SlotPool, KeepsTheAlignmentOfItsObjects) {
    struct alignas(64) Line {
        char bytes[65];
    };
    SlotPool<Line> pool(3);
    Line* lines[3];
    for (Line*& line : lines) {
        line = pool.take();
        EXPECT_EQ(reinterpret_cast<uintptr_t>(line) % 64, 0u);
    }
    for (Line* line : lines) pool.give_back(line);
}

TEST(SlotPool, AnEmptyPoolLendsNothing) {
    SlotPool<Counted> pool(0);
    EXPECT_EQ(pool.take(), nullptr);
}

TEST(SlotPoolDeathTest, RefusesStrangersAndMissesItsObjects) {
    SlotPool<Counted> pool(2);
    SlotPool<Counted> other(2);
    Counted* stranger = other.take();
    EXPECT_DEATH(pool.give_back(stranger), "not an object of this pool");
    other.give_back(stranger);
    const auto forget = [] {
        SlotPool<Counted> short_lived(1);
        short_lived.take();
    };
    EXPECT_DEATH(forget(), "get its objects back");
}

}  // namespace
}  // namespace braidway
