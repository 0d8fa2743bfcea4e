// SPDX-License-Identifier: Apache-2.0
#include "loop/blocking_threads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <latch>

#include "base/clock.h"

namespace braidway::loop {
namespace {

using namespace std::chrono_literals;

/// A call that says where it ran, and may be kept waiting.
struct Call : BlockingCall {
    std::latch* until = nullptr;
    std::atomic<bool> begun = false;
    std::thread::id ran_on{};
    std::thread::id done_on{};

    Call() {
        work = [](BlockingCall& call) {
            Call& self = static_cast<Call&>(call);
            self.begun = true;
            self.begun.notify_all();
            self.ran_on = std::this_thread::get_id();
            if (self.until != nullptr) self.until->wait();
        };
        done = [](BlockingCall& call) {
            static_cast<Call&>(call).done_on = std::this_thread::get_id();
        };
    }
    bool is_done() const { return done_on != std::thread::id(); }
};

struct BlockingThreadsTest : testing::Test {
    std::unique_ptr<Loop> loop = *Loop::create();

    template <typename Condition>
    bool turn_until(Condition condition) {
        const Instant end = monotonic_now() + 10s;
        while (!condition() && monotonic_now() < end) loop->turn(end);
        return condition();
    }
};

TEST_F(BlockingThreadsTest, ACallRunsElsewhereAndEndsOnTheLane) {
    BlockingThreads threads(*loop, "bw-test", 2);
    Call call;
    ASSERT_TRUE(threads.run(call));
    ASSERT_TRUE(turn_until([&] { return call.is_done(); }));
    EXPECT_NE(call.ran_on, std::this_thread::get_id());
    EXPECT_EQ(call.done_on, std::this_thread::get_id());
    EXPECT_EQ(loop->in_flight(), 0u);
}

TEST_F(BlockingThreadsTest, ACallThatIsStuckDoesNotHoldUpTheNext) {
    std::latch stuck(1);
    BlockingThreads threads(*loop, "bw-test", 2);
    Call first;
    first.until = &stuck;
    Call second;
    ASSERT_TRUE(threads.run(first));
    first.begun.wait(false);
    ASSERT_TRUE(threads.run(second));
    EXPECT_TRUE(turn_until([&] { return second.is_done(); }));
    EXPECT_FALSE(first.is_done());
    stuck.count_down();
    EXPECT_TRUE(turn_until([&] { return first.is_done(); }));
}

TEST_F(BlockingThreadsTest, ACallThatNobodyHasBegunCanBeTakenBack) {
    std::latch stuck(1);
    BlockingThreads threads(*loop, "bw-test", 1);
    Call first;
    first.until = &stuck;
    Call second;
    ASSERT_TRUE(threads.run(first));
    first.begun.wait(false);
    EXPECT_FALSE(threads.withdraw(first));
    ASSERT_TRUE(threads.run(second));
    EXPECT_TRUE(threads.withdraw(second));
    EXPECT_FALSE(threads.withdraw(second));
    stuck.count_down();
    EXPECT_TRUE(turn_until([&] { return first.is_done(); }));
    EXPECT_FALSE(second.begun);
}

TEST_F(BlockingThreadsTest, NoMoreThreadsRunThanAreAllowed) {
    std::latch stuck(1);
    BlockingThreads threads(*loop, "bw-test", 2);
    std::array<Call, 3> calls;
    for (Call& call : calls) {
        call.until = &stuck;
        ASSERT_TRUE(threads.run(call));
    }
    calls[0].begun.wait(false);
    calls[1].begun.wait(false);
    EXPECT_FALSE(calls[2].begun);
    EXPECT_TRUE(threads.withdraw(calls[2])) << "nobody had taken it";
    stuck.count_down();
    EXPECT_TRUE(turn_until([&] { return calls[0].is_done() && calls[1].is_done(); }));
}

TEST_F(BlockingThreadsTest, ManyCallsAllEnd) {
    BlockingThreads threads(*loop, "bw-test", 4);
    std::array<Call, 100> calls;
    for (Call& call : calls) ASSERT_TRUE(threads.run(call));
    EXPECT_TRUE(turn_until([&] { return std::ranges::all_of(calls, &Call::is_done); }));
}

}  // namespace
}  // namespace braidway::loop
