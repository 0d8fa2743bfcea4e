// SPDX-License-Identifier: Apache-2.0
#include "explore/waiting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "explore/traces.h"

namespace braidway::explore {
namespace {

using made::lock_step;
using sync::LockEvent;
using sync::LockMode;
using testing::ElementsAre;
using At = ThreadState::At;

const void* const lock_a = made::memory.data();
const void* const lock_b = made::memory.data() + 4;

Trace of(std::vector<std::string> threads, std::vector<ThreadState> states,
         std::vector<Step> steps = {}) {
    Trace trace;
    trace.threads = std::move(threads);
    trace.objects = {{"a", lock_a, 16}, {"b", lock_b, 16}};
    trace.states = std::move(states);
    trace.steps = std::move(steps);
    return trace;
}

std::vector<std::string> words(const Trace& trace) {
    std::vector<std::string> all;
    for (const Waiting& each : waitings(trace)) all.push_back(waiting_words(trace, each));
    return all;
}

TEST(Waitings, OfTheRecursiveReadAreARing) {
    const Trace trace = made::recursive_read().trace;
    EXPECT_THAT(words(trace), ElementsAre("reader waits behind writer for lock (shared)",
                                          "writer waits for reader, which holds lock (shared)"));
    EXPECT_THAT(ring_of(waitings(trace)), ElementsAre(0U, 1U));
}

TEST(Waitings, OfTwoLocksTakenCrosswiseAreARing) {
    const Trace trace =
        of({"one", "two"},
           {{At::asleep, lock_b, {{lock_a, LockMode::exclusive}}, {{lock_b, LockMode::exclusive}}},
            {At::asleep, lock_a, {{lock_b, LockMode::exclusive}}, {{lock_a, LockMode::shared}}}});
    EXPECT_THAT(words(trace), ElementsAre("one waits for two, which holds b (exclusive)",
                                          "two waits for one, which holds a (exclusive)"));
    EXPECT_THAT(ring_of(waitings(trace)), ElementsAre(0U, 1U));
}

TEST(Waitings, OfAMutexTakenTwiceAreForOneself) {
    const Trace trace = of(
        {"one"},
        {{At::asleep, lock_a, {{lock_a, LockMode::exclusive}}, {{lock_a, LockMode::exclusive}}}});
    EXPECT_THAT(words(trace), ElementsAre("one waits for itself, which holds a (exclusive)"));
    EXPECT_THAT(ring_of(waitings(trace)), ElementsAre(0U));
}

TEST(Waitings, OfAnUpgradeAreForTheOtherReaders) {
    const Trace trace =
        of({"up", "reader"},
           {{At::asleep, lock_a, {{lock_a, LockMode::upgrade}}, {{lock_a, LockMode::exclusive}}},
            {At::runnable, nullptr, {{lock_a, LockMode::shared}}, {}}});
    EXPECT_THAT(words(trace), ElementsAre("up waits for reader, which holds a (shared)"));
    EXPECT_TRUE(ring_of(waitings(trace)).empty());
}

TEST(Waitings, ForALockThatNobodyHoldsAreALostWakeUp) {
    const Trace trace = of({"one", "two"}, {{At::asleep, lock_a, {}, {{lock_a, LockMode::shared}}},
                                            {At::done, nullptr, {}, {}}});
    EXPECT_THAT(
        words(trace),
        ElementsAre("one waits for a (shared), which is free for it: its wake-up was lost"));
}

TEST(Waitings, BehindTheFirstWhoMissedItsWakeUpSaySo) {
    const Trace trace = of({"one", "two"},
                           {{At::asleep, lock_a, {}, {{lock_a, LockMode::exclusive}}},
                            {At::spinning, lock_a, {}, {{lock_a, LockMode::exclusive}}}},
                           {lock_step(1, LockEvent::wanted, LockMode::exclusive),
                            lock_step(0, LockEvent::wanted, LockMode::exclusive)});
    EXPECT_THAT(words(trace), ElementsAre("one waits behind two for a (exclusive)",
                                          "two waits for a (exclusive), which is free for it"));
    EXPECT_TRUE(ring_of(waitings(trace)).empty());
}

TEST(Waitings, ForTheDeadSayThatTheyAre) {
    const Trace trace =
        of({"one", "two", "three"}, {{At::asleep, lock_a, {}, {{lock_a, LockMode::exclusive}}},
                                     {At::killed, nullptr, {{lock_a, LockMode::shared}}, {}},
                                     {At::done, nullptr, {{lock_a, LockMode::shared}}, {}}});
    EXPECT_THAT(words(trace),
                ElementsAre("one waits for two, which holds a (shared) and was killed",
                            "one waits for three, which holds a (shared) and has ended"));
}

TEST(Waitings, OnAPlainWordNameIt) {
    const Trace trace = of({"one", "two"}, {{At::asleep, made::memory.data() + 1, {}, {}},
                                            {At::spinning, lock_b, {}, {}}});
    EXPECT_THAT(words(trace), ElementsAre("one is asleep on a+4, and nobody is left to wake it",
                                          "two is spinning on b, and nobody is left to write it"));
}

TEST(Waitings, OfReadersThatShareAreNone) {
    const Trace trace =
        of({"one", "two"}, {{At::done, nullptr, {{lock_a, LockMode::shared}}, {}},
                            {At::runnable, nullptr, {{lock_a, LockMode::shared}}, {}}});
    EXPECT_TRUE(waitings(trace).empty());
}

TEST(Ring, LeavesOutWhoOnlyLeadsIntoIt) {
    const std::vector<Waiting> found{{.thread = 0, .why = Waiting::Why::held, .blocker = 1},
                                     {.thread = 1, .why = Waiting::Why::held, .blocker = 2},
                                     {.thread = 2, .why = Waiting::Why::queued, .blocker = 1}};
    EXPECT_THAT(ring_of(found), ElementsAre(1U, 2U));
}

TEST(Wakers, AreTheEarliestWakesOfTheWord) {
    using made::futex_return;
    using made::step;
    using sync::FutexOutcome;
    Trace trace;
    trace.steps = {step(0, StepKind::futex_wake, lock_a, 0, 0),
                   step(0, StepKind::futex_wake, lock_a, 0, 2),
                   step(0, StepKind::futex_wake, lock_b, 0, 1),
                   step(3, StepKind::futex_wake, lock_a, 0, 1),
                   futex_return(1, lock_a, FutexOutcome::woken),
                   futex_return(1, lock_b, FutexOutcome::timed_out),
                   futex_return(1, lock_b, FutexOutcome::woken),
                   futex_return(2, lock_a, FutexOutcome::woken),
                   futex_return(1, lock_a, FutexOutcome::woken),
                   futex_return(1, lock_a, FutexOutcome::woken)};
    const auto none = std::nullopt;
    EXPECT_THAT(wakers(trace), ElementsAre(none, none, none, none, 1U, none, 2U, 1U, 3U, none));
}

}  // namespace
}  // namespace braidway::explore
