// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "braidway/explore/explorer.h"

namespace braidway::explore {
namespace {

TEST(Summary, OfACleanVerdictSaysHowMuchWasLookedAt) {
    Verdict verdict;
    verdict.executions = 123;
    verdict.coverage = Coverage::exhaustive;
    EXPECT_EQ(verdict.summary(), "clean (exhaustive): 123 executions");
    verdict.coverage = Coverage::bounded;
    EXPECT_EQ(verdict.summary(), "clean (bounded): 123 executions");
    verdict.coverage = Coverage::sampled;
    verdict.executions = 1;
    EXPECT_EQ(verdict.summary(), "clean (sampled): 1 execution");
}

TEST(Summary, OfAFailureSaysWhichAndWhen) {
    Verdict verdict;
    verdict.finding = Finding::deadlock;
    verdict.executions = 7;
    EXPECT_EQ(verdict.summary(), "DEADLOCK after 7 executions (sampled)");
    verdict.finding = Finding::failed_check;
    verdict.first_failure = 1;
    EXPECT_EQ(verdict.summary(), "FAILED CHECK after 1 execution (sampled)");
    verdict.finding = Finding::livelock;
    EXPECT_EQ(verdict.summary(), "LIVELOCK after 1 execution (sampled)");
    verdict.finding = Finding::endless;
    EXPECT_EQ(verdict.summary(), "ENDLESS after 1 execution (sampled)");
}

TEST(Summary, CountsTheFailuresOfAnExplorationThatWentOn) {
    Verdict verdict;
    verdict.finding = Finding::deadlock;
    verdict.coverage = Coverage::exhaustive;
    verdict.executions = 100;
    verdict.failures = 3;
    verdict.first_failure = 7;
    EXPECT_EQ(verdict.summary(), "DEADLOCK in 3 of 100 executions, first in number 7 (exhaustive)");
}

}  // namespace
}  // namespace braidway::explore
