// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "lockdep/former_locks.h"
#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

/// Objects whose type can be found out.
class Typed : public Scripted {
  public:
    Lock& typed(size_t at, uint64_t class_key = 0, LockTraits traits = a_mutex) {
        return *validator.enlist(*main, &memory[at], 8, traits,
                                 {.class_key = class_key, .typed = true});
    }
    std::vector<ClassOrigin> classes() const {
        std::vector<ClassOrigin> all(64);
        all.resize(validator.typed_classes(all));
        return all;
    }
    /// As if the locks at these offsets of `memory` were of one class.
    void merge(std::initializer_list<size_t> offsets) {
        std::vector<uint32_t> ids;
        for (const ClassOrigin& origin : classes())
            for (const size_t at : offsets)
                if (origin.address == &memory[at]) ids.push_back(origin.class_id);
        validator.merge_classes(ids);
    }
};

TEST(Merging, FindsOppositeOrdersOverObjectsThatNeverMet) {
    Typed s;
    s.take_all(*s.main, {&s.typed(0, 7), &s.typed(8)});
    s.take_all(*s.main, {&s.typed(16), &s.typed(24)});
    EXPECT_EQ(s.classes().size(), 4u);
    s.merge({0, 24});
    EXPECT_EQ(s.kinds(), "");
    s.merge({8, 16});
    ASSERT_EQ(s.kinds(), "order");
    EXPECT_EQ(s.world.findings[0].chain_count, 2u);
    EXPECT_EQ(s.classes().size(), 2u);
}

TEST(Merging, IsForObjectsWithoutAKeyThatHaveGone) {
    Typed s;
    s.take_all(*s.main, {&s.typed(0), &s.lock(&s.memory[100])});
    s.validator.destroyed(*s.main, &s.memory[0]);
    s.take_all(*s.main, {&s.lock(&s.memory[100]), &s.typed(0)});
    EXPECT_EQ(s.kinds(), "");
    EXPECT_EQ(s.classes().size(), 2u);
    s.merge({0});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Merging, FindsOrdersOfObjectsAllOfWhichHaveGone) {
    Typed s;
    s.take_all(*s.main, {&s.typed(0), &s.typed(8)});
    s.take_all(*s.main, {&s.typed(16), &s.typed(24)});
    for (const size_t at : {0, 8, 16, 24}) s.validator.destroyed(*s.main, &s.memory[at]);
    EXPECT_EQ(s.classes().size(), 4u);
    s.merge({0, 24});
    s.merge({8, 16});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Merging, IsForLocksOnStacksOnceTheirFrameIsFound) {
    Typed s;
    std::vector<Lock*> locks;
    for (const size_t at : {0, 8})
        locks.push_back(
            s.validator.enlist(*s.main, &s.memory[at], 8, a_mutex, {.place = Place::stack}));
    s.take_all(*s.main, {locks[0], locks[1]});
    EXPECT_EQ(s.classes().size(), 0u);
    s.validator.frame_found(*locks[0], 0x1000, 96, true);
    s.validator.frame_found(*locks[0], 0x2000, 8, true);
    s.validator.frame_found(*locks[1], 0x1000, 48, false);
    ASSERT_EQ(s.classes().size(), 1u);
    EXPECT_EQ(s.classes()[0].block_made_at, 0x1000u);
    EXPECT_EQ(s.classes()[0].offset_bytes, 96u);
}

TEST(Merging, LeavesGatesAsTheyWere) {
    Typed s;
    Lock& gate = s.lock(&s.memory[100]);
    s.take_all(*s.main, {&gate, &s.typed(0), &s.typed(8)});
    s.take_all(*s.main, {&gate, &s.typed(16), &s.typed(24)});
    s.merge({0, 24});
    s.merge({8, 16});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Merging, TakesNestingWithinTheClassForNoRing) {
    Typed s;
    s.take_all(*s.main, {&s.typed(0), &s.typed(8)});
    s.take_all(*s.main, {&s.typed(16), &s.typed(24)});
    s.merge({0, 8, 16, 24});
    EXPECT_EQ(s.kinds(), "");
    EXPECT_EQ(s.classes().size(), 0u);
    // Instances are judged one by one, from before and from now.
    Lock& last = s.lock(&s.memory[24]);
    s.take_all(*s.main, {&last, &s.lock(&s.memory[0])});
    EXPECT_EQ(s.kinds(), "");
    s.take_all(*s.main, {&last, &s.lock(&s.memory[16])});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Merging, DoesNotReportARingAgainUnderItsNewName) {
    Typed s;
    Lock& table = s.lock(&s.memory[100]);
    Lock& one = s.typed(0, 7);
    s.take_all(*s.main, {&one, &table});
    s.take_all(*s.main, {&table, &one});
    EXPECT_EQ(s.kinds(), "order");
    s.take_all(*s.main, {&s.typed(8), &table});
    s.merge({0, 8});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Merging, NeedsAWriterForTwoReadsAndTakesThatOfAnotherObject) {
    Typed s;
    Lock& read = s.typed(0, 0, a_fair_rwlock);
    s.take(*s.main, read, to_read);
    s.take(*s.main, read, to_read);
    EXPECT_EQ(s.kinds(), "");
    s.give(*s.main, read);
    s.give(*s.main, read);
    Lock& written = s.typed(8, 0, a_fair_rwlock);
    s.take_all(*s.main, {&written});
    s.validator.destroyed(*s.main, &s.memory[8]);
    s.merge({0, 8});
    EXPECT_EQ(s.kinds(), "recursive-read");
}

TEST(Merging, IsKnownToLocksThatComeLater) {
    Typed s;
    Lock& table = s.lock(&s.memory[100]);
    s.take_all(*s.main, {&s.typed(0, 7), &table});
    s.take_all(*s.main, {&s.typed(8, 9), &table});
    s.merge({0, 8});
    s.take_all(*s.main, {&table, &s.typed(16, 9)});
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Merging, KeepsTheStackOfAClassesFirstInitialisation) {
    Typed s;
    const Making making{.class_key = 7, .initialised = true, .typed = true};
    s.world.stack = {0x51, 0x52};
    Lock* const first = s.validator.enlist(*s.main, &s.memory[0], 8, a_mutex, making);
    s.world.stack = {0x61};
    s.validator.enlist(*s.main, &s.memory[8], 8, a_mutex, making);
    s.take_all(*s.main, {first, &s.lock(&s.memory[100])});
    ASSERT_EQ(s.classes().size(), 1u);
    std::array<uintptr_t, 4> room;
    EXPECT_TRUE(std::ranges::equal(s.validator.stack(s.classes()[0].stack, room),
                                   std::vector<uintptr_t>{0x51, 0x52}));
}

TEST(Merging, KeepsOnlySoManyThatHaveGone) {
    Typed s;
    Lock& table = s.lock(&s.memory[100]);
    for (uint32_t i = 0; i < FormerLocks::former_max + 10; ++i) {
        s.take_all(*s.main, {&s.typed(0), &table});
        s.validator.destroyed(*s.main, &s.memory[0]);
    }
    std::vector<ClassOrigin> all(2 * FormerLocks::former_max);
    EXPECT_EQ(s.validator.typed_classes(all), FormerLocks::former_max);
}

TEST(Merging, OfOthersIsNoneOfItsBusiness) {
    Typed s;
    s.take_all(*s.main, {&s.lock(&s.memory[0]), &s.lock(&s.memory[8])});
    s.typed(16);
    EXPECT_EQ(s.classes().size(), 0u);
    const uint32_t unknown[] = {3, 4, 5};
    s.validator.merge_classes(unknown);
    EXPECT_EQ(s.kinds(), "");
}

}  // namespace
}  // namespace braidway::lockdep
