// SPDX-License-Identifier: Apache-2.0
#include "explore/runner.h"

#include <gtest/gtest.h>

#include "braidway/explore/policy.h"

namespace braidway::explore {
namespace {

void two_increments(World& world) {
    auto& word = world.share<Atomic<int>>("word", 0);
    for (const char* name : {"a", "b"}) {
        world.thread(name, [&word] {
            const int before = word.load();
            word.store(before + 1 + static_cast<int>(choose(2)));
        });
    }
    world.finally([&word] { check(word.load() >= 2, "both have counted"); });
}

const std::function<void(World&)> setup = two_increments;

TEST(Runner, GoesOnByItselfAfterTheLastDecision) {
    Runner runner({}, setup);
    const Outcome outcome = runner.run_once({{1, 0}}, false);
    EXPECT_EQ(outcome.finding, Finding::nothing);
    EXPECT_EQ(outcome.decisions, (Decisions{{1, 0}, {1, 0}, {1, 0}, {0, 0}, {0, 0}, {0, 0}}));
    EXPECT_EQ(outcome.steps, 6u);
}

TEST(Runner, RunsTheSameFailureAgainWithItsTrace) {
    Runner runner({}, setup);
    const Outcome outcome = runner.run_once({{0, 0}, {1, 0}}, true);
    EXPECT_EQ(outcome.finding, Finding::failed_check);
    EXPECT_EQ(outcome.message, "both have counted");
    const Outcome again = runner.run_once(outcome.decisions, true);
    EXPECT_EQ(again.finding, Finding::failed_check);
    EXPECT_EQ(again.decisions, outcome.decisions);
    EXPECT_EQ(again.trace.steps.size(), outcome.trace.steps.size());
}

TEST(Runner, NamesTheFirstDecisionThatDoesNotFit) {
    Runner runner({}, setup);
    EXPECT_EQ(runner.run_once({{0, 0}, {7, 0}}, false).misfit, 1);
    EXPECT_EQ(runner.run_once({{0, 0}, {0, 9}}, false).misfit, 1);
    EXPECT_EQ(runner.run_once({{0, 1}, {0, 1}}, false).misfit, -1) << "no choice there: ignored";
}

TEST(Runner, IsWhatReplayDoes) {
    const Verdict verdict = explore({}, setup);
    ASSERT_EQ(verdict.finding, Finding::failed_check);
    Options options;
    options.method = Method::replay;
    options.replay = verdict.replay;
    const Verdict replayed = explore(options, setup);
    EXPECT_EQ(replayed.finding, Finding::failed_check);
    EXPECT_EQ(replayed.message, "both have counted");
    options.replay = "b1:ac";
    EXPECT_EQ(explore(options, setup).message,
              "the replay does not fit the program: its step 2 cannot be taken");
    options.replay = "b1:a!";
    EXPECT_EQ(explore(options, setup).message,
              "the replay is not one: no letter of a thread at position 5");
}

}  // namespace
}  // namespace braidway::explore
