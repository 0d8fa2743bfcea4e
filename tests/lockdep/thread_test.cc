// SPDX-License-Identifier: Apache-2.0
// The short way: which acquisitions need no look, and which must be looked at again.
#include "lockdep/thread.h"

#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

constexpr uintptr_t some_site = 1;

/// Some locks, and questions about the short way to them.
class ShortWay : public testing::Test, public Scripted {
  protected:
    Lock& a = lock(&memory[0]);
    Lock& b = lock(&memory[64]);
    Lock& c = lock(&memory[128]);

    /// Without looking further than at what was used last.
    static bool is_hot(const Thread& thread, const Lock& lock, Access access = to_write,
                       uintptr_t site = some_site) {
        return thread.hot_step(lock.address.load(), access, site) != nullptr;
    }
    static bool is_known(Thread& thread, const Lock& lock, Access access = to_write,
                         uintptr_t site = some_site) {
        const KnownStep* const step = thread.known_step(lock.address.load(), access, site);
        if (step == nullptr) return false;
        EXPECT_EQ(step->pending.lock, &lock);
        EXPECT_EQ(step->pending.id, lock.id.load());
        EXPECT_EQ(step->pending.site, site);
        EXPECT_TRUE(step->pending.access == access);
        EXPECT_TRUE(is_hot(thread, lock, access, site)) << "from here on";
        return true;
    }
};

TEST_F(ShortWay, IsThereOnceAStepWasLookedAt) {
    EXPECT_FALSE(is_known(*main, a));
    take_all(*main, {&a});
    EXPECT_FALSE(is_hot(*main, a)) << "it was taken once";
    EXPECT_TRUE(is_known(*main, a));
    EXPECT_FALSE(is_known(*main, a, to_try));
    EXPECT_FALSE(is_known(*main, a, to_write, some_site + 1));
    EXPECT_FALSE(is_known(*main, b));
    Thread& other = *validator.thread_started(1);
    EXPECT_FALSE(is_known(other, a)) << "each thread has its own";
}

TEST_F(ShortWay, IsForTheSameLocksHeldInTheSameOrder) {
    take_all(*main, {&a, &b, &c});
    EXPECT_FALSE(is_known(*main, c)) << "with nothing held";
    take(*main, a);
    EXPECT_FALSE(is_known(*main, c));
    take(*main, b);
    EXPECT_TRUE(is_known(*main, c));
    give(*main, b);
    give(*main, a);
    take(*main, b);
    EXPECT_FALSE(is_known(*main, c));
    take(*main, a, to_try);
    EXPECT_FALSE(is_known(*main, c)) << "the other way round, and by a try";
}

TEST_F(ShortWay, DependsOnHowAndWhereTheHeldOnesWereTaken) {
    Lock& r = lock(&memory[256], a_fair_rwlock);
    take(*main, r, to_read);
    take(*main, a);
    give(*main, a);
    give(*main, r);
    take(*main, r, to_write);
    EXPECT_FALSE(is_known(*main, a));
    give(*main, r);
    take(*main, r, to_read, some_site + 1);
    EXPECT_FALSE(is_known(*main, a));
    give(*main, r);
    take(*main, r, to_read);
    EXPECT_TRUE(is_known(*main, a));
}

TEST_F(ShortWay, AKeyComesBackWithWhatIsHeldAndTheHotStepIsOfOneKey) {
    for (int round = 0; round < 3; ++round) {
        take(*main, a);
        EXPECT_EQ(is_hot(*main, b), round > 1) << round;
        take(*main, b);
        give(*main, b);
        give(*main, a);
    }
    take(*main, a);
    EXPECT_TRUE(is_hot(*main, b));
    give(*main, a);
    EXPECT_FALSE(is_hot(*main, b)) << "with nothing held it is another step";
    take(*main, b);
    give(*main, b);
    EXPECT_TRUE(is_known(*main, b));
    take(*main, a);
    EXPECT_FALSE(is_hot(*main, b)) << "there is one hot step of a lock";
    EXPECT_TRUE(is_known(*main, b));
}

TEST_F(ShortWay, AfterReleaseInAnotherOrderIsThatOfWhatIsLeft) {
    take(*main, b);
    take(*main, c);
    EXPECT_FALSE(is_known(*main, a));
    Lock& d = lock(&memory[256]);
    take_all(*main, {&d});
    give(*main, c);
    give(*main, b);
    take(*main, a);
    take(*main, b);
    take(*main, c);
    EXPECT_FALSE(is_known(*main, d));
    EXPECT_TRUE(give(*main, a));
    EXPECT_TRUE(is_known(*main, d)) << "as if the first had never been taken";
    EXPECT_TRUE(give(*main, b));
    EXPECT_FALSE(is_known(*main, d));
    EXPECT_TRUE(give(*main, c));
    EXPECT_FALSE(is_known(*main, d));
    take(*main, b);
    take(*main, c);
    EXPECT_TRUE(is_known(*main, d)) << "nothing is left of the other order";
}

TEST_F(ShortWay, AfterReleaseInAnotherOrderTheRestLeadsBackToNothing) {
    Lock& d = lock(&memory[256]);
    take_all(*main, {&d});
    take_all(*main, {&b, &d});
    take(*main, a);
    take(*main, b);
    take(*main, c);
    EXPECT_TRUE(give(*main, a));
    EXPECT_TRUE(give(*main, c));
    EXPECT_TRUE(is_known(*main, d)) << "with one held";
    EXPECT_TRUE(give(*main, b));
    EXPECT_TRUE(is_known(*main, d)) << "with nothing held";
}

TEST_F(ShortWay, AfterAConversionIsThatOfTheNewHold) {
    Lock& r = lock(&memory[256], a_fair_rwlock);
    take(*main, r);
    take_all(*main, {&a});
    validator.converted(*main, r.address.load(), Hold::shared);
    EXPECT_FALSE(is_known(*main, a));
    give(*main, r);
    take(*main, r);
    EXPECT_TRUE(is_known(*main, a));
}

TEST_F(ShortWay, AfterAReportIsTakenAndNothingIsReportedAgain) {
    // These have no slot of the small cache in common.
    take_all(*main, {&a, &c});
    for (int round = 0; round < 3; ++round) {
        take(*main, c);
        EXPECT_EQ(is_known(*main, a), round > 0);
        take(*main, a);
        EXPECT_EQ(kinds(), "order") << round;
        give(*main, a);
        give(*main, c);
    }
}

TEST_F(ShortWay, AfterAMergeOfClassesTheWaysThatWereTakenStillCount) {
    const Making typed{.typed = true};
    Lock& one = *validator.enlist(*main, &memory[512], 8, a_mutex, typed);
    Lock& two = *validator.enlist(*main, &memory[576], 8, a_mutex, typed);
    take_all(*main, {&one, &c});
    take_all(*main, {&two});
    take_all(*main, {&a, &two});
    std::vector<ClassOrigin> classes(8);
    classes.resize(validator.typed_classes(classes));
    ASSERT_EQ(classes.size(), 2u);
    const uint32_t ids[] = {classes[0].class_id, classes[1].class_id};
    validator.merge_classes(ids);
    take(*main, one);
    EXPECT_TRUE(is_known(*main, c)) << "by the short way it comes to no validator";
    take(*main, c);
    give(*main, c);
    give(*main, one);
    EXPECT_EQ(kinds(), "");
    take_all(*main, {&c, &two});
    EXPECT_EQ(kinds(), "order") << "opposite to what the other one was taken by";
}

TEST_F(ShortWay, EndsWithTheLock) {
    take_all(*main, {&a});
    EXPECT_TRUE(is_known(*main, a));
    validator.destroyed(*main, &memory[0]);
    EXPECT_EQ(main->known_step(&memory[0], to_write, some_site), nullptr);
    Lock& next = lock(&memory[0]);
    EXPECT_FALSE(is_known(*main, next)) << "another one at the same place";
    EXPECT_FALSE(is_hot(*main, next));
    take_all(*main, {&next});
    EXPECT_TRUE(is_known(*main, next));
}

TEST_F(ShortWay, EndsWithTheThread) {
    Thread* const other = validator.thread_started(1);
    take_all(*other, {&a});
    EXPECT_TRUE(is_known(*other, a));
    validator.thread_ended(*other, false);
    Thread* const next = validator.thread_started(1);
    ASSERT_EQ(next, other) << "or this shows nothing";
    EXPECT_FALSE(is_known(*next, a));
}

TEST_F(ShortWay, IsForgottenWhenASignalCanComeThatCouldNot) {
    validator.signals_handled(1);
    validator.signals_blocked(*main, 1);
    take_all(*main, {&a});
    EXPECT_TRUE(is_known(*main, a));
    validator.signals_blocked(*main, 0);
    EXPECT_FALSE(is_known(*main, a));
}

TEST_F(ShortWay, LeadsToMoreLocksThanAreHot) {
    constexpr size_t locks = 200, apart_bytes = 8;
    for (int round = 0; round < 2; ++round)
        for (size_t i = 0; i < locks; ++i) take_all(*main, {&lock(&memory[i * apart_bytes])});
    size_t known = 0;
    for (size_t i = 0; i < locks; ++i)
        if (is_known(*main, lock(&memory[i * apart_bytes]))) ++known;
    EXPECT_GT(known, locks * 3 / 4);
}

TEST_F(ShortWay, IsNotTakenWhereThereIsNoRoomToHoldMore) {
    std::vector<char> objects(4096);
    for (char& object : objects) lock(&object);
    world.bytes_max = world.given_bytes;
    Pending pending;
    for (char& object : objects) {
        validator.wants(*main, lock(&object), to_write, some_site, pending);
        if (pending.lock == nullptr) break;
        main->acquired(pending);
    }
    ASSERT_EQ(pending.lock, nullptr) << "there was memory enough";
    const uint32_t held = main->held_count();
    EXPECT_EQ(held, main->held_room());
    EXPECT_EQ(main->known_step(&objects[held], to_write, some_site), nullptr);
    main->acquired(pending);
    EXPECT_EQ(main->held_count(), held);
}

TEST_F(ShortWay, GivesBackTheLastOneOnly) {
    EXPECT_FALSE(main->release_last(&memory[0])) << "nothing is held";
    take(*main, a);
    take(*main, b);
    EXPECT_FALSE(main->release_last(&memory[0]));
    EXPECT_TRUE(main->release_last(&memory[64]));
    EXPECT_EQ(main->held_count(), 1u);
    EXPECT_TRUE(main->release_last(&memory[0]));
    EXPECT_EQ(main->held_count(), 0u);
}

}  // namespace
}  // namespace braidway::lockdep
