// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Explain, EveryKindOfTheSpecHasWords) {
    for (const char* kind :
         {"order", "recursive-read", "relock", "unlock-unheld", "destroy-held", "exit-held",
          "held-while-wait", "held-while-join", "signal", "hang", "held-while-sleep"}) {
        const KindWords* words = kind_words(kind);
        ASSERT_NE(words, nullptr) << kind;
        EXPECT_FALSE(words->hint.empty());
        Finding finding = made::order();
        finding.kind = kind;
        EXPECT_FALSE(explain(finding).empty()) << kind;
        EXPECT_NE(explain(finding), words->meaning) << kind << " has a sentence of its own";
    }
    EXPECT_EQ(kind_words("something"), nullptr);
}

TEST(Explain, AnOrderNamesBothLocksAndBothPlaces) {
    EXPECT_EQ(explain(made::order()),
              "account and journal are taken in opposite orders: take_1 (bank.c:11) wants journal "
              "while it holds account; take_0 (bank.c:21) wants account while it holds journal");
}

TEST(Explain, ALongerRingIsARing) {
    Finding finding = made::order();
    finding.locks.push_back(made::lock(2, "index"));
    finding.chains[1].wants = 2;
    finding.chains.push_back(made::chain(3, 2, 0, 30));
    finding.chains[2].holds_mode = "shared";
    EXPECT_THAT(explain(finding), AllOf(StartsWith("account, journal, index are taken in a ring: "),
                                        HasSubstr("while it holds index for read")));
}

TEST(Explain, ARecursiveReadNeedsAWriter) {
    Finding finding = made::order();
    finding.kind = "recursive-read";
    finding.chains = {made::chain(1, 0, 0, 10)};
    EXPECT_THAT(explain(finding), HasSubstr("a writer that comes in between"));
    const auto told = story(finding);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->columns, (std::vector<std::string>{"Thread 1", "A writer"}));
    ASSERT_EQ(told->steps.size(), 3u);
    EXPECT_EQ(told->steps[1].column, 1u);
    EXPECT_THAT(told->steps[2].text, HasSubstr("waits behind the writer"));
}

TEST(Explain, AHangSaysWhoWaitsNow) {
    Finding finding = made::order();
    finding.kind = "hang";
    finding.chains[0].thread_name = "teller";
    EXPECT_EQ(
        explain(finding),
        "threads wait for each other and will not go on: thread 1 \"teller\" holds account and "
        "waits for journal in take_1 (bank.c:11); thread 2 holds journal and waits for account "
        "in take_0 (bank.c:21)");
    EXPECT_THAT(story(finding)->end, HasSubstr("none goes on"));
}

TEST(Explain, AHangAtWhatNobodyLetsGoSaysWhoIsNotThere) {
    Finding finding = made::order();
    finding.kind = "hang";
    finding.remark = "the thread was lost at the fork";
    finding.chains[0].holds.reset();
    finding.chains[1].wants.reset();
    finding.chains[1].wants_stack.clear();
    finding.chains[1].holds = finding.chains[0].wants;
    EXPECT_EQ(explain(finding),
              "a thread waits and will not go on: thread 1 waits for journal in take_1 "
              "(bank.c:11); thread 2 has journal (taken in take_1 (bank.c:20)) and cannot let it "
              "go (the thread was lost at the fork)");
    EXPECT_EQ(story(finding)->end, "Who could let it go is not there.");
}

TEST(Explain, AHangWhereNobodyIsLeftToWakeSaysSo) {
    Finding finding = made::order();
    finding.kind = "hang";
    for (Chain& chain : finding.chains) chain.holds.reset();
    EXPECT_THAT(explain(finding), HasSubstr("the threads wait and will not go on: thread 1 waits"));
    EXPECT_EQ(story(finding)->end, "Nobody is left to wake any of them.");
    finding.chains.pop_back();
    EXPECT_THAT(explain(finding), HasSubstr("the thread waits and will not go on: thread 1 waits"));
}

TEST(Explain, AStrangersUnlockNamesTheHolder) {
    Finding finding = made::misuse("unlock-unheld");
    finding.chains.push_back(made::chain(2, 0, 0, 20));
    EXPECT_EQ(
        explain(finding),
        "account is unlocked in take_0 (bank.c:11) by thread 1, which does not hold it; thread "
        "2 does (taken in take_0 (bank.c:20))");
    EXPECT_FALSE(story(finding)) << "nobody waits";
}

TEST(Explain, WhoWouldWakeTheWaiterIsNamed) {
    Finding finding = made::order();
    finding.kind = "held-while-wait";
    finding.locks[1].type = "condition";
    // A ring may begin anywhere.
    std::swap(finding.chains[0], finding.chains[1]);
    EXPECT_EQ(
        explain(finding),
        "thread 1 waits on a condition in take_1 (bank.c:11) while it holds account (taken in "
        "take_0 (bank.c:10)), which thread 2 takes in take_0 (bank.c:21) and would wake it in "
        "take_1 (bank.c:20)");
    const auto told = story(finding);
    ASSERT_TRUE(told);
    ASSERT_EQ(told->steps.size(), 3u) << "a condition is not taken";
    EXPECT_EQ(told->steps[0].text, "takes account in take_0 (bank.c:10)");
    EXPECT_EQ(told->steps[1].text, "wants account in take_0 (bank.c:21): waits, and wakes nobody");
    EXPECT_EQ(told->steps[2].text, "waits in take_1 (bank.c:11) to be woken");
}

TEST(Explain, AJoinedThreadIsWaitedFor) {
    Finding finding = made::order();
    finding.kind = "held-while-join";
    finding.locks[1].type = "thread";
    EXPECT_THAT(explain(finding),
                AllOf(StartsWith("thread 1 waits in take_1 (bank.c:11) for a thread to end"),
                      HasSubstr("which thread 2 takes in take_0 (bank.c:21)")));
    EXPECT_EQ(story(finding)->steps.size(), 3u);
}

TEST(Explain, ARemarkStandsBehindTheSentence) {
    Finding finding = made::misuse("exit-held");
    finding.remark = "no writer was seen";
    EXPECT_THAT(explain(finding), testing::EndsWith(" (no writer was seen)"));
}

TEST(Explain, TheStoryTakesFirstAndWaitsThen) {
    const auto told = story(made::order());
    ASSERT_TRUE(told);
    ASSERT_EQ(told->steps.size(), 4u);
    EXPECT_EQ(told->steps[0].text, "takes account in take_0 (bank.c:10)");
    EXPECT_EQ(told->steps[1].column, 1u);
    EXPECT_EQ(told->steps[2].text, "wants journal in take_1 (bank.c:11): waits");
    EXPECT_EQ(told->end, "Each waits for what another one holds: none would go on.");
}

TEST(Explain, OneThreadThatWentBothWaysStandsForTwo) {
    Finding finding = made::order();
    finding.chains[1].thread = 1;
    const auto told = story(finding);
    EXPECT_EQ(told->columns, (std::vector<std::string>{"Thread A", "Thread B"}));
    EXPECT_THAT(told->end, HasSubstr("two threads may at once"));
}

TEST(Explain, AKindThatNobodyKnowsKeepsItsMessage) {
    Finding finding;
    finding.kind = "something";
    finding.message = "as the runtime said";
    EXPECT_EQ(explain(finding), "as the runtime said");
    EXPECT_FALSE(story(finding));
}

TEST(LockExplain, ARefusedRelockWaitsForNobody) {
    Finding finding = made::misuse("relock");
    EXPECT_THAT(explain(finding), HasSubstr("it waits for itself"));
    finding.remark = "it is refused, and nobody waits";
    EXPECT_THAT(explain(finding), Not(HasSubstr("waits for itself")));
    EXPECT_THAT(explain(finding), HasSubstr("(it is refused, and nobody waits)"));
}

/// Both orders, each with locks of its own.
Finding order_of_classes() {
    Finding finding = made::order();
    finding.locks = {made::lock(0, ""), made::lock(1, ""), made::lock(2, ""), made::lock(3, "")};
    for (Lock& lock : finding.locks) lock.lock_class = 5 + lock.index % 2;
    finding.chains = {made::chain(1, 0, 1, 10), made::chain(2, 3, 2, 20)};
    return finding;
}

TEST(LockExplain, ARingOfClassesNamesClasses) {
    Finding finding = order_of_classes();
    EXPECT_THAT(explain(finding), StartsWith("locks of the class of mutex A (static mutex at "));
    EXPECT_THAT(explain(finding), HasSubstr("and locks of the class of mutex B (static mutex at "));
    EXPECT_THAT(explain(finding), HasSubstr("are taken in opposite orders: "));
    // The same two objects each time.
    EXPECT_THAT(explain(made::order()),
                StartsWith("account and journal are taken in opposite orders: "));
    // Two objects of one class are what they are.
    finding = made::order();
    for (Lock& lock : finding.locks) lock.lock_class = 5;
    EXPECT_THAT(explain(finding), StartsWith("account and journal are taken in opposite orders: "));
}

TEST(LockExplain, WhatIsHeldBesidesIsNotInTheRing) {
    Finding finding = made::order();
    finding.locks.push_back(made::lock(2, "gate"));
    finding.chains[0].also_held = {2};
    EXPECT_EQ(explain(finding), explain(made::order()));
    EXPECT_EQ(finding.without_also_held().locks.size(), 2u);
    finding.chains[0].also_held = {0, 2};
    EXPECT_EQ(finding.without_also_held().locks.size(), 2u);
}

}  // namespace
}  // namespace braidway::lockcheck
