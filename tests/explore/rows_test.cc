// SPDX-License-Identifier: Apache-2.0
#include "explore/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "explore/traces.h"

namespace braidway::explore {
namespace {

using made::step;
using testing::ElementsAre;

std::vector<std::string> words(const std::vector<Row>& rows) {
    std::vector<std::string> all;
    for (const Row& row : rows) all.push_back(row.words);
    return all;
}

TEST(Rows, AreTheStepsInDetail) {
    const Verdict verdict = made::recursive_read();
    const std::vector<Row> rows = rows_of(verdict.trace, {});
    ASSERT_EQ(rows.size(), verdict.trace.steps.size());
    EXPECT_EQ(rows[4].words, "lock: compare-exchange fails, it is 256");
    EXPECT_EQ(rows[4].thread, 1U);
    EXPECT_EQ(rows[4].step, 4U);
}

TEST(Rows, FoldTheStepsInsideALockThatTells) {
    const std::vector<Row> rows = rows_of(made::recursive_read().trace, {.detail = false});
    EXPECT_THAT(words(rows),
                ElementsAre("starts", "lock: exchange 0 -> 256", "acquires lock (shared)", "starts",
                            "lock: compare-exchange fails, it is 256", "wants lock (exclusive)",
                            "... 2 steps", "lock+4: sleeps while 2", "lock: load 258",
                            "wants lock (shared)", "lock+4: sleeps while 2"))
        << "one step is as long as the word that it was folded";
}

TEST(Rows, FoldNothingOfAWordThatIsNoLock) {
    Trace trace = made::recursive_read().trace;
    trace.steps.push_back(step(0, StepKind::load, made::memory.data() + 8));
    trace.steps.push_back(step(0, StepKind::load, made::memory.data() + 8));
    const std::vector<Row> rows = rows_of(trace, {.detail = false});
    EXPECT_EQ(rows.size(), 13U);
}

TEST(Rows, SayWhoWokeASleeper) {
    Trace trace;
    trace.threads = {"one", "two"};
    trace.objects = {{"lock", made::memory.data(), 4}};
    const void* const word = made::memory.data();
    trace.steps = {step(1, StepKind::futex_wake, word, 0, 1),
                   made::futex_return(0, word, sync::FutexOutcome::woken),
                   made::futex_return(0, word, sync::FutexOutcome::woken)};
    const std::vector<Row> rows = rows_of(trace, {});
    EXPECT_THAT(words(rows),
                ElementsAre("lock: wakes 1", "lock: woken by two", "lock: wakes up for no reason"));
    EXPECT_EQ(rows[1].waker, 0U);
}

TEST(Rows, OfALongTraceLeaveTheMiddleOutAndSayHowMuch) {
    const std::vector<Row> rows = rows_of(made::long_trace(3, 10'000), {.rows_max = 100});
    ASSERT_EQ(rows.size(), 100U);
    EXPECT_EQ(rows[25].kind, Row::Kind::left_out);
    EXPECT_EQ(rows[25].words, "... 9901 steps");
    EXPECT_EQ(rows[24].step, 24U);
    EXPECT_EQ(rows[26].step, 9926U);
    EXPECT_EQ(rows.back().step, 9999U);
}

TEST(Rows, AreAtLeastFour) {
    EXPECT_EQ(rows_of(made::long_trace(1, 10), {.rows_max = 0}).size(), 4U);
    EXPECT_TRUE(rows_of(Trace{}, {}).empty());
}

}  // namespace
}  // namespace braidway::explore
