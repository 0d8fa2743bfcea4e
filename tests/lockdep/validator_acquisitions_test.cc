// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "lockdep/scripted.h"

namespace braidway::lockdep {
namespace {

TEST(Relock, OfAMutexIsReportedBeforeItBlocks) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    s.take(*s.main, a, to_write, 11);
    s.want(*s.main, a, to_write, 12);
    ASSERT_EQ(s.kinds(), "relock");
    const Finding& finding = s.world.findings[0];
    ASSERT_EQ(finding.chain_count, 1u);
    EXPECT_EQ(finding.chains[0].thread, s.main->number());
    EXPECT_EQ(finding.chains[0].holds, &a);
    EXPECT_EQ(finding.chains[0].wants, &a);
}

TEST(Relock, OfARecursiveMutexIsFineAndEveryTakeIsGivenBack) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0], a_recursive_mutex);
    s.take(*s.main, a);
    s.take(*s.main, a);
    EXPECT_EQ(s.main->held_count(), 2u);
    EXPECT_TRUE(s.give(*s.main, a));
    EXPECT_TRUE(s.give(*s.main, a));
    EXPECT_FALSE(s.give(*s.main, a));
    EXPECT_EQ(s.kinds(), "unlock-unheld");
}

TEST(Relock, OfARecursiveMutexAddsNoStep) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0], a_recursive_mutex);
    Lock& b = s.lock(&s.memory[8]);
    s.take_all(*s.main, {&a, &b, &a});
    EXPECT_EQ(s.kinds(), "");
}

TEST(Relock, ByATryIsNoFinding) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& r = s.lock(&s.memory[8], a_fair_rwlock);
    s.take(*s.main, a);
    s.want(*s.main, a, to_try);
    s.take(*s.main, r, to_read);
    s.want(*s.main, r, to_try);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Relock, OfAnErrorCheckingMutexIsANoteSinceItIsRefused) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0], {.error_checking = true});
    s.take(*s.main, a);
    s.want(*s.main, a, to_write, 5);
    s.want(*s.main, a, to_write, 5);
    EXPECT_EQ(s.kinds(), "");
    ASSERT_EQ(s.world.notes.size(), 1u);
    EXPECT_EQ(s.world.notes[0].kind, FindingKind::relock);
}

TEST(Relock, ReadAndWriteOfOneRwlockMixedIsOneForBothKinds) {
    for (const LockTraits traits : {a_fair_rwlock, an_unfair_rwlock}) {
        Scripted s;
        Lock& r = s.lock(&s.memory[0], traits);
        s.take(*s.main, r, to_read);
        s.want(*s.main, r, to_write, 3);
        s.give(*s.main, r);
        s.take(*s.main, r, to_write);
        s.want(*s.main, r, to_read, 4);
        s.want(*s.main, r, to_write, 5);
        EXPECT_EQ(s.kinds(), "relock relock relock");
    }
}

TEST(RecursiveRead, OfAReaderPreferringLockIsFine) {
    Scripted s;
    Lock& r = s.lock(&s.memory[0], an_unfair_rwlock);
    s.take(*s.main, r);
    s.give(*s.main, r);
    s.take(*s.main, r, to_read);
    s.take(*s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "");
}

TEST(RecursiveRead, WithoutAWriterIsOneNote) {
    Scripted s;
    Lock& r = s.lock(&s.memory[0], a_fair_rwlock);
    for (int i = 0; i < 2; ++i) {
        s.take(*s.main, r, to_read);
        s.take(*s.main, r, to_read);
        s.give(*s.main, r);
        s.give(*s.main, r);
    }
    EXPECT_EQ(s.kinds(), "");
    ASSERT_EQ(s.world.notes.size(), 1u);
    EXPECT_EQ(s.world.notes[0].kind, FindingKind::recursive_read);
    EXPECT_STREQ(s.world.notes[0].remark, "no writer was seen");
}

TEST(RecursiveRead, IsReportedWhenAWriterWasSeenBeforeOrAfter) {
    for (const bool writer_first : {true, false}) {
        Scripted s;
        Lock& r = s.lock(&s.memory[0], a_fair_rwlock);
        if (writer_first) s.take_all(*s.main, {&r});
        s.take(*s.main, r, to_read, 1);
        s.take(*s.main, r, to_read, 2);
        s.give(*s.main, r);
        s.give(*s.main, r);
        if (!writer_first) s.take_all(*s.main, {&r});
        EXPECT_EQ(s.kinds(), "recursive-read");
        EXPECT_EQ(s.world.notes.size(), writer_first ? 0u : 1u);
    }
}

TEST(RecursiveRead, TheWriterMayHaveWrittenAnotherLockOfTheClass) {
    Scripted s;
    Lock& r1 = s.lock(&s.memory[0], a_fair_rwlock, 77);
    Lock& r2 = s.lock(&s.memory[8], a_fair_rwlock, 77);
    s.take_all(*s.main, {&r1});
    s.take(*s.main, r2, to_read);
    s.take(*s.main, r2, to_read);
    EXPECT_EQ(s.kinds(), "recursive-read");
}

TEST(RecursiveRead, IsNoneWhereOneGateKeepsTheWriterOut) {
    Scripted s;
    Lock& gate = s.lock(&s.memory[0]);
    Lock& r = s.lock(&s.memory[8], a_fair_rwlock);
    s.take_all(*s.main, {&gate, &r});
    s.take(*s.main, gate);
    s.take(*s.main, r, to_read);
    s.take(*s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "");
}

TEST(RecursiveRead, IsReportedWithoutAnyWriterWhenWritersAreAssumed) {
    Scripted s;
    s.validator.assume_writers(true);
    Lock& r = s.lock(&s.memory[0], a_fair_rwlock);
    s.take(*s.main, r, to_read);
    s.take(*s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "recursive-read");
}

TEST(Release, OutOfOrderKeepsTheOthersAndTheirChains) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Lock& c = s.lock(&s.memory[16]);
    s.take(*s.main, a);
    s.take(*s.main, b);
    s.take(*s.main, c);
    EXPECT_TRUE(s.give(*s.main, a));
    EXPECT_EQ(s.main->held_count(), 2u);
    EXPECT_EQ(s.main->held(0).lock.load(), &b);
    EXPECT_TRUE(s.give(*s.main, c));
    s.want(*s.main, a);
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Release, ByAStrangerIsReportedAndTheHolderHoldsItNoMore) {
    Scripted s;
    Lock& a = s.lock(&s.memory[0]);
    Lock& b = s.lock(&s.memory[8]);
    Thread& other = *s.validator.thread_started(1);
    s.take(*s.main, a);
    EXPECT_FALSE(s.give(other, a));
    ASSERT_EQ(s.kinds(), "unlock-unheld");
    EXPECT_EQ(s.world.findings[0].chains[0].thread, other.number());
    EXPECT_EQ(s.world.findings[0].chains[0].wants, nullptr);
    s.take_all(*s.main, {&b});
    s.take_all(other, {&b, &a});
    s.validator.thread_ended(*s.main, false);
    EXPECT_EQ(s.kinds(), "unlock-unheld");
}

TEST(Release, OfALockThatNobodyKnowsSaysNothing) {
    Scripted s;
    EXPECT_FALSE(s.validator.released(*s.main, &s.memory[0], 1));
    EXPECT_EQ(s.kinds(), "");
}

TEST(Conversion, FromReadToWriteBlocksReaders) {
    Scripted s;
    Lock& r = s.lock(&s.memory[0], an_unfair_rwlock);
    Lock& a = s.lock(&s.memory[8]);
    s.take(*s.main, r, to_read);
    s.validator.converted(*s.main, &s.memory[0], Hold::exclusive);
    s.take(*s.main, a);
    s.give(*s.main, a);
    s.give(*s.main, r);
    s.take(*s.main, a);
    s.take(*s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "order");
}

TEST(Conversion, FromWriteToReadLetsReadersIn) {
    Scripted s;
    Lock& r = s.lock(&s.memory[0], an_unfair_rwlock);
    Lock& a = s.lock(&s.memory[8]);
    s.take(*s.main, r);
    s.validator.converted(*s.main, &s.memory[0], Hold::shared);
    s.take(*s.main, a);
    s.give(*s.main, a);
    s.give(*s.main, r);
    s.take(*s.main, a);
    s.take(*s.main, r, to_read);
    EXPECT_EQ(s.kinds(), "");
}

TEST(Holding, AThousandLocksAtOnceAndGivingThemBackInAnyOrder) {
    Scripted s;
    std::vector<char> objects(1000);
    for (char& object : objects) s.take(*s.main, s.lock(&object, a_mutex, 9));
    EXPECT_EQ(s.main->held_count(), 1000u);
    for (size_t at = 0; at < objects.size(); at += 2)
        EXPECT_TRUE(s.give(*s.main, s.lock(&objects[at])));
    for (size_t at = 1; at < objects.size(); at += 2)
        EXPECT_TRUE(s.give(*s.main, s.lock(&objects[at])));
    EXPECT_EQ(s.main->held_count(), 0u);
    EXPECT_EQ(s.kinds(), "");
}

}  // namespace
}  // namespace braidway::lockdep
