// SPDX-License-Identifier: Apache-2.0
#include "path/sg_io.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <latch>
#include <utility>

#include "base/clock.h"
#include "wire/scsi_sense.h"

namespace braidway::path {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using wire::ScsiTransport;

/// A command, and whether it was answered.
struct Task : ScsiTask {
    unsigned answers = 0;

    Task(wire::Cdb command, uint32_t room, Duration limit) {
        cdb = command;
        data_in_bytes = room;
        timeout = limit;
        done = [](ScsiTask& task) { ++static_cast<Task&>(task).answers; };
    }
};

/// A kernel that answers as it is told, by the first byte of the command.
struct Kernel {
    std::latch stuck{1};
    std::atomic<unsigned> calls = 0;
    std::atomic<unsigned> held = 0;  ///< Calls that wait for `stuck`.

    int operator()(int fd, sg_io_hdr& header) {
        EXPECT_EQ(fd, -1);
        ++calls;
        switch (header.cmdp[0]) {
            case wire::scsi::op_test_unit_ready: {
                const auto sense = wire::fixed_sense({.key = 2, .asc = 4, .ascq = 3});
                std::memcpy(header.sbp, sense.data(), sense.size());
                header.sb_len_wr = static_cast<unsigned char>(sense.size());
                header.status = wire::scsi::status_check_condition;
                header.driver_status = 8;
                return 0;
            }
            case wire::scsi::op_inquiry:
                std::memset(header.dxferp, 'x', 36);
                header.resid = static_cast<int>(header.dxfer_len) - 36;
                return 0;
            case wire::scsi::op_mode_select_10:
                return static_cast<unsigned char*>(header.dxferp)[0] == 7 ? EPERM : EINVAL;
            default:
                ++held;
                held.notify_all();
                stuck.wait();
                return 0;
        }
    }
    void let_go() {
        if (!std::exchange(gone_, true)) stuck.count_down();
    }
    void wait_until_held(unsigned count) {
        while (held < count) held.wait(held);
    }

  private:
    bool gone_ = false;
};

class SgIoTest : public testing::Test {
  protected:
    ~SgIoTest() override {
        kernel_.let_go();
        EXPECT_TRUE(turn_until([&] { return channel_->quiet(); }));
    }
    template <typename Condition>
    bool turn_until(Condition condition) {
        const Instant end = monotonic_now() + 20s;
        while (!condition() && monotonic_now() < end) loop_->turn(end);
        return condition();
    }
    void run(Task& task) {
        channel_->execute(task);
        EXPECT_EQ(task.answers, 0u) << "never inside the call";
        ASSERT_TRUE(turn_until([&] { return task.answers > 0; }));
    }
    static Task stuck_task(Duration timeout) { return {wire::start_stop_cdb(true), 0, timeout}; }
    static Task ready_task() { return {wire::test_unit_ready_cdb(), 0, 5s}; }

    Kernel kernel_;
    std::unique_ptr<loop::Loop> loop_ = *loop::Loop::create();
    std::unique_ptr<SgIo> channel_ =
        std::make_unique<SgIo>(*loop_, SgDevice(-1, "/dev/sdx"),
                               [this](int fd, sg_io_hdr& header) { return kernel_(fd, header); });
};

TEST_F(SgIoTest, AnAnswerComesWithItsDataAndSense) {
    Task inquiry(wire::inquiry_cdb(252), 252, 5s);
    run(inquiry);
    EXPECT_EQ(inquiry.transport, ScsiTransport::answered);
    EXPECT_EQ(inquiry.data_in, std::vector<std::byte>(36, std::byte{'x'}));
    Task ready = ready_task();
    run(ready);
    EXPECT_EQ(ready.status, wire::scsi::status_check_condition);
    EXPECT_TRUE(wire::parse_sense(ready.sense)->is(2, 4, 3));
    EXPECT_TRUE(channel_->quiet());
}

TEST_F(SgIoTest, ATaskMaySendTheNextFromInsideItsDone) {
    Task second = ready_task();
    Task first = ready_task();
    struct Chain {
        SgIo& channel;
        Task& next;
    } chain{*channel_, second};
    first.owner = &chain;
    first.done = [](ScsiTask& task) {
        auto& after = *static_cast<Chain*>(task.owner);
        after.channel.execute(after.next);
    };
    channel_->execute(first);
    EXPECT_TRUE(turn_until([&] { return second.answers == 1; }));
}

TEST_F(SgIoTest, ARefusalOfTheSystemIsKept) {
    Task select(wire::mode_select_10_cdb(1, true), 0, 5s);
    select.data_out = {std::byte{7}};
    run(select);
    EXPECT_EQ(select.transport, ScsiTransport::no_resources);
    EXPECT_EQ(channel_->refusal(), EPERM);
}

TEST_F(SgIoTest, DataInBothDirectionsAreRefused) {
    Task both(wire::mode_select_10_cdb(1, true), 8, 5s);
    both.data_out = {std::byte{7}};
    run(both);
    EXPECT_EQ(both.transport, ScsiTransport::no_resources);
    EXPECT_EQ(kernel_.calls, 0u);
}

TEST_F(SgIoTest, AStuckCommandIsGivenUpAndHoldsUpNobody) {
    Task stuck = stuck_task(1ms);
    channel_->execute(stuck);
    kernel_.wait_until_held(1);
    for (int count = 0; count < 10; ++count) {
        Task ready = ready_task();
        run(ready);
        EXPECT_EQ(ready.transport, ScsiTransport::answered);
    }
    ASSERT_TRUE(turn_until([&] { return stuck.answers > 0; }));
    EXPECT_EQ(stuck.transport, ScsiTransport::timed_out);
    EXPECT_EQ(channel_->stuck(), 1u);
    EXPECT_FALSE(channel_->quiet()) << "the kernel still has its memory";
    kernel_.let_go();
    EXPECT_TRUE(turn_until([&] { return channel_->quiet(); }));
    EXPECT_EQ(stuck.answers, 1u) << "the late answer is nobody's";
    EXPECT_EQ(channel_->stuck(), 0u);
}

TEST_F(SgIoTest, BehindStuckCommandsAlonePatienceEndsAndTheCommandNeverLeft) {
    std::vector<Task> stuck(limits::sg_workers_max, stuck_task(60s));
    for (Task& each : stuck) channel_->execute(each);
    kernel_.wait_until_held(limits::sg_workers_max);
    Task ready(wire::test_unit_ready_cdb(), 0, 1ms);
    run(ready);
    EXPECT_EQ(ready.transport, ScsiTransport::no_resources);
    EXPECT_EQ(kernel_.calls, limits::sg_workers_max);
    kernel_.let_go();
    EXPECT_TRUE(turn_until([&] { return channel_->quiet(); }));
    for (const Task& each : stuck) EXPECT_EQ(each.transport, ScsiTransport::answered);
}

TEST_F(SgIoTest, MoreThanTheLimitIsRefusedAtOnce) {
    std::vector<Task> tasks(limits::sg_commands_max + 1, stuck_task(60s));
    for (Task& each : tasks) channel_->execute(each);
    ASSERT_TRUE(turn_until([&] { return tasks.back().answers > 0; }));
    EXPECT_EQ(tasks.back().transport, ScsiTransport::no_resources);
    EXPECT_EQ(tasks.front().answers, 0u);
    kernel_.let_go();
    EXPECT_TRUE(turn_until([&] { return channel_->quiet(); }));
    for (const Task& each : tasks) EXPECT_EQ(each.answers, 1u);
}

TEST_F(SgIoTest, AtTheEndEverythingIsAnsweredOnceAndTheKernelKeepsWhatItHas) {
    std::vector<Task> tasks(limits::sg_workers_max + 2, stuck_task(60s));
    for (Task& each : tasks) channel_->execute(each);
    kernel_.wait_until_held(limits::sg_workers_max);
    channel_->shut_down();
    for (const Task& each : tasks) EXPECT_EQ(each.answers, 0u) << "never inside the call";
    ASSERT_TRUE(turn_until([&] { return std::ranges::all_of(tasks, &Task::answers); }));
    size_t with_kernel = 0;
    for (const Task& each : tasks) {
        EXPECT_EQ(each.answers, 1u);
        with_kernel += each.transport == ScsiTransport::connection_lost ? 1 : 0;
        EXPECT_NE(each.transport, ScsiTransport::answered);
    }
    EXPECT_EQ(with_kernel, limits::sg_workers_max);
    EXPECT_EQ(channel_->stuck(), limits::sg_workers_max);
    EXPECT_FALSE(channel_->quiet());
    Task late = ready_task();
    run(late);
    EXPECT_EQ(late.transport, ScsiTransport::no_connection);
}

TEST(SgDevice, WhatTakesNoCommandsIsRefusedWithALineThatSaysWhatToDo) {
    EXPECT_EQ(open_sg_device("/dev/null").error().message,
              "/dev/null: takes no SCSI commands (SG_IO); a hardware handler needs a SCSI disk, "
              "/dev/sdX or /dev/sgN");
    EXPECT_EQ(open_sg_device("/proc/self/status").error().message,
              "/proc/self/status: is no device and takes no SCSI commands; name /dev/sdX or "
              "/dev/sgN");
    EXPECT_THAT(open_sg_device("/dev/no-such-disk").error().message,
                HasSubstr("/dev/no-such-disk: No such file or directory"));
}

}  // namespace
}  // namespace braidway::path
