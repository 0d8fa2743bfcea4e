// SPDX-License-Identifier: Apache-2.0
#include "loop/lane.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <string>

#include "fixture.h"

namespace braidway::loop {
namespace {

class LaneTest : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
        auto made = Lane::create(GetParam());
        ASSERT_TRUE(made.has_value()) << made.error().message;
        lane_ = std::move(*made);
    }
    std::unique_ptr<Lane> lane_;
};
ON_BOTH_BACKENDS(LaneTest);

TEST_P(LaneTest, RunsCallsInOrderOnAThreadOfItsOwn) {
    ASSERT_TRUE(lane_->start().has_value());
    std::string order;
    std::string name(32, '\0');
    std::thread::id thread;
    bool signals_blocked = false;
    lane_->call([&] { order += 'a'; });
    lane_->call([&] {
        order += 'b';
        thread = std::this_thread::get_id();
        pthread_getname_np(pthread_self(), name.data(), name.size());
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        signals_blocked = sigismember(&mask, SIGTERM) == 1;
    });
    lane_->stop();
    lane_->join();
    EXPECT_EQ(order, "ab");
    EXPECT_NE(thread, std::this_thread::get_id());
    EXPECT_STREQ(name.c_str(), "bw-lane");
    EXPECT_TRUE(signals_blocked) << "signals are for the main thread";
}

TEST_P(LaneTest, TakesCallsBeforeItIsStarted) {
    int value = 0;
    lane_->call([&] { value = 1; });
    EXPECT_EQ(value, 0);
    ASSERT_TRUE(lane_->start().has_value());
    lane_->stop();
    lane_->join();
    EXPECT_EQ(value, 1);
}

TEST_P(LaneTest, DestroyingAnIdleLaneEndsItsThread) {
    ASSERT_TRUE(lane_->start().has_value());
    std::atomic<bool> ran = false;
    lane_->call([&] {
        ran = true;
        ran.notify_one();
    });
    ran.wait(false);
    lane_.reset();
}

TEST_P(LaneTest, FilesAddedByTheLaneMayBeRemovedAfterItHasEnded) {
    File file;
    Probe probe;
    char byte = 'x';
    iovec iov{&byte, 1};
    ASSERT_TRUE(lane_->start().has_value());
    lane_->call([&] {
        file = lane_->loop().add_file(temporary_file());
        lane_->loop().write(probe, file, &iov, 1, 0, false);
        probe.owner = lane_.get();
        probe.done = [](Operation& operation, int32_t result) {
            static_cast<Probe&>(operation).result = result;
            static_cast<Lane*>(operation.owner)->stop();
        };
    });
    lane_->join();
    EXPECT_EQ(probe.result, 1);
    lane_->loop().remove_file(file);
    close(file.fd);
}

TEST_P(LaneTest, TwoLanesTalkByMessages) {
    struct Ball : Message {
        Lane* sides[2] = {};
        int bounces = 0;
    } ball;
    auto other = Lane::create(GetParam());
    ASSERT_TRUE(other.has_value());
    ball.sides[0] = lane_.get();
    ball.sides[1] = other->get();
    ball.run = [](Message& message) {
        auto& self = static_cast<Ball&>(message);
        if (++self.bounces == 1000) {
            for (Lane* side : self.sides) side->stop();
            return;
        }
        self.sides[self.bounces % 2]->post(self);
    };
    ASSERT_TRUE(lane_->start().has_value());
    ASSERT_TRUE((*other)->start().has_value());
    lane_->post(ball);
    lane_->join();
    (*other)->join();
    EXPECT_EQ(ball.bounces, 1000);
}

}  // namespace
}  // namespace braidway::loop
