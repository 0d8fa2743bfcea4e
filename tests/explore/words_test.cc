// SPDX-License-Identifier: Apache-2.0
#include "explore/words.h"

#include <gtest/gtest.h>

#include "explore/traces.h"

namespace braidway::explore {
namespace {

using made::step;

Trace named() {
    Trace trace;
    trace.objects = {{"lock", made::memory.data(), 16}};
    return trace;
}

TEST(StepWords, SayWhatWasReadAndWritten) {
    const void* const lock = made::memory.data();
    const auto words = [&](StepKind kind) {
        return step_words(named(), step(0, kind, lock, 3, 0x80000001));
    };
    EXPECT_EQ(words(StepKind::load), "lock: load 3");
    EXPECT_EQ(words(StepKind::store), "lock: store 0x80000001");
    EXPECT_EQ(words(StepKind::exchange), "lock: exchange 3 -> 0x80000001");
    EXPECT_EQ(words(StepKind::failed_cas), "lock: compare-exchange fails, it is 3");
    EXPECT_EQ(words(StepKind::fence), "fence");
    EXPECT_EQ(words(StepKind::flush), "lock: store 0x80000001 reaches memory");
    EXPECT_EQ(words(StepKind::spin), "lock: looks again");
    EXPECT_EQ(words(StepKind::start), "starts");
    EXPECT_EQ(words(StepKind::end), "ends");
    EXPECT_EQ(words(StepKind::killed), "is killed");
    EXPECT_EQ(words(StepKind::yield), "gives way");
    EXPECT_EQ(step_words(named(), step(0, StepKind::choice, nullptr, 0, 2)), "chooses 2");
}

TEST(StepWords, SayHowASleepBeginsAndEnds) {
    const void* const word = made::memory.data() + 1;
    Step sleep = step(0, StepKind::futex_sleep, word, 2);
    EXPECT_EQ(step_words(named(), sleep), "lock+4: sleeps while 2");
    sleep.outcome = sync::FutexOutcome::changed;
    EXPECT_EQ(step_words(named(), sleep), "lock+4: does not sleep, it is not 2");
    sleep.outcome = sync::FutexOutcome::timed_out;
    EXPECT_EQ(step_words(named(), sleep), "lock+4: does not sleep, the deadline has passed");
    const auto end = [&](sync::FutexOutcome outcome) {
        return step_words(named(), made::futex_return(0, word, outcome));
    };
    EXPECT_EQ(end(sync::FutexOutcome::timed_out),
              "lock+4: sleeps no more: the deadline has passed");
    EXPECT_EQ(end(sync::FutexOutcome::interrupted),
              "lock+4: sleeps no more: interrupted by a signal");
    EXPECT_EQ(step_words(named(), step(0, StepKind::futex_wake, word)), "lock+4: wakes nobody");
    EXPECT_EQ(step_words(named(), step(0, StepKind::futex_wake, word, 0, 2)), "lock+4: wakes 2");
}

TEST(StepWords, SayWhatHappensToALock) {
    using sync::LockEvent;
    using sync::LockMode;
    const auto words = [](LockEvent event, LockMode mode) {
        return step_words(named(), made::lock_step(0, event, mode));
    };
    EXPECT_EQ(words(LockEvent::wanted, LockMode::exclusive), "wants lock (exclusive)");
    EXPECT_EQ(words(LockEvent::acquired, LockMode::shared), "acquires lock (shared)");
    EXPECT_EQ(words(LockEvent::given_up, LockMode::upgrade), "gives up waiting for lock (upgrade)");
    EXPECT_EQ(words(LockEvent::released, LockMode::shared), "releases lock (shared)");
}

TEST(Printable, LeavesTextAndEscapesTheRest) {
    EXPECT_EQ(printable("lock µ 鎖 🔒"), "lock µ 鎖 🔒");
    EXPECT_EQ(printable(std::string_view("a\0b\n\x1b[31m\x7f", 10)), "a\\x00b\\x0a\\x1b[31m\\x7f");
    EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut off";
    EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
    EXPECT_EQ(printable("\xc2\x9b"), "\\xc2\\x9b") << "a terminal's control character";
    EXPECT_EQ(printable("\xe2\x80\xae"), "\\xe2\\x80\\xae") << "turns the line around";
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond the last";
}

TEST(Columns, CountCharactersAndNotBytes) {
    EXPECT_EQ(columns_of("µ鎖"), 2U);
    EXPECT_EQ(first_columns("aµ鎖b", 2), "aµ");
    EXPECT_EQ(first_columns("ab", 7), "ab");
    EXPECT_EQ(first_columns("ab", 0), "");
}

TEST(ThreadName, IsANumberWhereTheTraceHasNone) {
    Trace trace;
    trace.threads = {"reader\n"};
    EXPECT_EQ(thread_name(trace, 0), "reader\\x0a");
    EXPECT_EQ(thread_name(trace, 1), "thread 1");
}

}  // namespace
}  // namespace braidway::explore
