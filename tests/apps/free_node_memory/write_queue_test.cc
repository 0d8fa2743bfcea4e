// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/write_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <future>
#include <vector>

#include "base/limits.h"

namespace braidway::apps {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

/// A job that works until it is cancelled.
struct Endless {
    std::promise<void> begun;
    std::promise<int> answered;
    std::shared_ptr<WriteJob> job = std::make_shared<WriteJob>();

    Endless() {
        job->work = [this](const memory::Cancel& cancel) {
            begun.set_value();
            while (cancel.pause(1s)) {}
            return EINTR;
        };
        job->answer = [this](int error) { answered.set_value(error); };
    }
};

std::shared_ptr<WriteJob> quick(std::promise<int>& answered) {
    auto job = std::make_shared<WriteJob>();
    job->work = [](const memory::Cancel&) { return 0; };
    job->answer = [&answered](int error) { answered.set_value(error); };
    return job;
}

TEST(WriteQueue, WorksInTheOrderOfTheWriters) {
    WriteQueue queue;
    std::vector<int> order;
    std::promise<int> last;
    for (int i = 0; i < 20; ++i) {
        auto job = std::make_shared<WriteJob>();
        job->work = [&order, i](const memory::Cancel&) {
            order.push_back(i);
            return 0;
        };
        job->answer = [](int) {};
        ASSERT_TRUE(queue.push(job));
    }
    ASSERT_TRUE(queue.push(quick(last)));
    EXPECT_EQ(last.get_future().get(), 0);
    ASSERT_EQ(order.size(), 20u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(WriteQueue, EndsTheJobAtWorkThatIsCancelled) {
    WriteQueue queue;
    Endless endless;
    std::promise<int> next;
    ASSERT_TRUE(queue.push(endless.job));
    ASSERT_TRUE(queue.push(quick(next)));
    endless.begun.get_future().wait();
    endless.job->cancel.cancel();
    EXPECT_EQ(endless.answered.get_future().get(), EINTR);
    EXPECT_EQ(next.get_future().get(), 0);
}

TEST(WriteQueue, AnswersAtOnceWhoGoesWhileWaiting) {
    WriteQueue queue;
    Endless endless;
    std::promise<int> waits;
    std::promise<int> stays;
    const auto job = quick(waits);
    ASSERT_TRUE(queue.push(endless.job));
    ASSERT_TRUE(queue.push(job));
    ASSERT_TRUE(queue.push(quick(stays)));
    endless.begun.get_future().wait();
    job->cancel.cancel();
    queue.sweep();
    EXPECT_EQ(waits.get_future().get(), EINTR);
    endless.job->cancel.cancel();
    EXPECT_EQ(stays.get_future().get(), 0);
}

TEST(WriteQueue, AnswersAllWhenItStops) {
    WriteQueue queue;
    Endless endless;
    std::promise<int> waits;
    ASSERT_TRUE(queue.push(endless.job));
    ASSERT_TRUE(queue.push(quick(waits)));
    endless.begun.get_future().wait();
    EXPECT_TRUE(queue.stop(20s));
    EXPECT_EQ(endless.answered.get_future().get(), EINTR);
    EXPECT_EQ(waits.get_future().get(), EINTR);
    std::promise<int> late;
    EXPECT_FALSE(queue.push(quick(late)));
}

TEST(WriteQueue, DoesNotWaitForAJobThatHearsNothing) {
    WriteQueue queue;
    std::promise<void> leave;
    std::promise<void> begun;
    std::promise<int> answered;
    auto deaf = std::make_shared<WriteJob>();
    deaf->work = [&](const memory::Cancel&) {
        begun.set_value();
        leave.get_future().wait();
        return 0;
    };
    deaf->answer = [&answered](int error) { answered.set_value(error); };
    ASSERT_TRUE(queue.push(deaf));
    begun.get_future().wait();
    EXPECT_FALSE(queue.stop(10ms));
    leave.set_value();
    EXPECT_EQ(answered.get_future().get(), 0);
}

TEST(WriteQueue, TurnsAwayWhenItIsFull) {
    WriteQueue queue;
    Endless endless;
    ASSERT_TRUE(queue.push(endless.job));
    endless.begun.get_future().wait();
    std::vector<std::promise<int>> answers(limits::control_writers_max + 1);
    for (size_t i = 0; i < limits::control_writers_max; ++i)
        ASSERT_TRUE(queue.push(quick(answers[i])));
    EXPECT_FALSE(queue.push(quick(answers.back())));
    EXPECT_TRUE(queue.stop(20s));
}

}  // namespace
}  // namespace braidway::apps
