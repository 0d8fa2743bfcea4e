// SPDX-License-Identifier: Apache-2.0
#include "sim/faulty_channel.h"

#include <gtest/gtest.h>

#include "sim/scsi_path.h"
#include "sim/virtual_loop.h"

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;
using wire::ScsiTransport;

struct Task : path::ScsiTask {
    Instant ended{};
    VirtualLoop* loop = nullptr;
    unsigned answers = 0;
};

class FaultyChannelTest : public testing::Test {
  protected:
    void send(Task& task, wire::Cdb cdb = wire::inquiry_cdb(252)) {
        task.cdb = cdb;
        task.data_in_bytes = 252;
        task.timeout = 10s;
        task.loop = &loop_;
        task.done = [](path::ScsiTask& done) {
            Task& self = static_cast<Task&>(done);
            ++self.answers;
            self.ended = self.loop->now();
        };
        sent_ = loop_.now();
        channel_.execute(task);
        EXPECT_EQ(task.answers, 0u);
    }
    Duration took(const Task& task) { return task.ended - sent_; }

    VirtualLoop loop_;
    ScsiResponder array_{{}};
    ScsiPath path_{loop_, array_, 0, 0};
    FaultyChannel channel_{loop_, path_};
    Instant sent_{};
};

TEST_F(FaultyChannelTest, WithoutFaultsAnAnswerPassesAsItIs) {
    Task task;
    send(task);
    loop_.pass(1ms);
    EXPECT_EQ(task.transport, ScsiTransport::answered);
    EXPECT_GE(task.data_in.size(), 36u);
    EXPECT_LT(took(task), 1ms);
    EXPECT_EQ(channel_.under_way(), 0u);
}

TEST_F(FaultyChannelTest, ADelayIsWaitedForUpToTheTimeout) {
    channel_.set_delay(3s);
    Task slow;
    send(slow);
    loop_.pass(20s);
    EXPECT_EQ(slow.transport, ScsiTransport::answered);
    EXPECT_EQ(took(slow) / 1s, 3);
    channel_.set_delay(15s);
    Task late;
    send(late);
    loop_.pass(20s);
    EXPECT_EQ(late.transport, ScsiTransport::timed_out);
    EXPECT_EQ(took(late) / 1s, 10);
    EXPECT_TRUE(late.data_in.empty());
}

TEST_F(FaultyChannelTest, ALostAnswerIsOfACommandThatRan) {
    channel_.lose(wire::scsi::op_inquiry, 1);
    Task lost;
    send(lost);
    loop_.pass(20s);
    EXPECT_EQ(lost.transport, ScsiTransport::timed_out);
    EXPECT_EQ(array_.count(wire::scsi::op_inquiry), 1u);
    Task next;
    send(next);
    loop_.pass(20s);
    EXPECT_EQ(next.transport, ScsiTransport::answered);
}

TEST_F(FaultyChannelTest, AChannelThatFailsItsDutyAnswersAfterTheTimeout) {
    channel_.set_late(7s);
    Task late;
    send(late);
    loop_.pass(30s);
    EXPECT_EQ(late.transport, ScsiTransport::answered);
    EXPECT_EQ(took(late) / 1s, 17);
}

TEST_F(FaultyChannelTest, ABrokenConnectionAnswersWhatIsUnderWayAndTakesNothing) {
    channel_.set_delay(5s);
    Task under_way;
    send(under_way);
    loop_.pass(1s);
    channel_.tear_down();
    EXPECT_EQ(under_way.answers, 0u) << "not inside the call";
    Task refused;
    send(refused);
    loop_.pass(1ms);
    EXPECT_EQ(under_way.transport, ScsiTransport::connection_lost);
    EXPECT_EQ(refused.transport, ScsiTransport::no_connection);
    EXPECT_EQ(array_.count(wire::scsi::op_inquiry), 1u);
    channel_.restore();
    Task again;
    send(again);
    loop_.pass(10s);
    EXPECT_EQ(again.transport, ScsiTransport::answered);
    EXPECT_EQ(under_way.answers + refused.answers + again.answers, 3u);
}

}  // namespace
}  // namespace braidway::sim
