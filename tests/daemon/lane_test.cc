// SPDX-License-Identifier: Apache-2.0
#include "daemon/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;

class LaneTest : public testing::TestWithParam<loop::Backend> {
  protected:
    std::unique_ptr<Lane> start() {
        auto lane = Lane::start(GetParam(), 16u << 20);
        EXPECT_TRUE(lane.has_value()) << lane.error().message;
        return std::move(*lane);
    }
};

TEST_P(LaneTest, RunsWorkOnItsOwnThreadAndWaitsForIt) {
    auto lane = start();
    std::thread::id first;
    std::thread::id second;
    EXPECT_TRUE(lane->call([&] { first = std::this_thread::get_id(); }, 10s));
    EXPECT_TRUE(lane->call([&] { second = std::this_thread::get_id(); }, 10s));
    EXPECT_EQ(first, second);
    EXPECT_NE(first, std::this_thread::get_id());
}

TEST_P(LaneTest, SaysWhenTheLaneDoesNotComeToItInTimeAndStillRunsItLater) {
    auto lane = start();
    std::atomic<bool> go = false;
    auto ran = std::make_shared<std::atomic<bool>>(false);
    std::atomic<bool> blocked = false;
    std::thread blocker([&] {
        lane->call(
            [&] {
                blocked = true;
                blocked.notify_all();
                go.wait(false);
            },
            10s);
    });
    blocked.wait(false);
    EXPECT_FALSE(lane->call([ran] { *ran = true; }, 1ms));
    go = true;
    go.notify_all();
    blocker.join();
    EXPECT_TRUE(lane->call([] {}, 10s));
    EXPECT_TRUE(*ran);
}

TEST_P(LaneTest, LendsBuffersOfItsPool) {
    auto lane = start();
    EXPECT_TRUE(lane->call(
        [&] {
            memory::Buffer* buffer = lane->pool().allocate(4096);
            ASSERT_NE(buffer, nullptr);
            buffer->release();
        },
        10s));
}

INSTANTIATE_TEST_SUITE_P(Backends, LaneTest,
                         testing::Values(loop::Backend::io_uring, loop::Backend::epoll),
                         [](const auto& backend) {
                             return backend.param == loop::Backend::io_uring ? "IoUring" : "Epoll";
                         });

}  // namespace
}  // namespace braidway::daemon
