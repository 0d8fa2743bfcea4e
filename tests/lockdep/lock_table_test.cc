// SPDX-License-Identifier: Apache-2.0
#include "lockdep/lock_table.h"

#include <gtest/gtest.h>

#include <vector>

#include "lockdep/paged_memory.h"

namespace braidway::lockdep {
namespace {

TEST(LockTable, FindsLocksByAddressRangeAndId) {
    TestSurroundings world;
    Arena arena(world);
    LockTable table(arena);
    ASSERT_TRUE(table.start());
    std::vector<char> objects(20'000);
    for (size_t at = 0; at < objects.size(); at += 40) table.publish(*table.add(), &objects[at]);
    EXPECT_EQ(table.count(), 500u);
    Lock* const lock = table.find(&objects[400]);
    ASSERT_NE(lock, nullptr);
    EXPECT_EQ(table.find(&objects[401]), nullptr);
    EXPECT_EQ(table.any_in(&objects[400], &objects[401]), lock);
    EXPECT_EQ(table.any_in(&objects[401], &objects[440]), nullptr);
    EXPECT_EQ(table.any_in(&objects[400], &objects[400]), nullptr);
    EXPECT_EQ(table.described(lock->id.load()), lock);
}

TEST(LockTable, KeepsTheDescriptionOfAForgottenLockForAWhile) {
    TestSurroundings world;
    Arena arena(world);
    LockTable table(arena);
    ASSERT_TRUE(table.start());
    char object = 0;
    Lock& first = *table.add();
    table.publish(first, &object);
    const LockId id = first.id.load();
    table.remove(first);
    EXPECT_EQ(table.find(&object), nullptr);
    EXPECT_EQ(table.described(id), &first);
    EXPECT_FALSE(table.may_have(&object, &object + 1));
    size_t others = 0;
    for (; table.described(id) != nullptr && others < 10'000; ++others) {
        Lock& lock = *table.add();
        table.publish(lock, &object);
        table.remove(lock);
    }
    EXPECT_GT(others, 1000u);
    EXPECT_LT(others, 2000u);
}

TEST(LockTable, LooksAtEveryLockForAHugeRange) {
    TestSurroundings world;
    Arena arena(world);
    LockTable table(arena);
    ASSERT_TRUE(table.start());
    Lock& lock = *table.add();
    const auto* const address = reinterpret_cast<const void*>(uintptr_t{1} << 40);
    table.publish(lock, address);
    const auto* const far = reinterpret_cast<const void*>(uintptr_t{1} << 46);
    EXPECT_EQ(table.any_in(nullptr, far), &lock);
    EXPECT_TRUE(table.may_have(nullptr, far));
    EXPECT_EQ(table.any_in(nullptr, address), nullptr);
}

}  // namespace
}  // namespace braidway::lockdep
