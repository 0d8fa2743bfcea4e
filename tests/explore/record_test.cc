// SPDX-License-Identifier: Apache-2.0
// What stands in a trace.
#include <gtest/gtest.h>

#include <vector>

#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"
#include "explore/runner.h"

namespace braidway::explore {
namespace {

using Mutex = sync::BasicMutex<Policy>;

std::vector<StepKind> kinds_of(const Trace& trace, unsigned thread) {
    std::vector<StepKind> kinds;
    for (const Step& step : trace.steps) {
        if (step.thread == thread) kinds.push_back(step.kind);
    }
    return kinds;
}

TEST(Record, TellsEachStepOfAThread) {
    const std::function<void(World&)> setup = [](World& world) {
        auto& word = world.share<Policy::FutexWord>("word", 5u);
        world.thread("thread", [&word] {
            note("hello");
            uint32_t expected = 4;
            word.compare_exchange_strong(expected, 9);
            word.fetch_add(2);
            Policy::futex_wait(word, 5, sync::FutexScope::process_private);
            Policy::futex_wake(&word, 1, sync::FutexScope::process_private);
        });
    };
    Runner runner({}, setup);
    const Trace trace = runner.run_once({}, true).trace;
    EXPECT_EQ(trace.threads, std::vector<std::string>{"thread"});
    EXPECT_EQ(
        kinds_of(trace, 0),
        (std::vector{StepKind::start, StepKind::note, StepKind::failed_cas, StepKind::exchange,
                     StepKind::futex_sleep, StepKind::futex_wake, StepKind::end}));
    ASSERT_EQ(trace.steps.size(), 7u);
    EXPECT_EQ(trace.steps[1].note, "hello");
    EXPECT_EQ(trace.steps[2].before, 5u);
    EXPECT_EQ(trace.steps[3].before, 5u);
    EXPECT_EQ(trace.steps[3].after, 7u);
    EXPECT_EQ(trace.steps[3].address, trace.objects.at(0).begin);
    EXPECT_EQ(trace.steps[4].outcome, sync::FutexOutcome::changed);
    EXPECT_EQ(trace.steps[5].after, 0u) << "woke nobody";
}

TEST(Record, TellsWhoHoldsAndWhoWantsALock) {
    const Verdict verdict = explore({}, [](World& world) {
        auto& first = world.share<Mutex>("first");
        auto& second = world.share<Mutex>("second");
        world.thread("a", [&] {
            first.lock();
            second.lock();
            second.unlock();
            first.unlock();
        });
        world.thread("b", [&] {
            second.lock();
            first.lock();
            first.unlock();
            second.unlock();
        });
    });
    ASSERT_EQ(verdict.finding, Finding::deadlock);
    ASSERT_EQ(verdict.trace.states.size(), 2u);
    for (const ThreadState& state : verdict.trace.states) {
        EXPECT_EQ(state.at, ThreadState::At::asleep);
        ASSERT_EQ(state.holds.size(), 1u);
        ASSERT_EQ(state.wants.size(), 1u);
        EXPECT_NE(state.holds[0].lock, state.wants[0].lock);
        EXPECT_EQ(state.holds[0].mode, sync::LockMode::exclusive);
    }
    EXPECT_EQ(verdict.trace.states[0].holds[0].lock, verdict.trace.states[1].wants[0].lock);
}

}  // namespace
}  // namespace braidway::explore
