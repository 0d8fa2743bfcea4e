// SPDX-License-Identifier: Apache-2.0
#include "lockdep/class_table.h"

#include <gtest/gtest.h>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(ClassTable, GivesOneClassForOneKeyUntilItIsFull) {
    TestSurroundings world;
    Arena arena(world);
    ClassTable classes(arena);
    ASSERT_TRUE(classes.start());
    for (uint64_t key = 1; key <= ClassTable::classes_max; ++key)
        ASSERT_EQ(classes.get(key)->id, key);
    EXPECT_EQ(classes.get(77)->id, 77u);
    EXPECT_EQ(classes.get(ClassTable::classes_max + 1), nullptr);
    EXPECT_EQ(classes.count(), ClassTable::classes_max);
}

TEST(ClassTable, FindsTheExampleOfANode) {
    TestSurroundings world;
    Arena arena(world);
    ClassTable classes(arena);
    ASSERT_TRUE(classes.start());
    Lock lock;
    classes.get(5)->node = 9;
    classes.get(5)->example = &lock;
    EXPECT_EQ(classes.example_of(9), &lock);
    EXPECT_EQ(classes.example_of(8), nullptr);
    EXPECT_EQ(classes.example_of(0), nullptr);
}

}  // namespace
}  // namespace braidway::lockdep
