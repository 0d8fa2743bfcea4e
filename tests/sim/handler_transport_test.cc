// SPDX-License-Identifier: Apache-2.0
// Hardware handlers over a transport with faults: slow, losing answers, answering when nobody waits
// any more, torn down.
#include "handler_map_fixture.h"

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;

class HandlerTransportTest : public HandlerMapTest {
  protected:
    /// An I/O that is started and not waited for.
    void start(Io& io) {
        io.request.push(io);
        map_->submit(io.request);
    }
    bool ends(Io& io, Duration within) {
        return loop_.pass_until([&] { return io.ended; }, within);
    }
};

TEST_F(HandlerTransportTest, ASlowArrayIsWaitedForAndToldOnce) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(write(std::byte{0x11}), IoStatus::ok);
    for (const auto& channel : channels_) channel->set_delay(20s);
    const uint32_t before = array_->count(wire::scsi::op_mode_select_10);
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    start(io);
    loop_.pass(30s);
    EXPECT_FALSE(io.ended) << "page, trespass and page take a minute";
    EXPECT_TRUE(ends(io, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
    EXPECT_EQ(io.memory[0], std::byte{0x11});
    EXPECT_EQ(array_->count(wire::scsi::op_mode_select_10), before + 1);
    EXPECT_EQ(state(1), PathState::up);
}

TEST_F(HandlerTransportTest, ATrespassWhoseAnswerWasLostIsFoundDone) {
    make({.kind = ArrayKind::clariion});
    channels_[1]->lose(wire::scsi::op_mode_select_10, 1);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    // Wherever the LUN is now, that is where the I/O went.
    EXPECT_EQ(group(), array_->owner(0) + 1u);
    EXPECT_EQ(scsi_[array_->owner(0)]->ios(), 1u);
}

TEST_F(HandlerTransportTest, AnActivationEndsThoughTheTransportIsSilentForTooLong) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    // Beyond the timeout and the grace that the handler gives.
    channels_[1]->set_late(300s);
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    start(io);
    EXPECT_TRUE(ends(io, 600s));
    EXPECT_EQ(io.request.status(), IoStatus::ok) << "by the other path";
    EXPECT_EQ(group(), 1u);
    EXPECT_GT(channels_[1]->under_way(), 0u);
    EXPECT_FALSE(driver_->quiet());
    // What comes now is nobody's.
    const std::string before = driver_->status_text(*paths_[1]);
    loop_.pass(3600s);
    EXPECT_TRUE(driver_->quiet());
    EXPECT_EQ(driver_->status_text(*paths_[1]), before);
    EXPECT_EQ(read(), IoStatus::ok);
}

TEST_F(HandlerTransportTest, AConnectionThatBreaksDuringTheTrespassIsLeft) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(write(std::byte{0x33}), IoStatus::ok);
    channels_[1]->set_delay(10s);
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    start(io);
    loop_.pass(15s);
    array_->set_port_connected(1, false);
    channels_[1]->tear_down();
    EXPECT_TRUE(ends(io, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
    EXPECT_EQ(io.memory[0], std::byte{0x33});
    EXPECT_EQ(group(), 1u);
    EXPECT_EQ(state(1), PathState::down);
}

TEST_F(HandlerTransportTest, APathIsTakenAwayDuringItsActivation) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    channels_[1]->set_delay(10s);
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    start(io);
    loop_.pass(5s);
    EXPECT_FALSE(driver_->quiet(*channels_[1]));
    EXPECT_TRUE(driver_->quiet(*channels_[0]));
    driver_->detach(*paths_[1]);
    EXPECT_EQ(driver_->status_text(*paths_[1]), "");
    EXPECT_FALSE(driver_->quiet(*channels_[1])) << "the device has still to answer";
    EXPECT_TRUE(ends(io, 60s)) << "the activation was answered";
    EXPECT_EQ(io.request.status(), IoStatus::ok);
    EXPECT_EQ(group(), 1u);

    // The number of the device is taken by another while the old answer is on its way.
    ASSERT_TRUE(driver_->attach(*paths_[1], *channels_[1], scsi_[1]->identity()).has_value());
    loop_.pass(60s);
    EXPECT_TRUE(driver_->quiet(*channels_[1]));
    channels_[1]->set_delay({});
    map_->path_checked(1, true, "good");
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerTransportTest, AfterALostSetTargetPortGroupsTheIoGoesWhereTheArrayServes) {
    make({.kind = ArrayKind::alua_explicit});
    array_->set_group_state(0, 1, wire::scsi::group_optimized, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_standby, loop_.now());
    driver_->rescan(*paths_[1]);
    loop_.pass(5s);
    channels_[1]->lose(wire::scsi::op_maintenance_out, 1);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->group_state(0, static_cast<uint16_t>(group()), loop_.now()),
              wire::scsi::group_optimized);
}

TEST_F(HandlerTransportTest, AReportOfPortGroupsThatIsLostFailsItsPathAndNoOther) {
    make({.kind = ArrayKind::alua_both});
    channels_[1]->lose(wire::scsi::op_maintenance_in, 1);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(state(1), PathState::down) << "as the kernel's handler does";
    EXPECT_EQ(state(0), PathState::up);
    EXPECT_EQ(group(), 1u);
}

TEST_F(HandlerTransportTest, EveryHandlerSurvivesAnHourOfATransportWithManners) {
    for (const ArrayKind kind : {ArrayKind::alua_explicit, ArrayKind::alua_both,
                                 ArrayKind::clariion, ArrayKind::rdac, ArrayKind::hp_sw}) {
        SCOPED_TRACE(static_cast<int>(kind));
        make({.kind = kind});
        for (unsigned round = 0; round < 12; ++round) {
            FaultyChannel& channel = *channels_[round % 2];
            channel.set_delay((round % 3) * 7s);
            channel.set_late(round % 5 == 3 ? 90s : 0s);
            if (round % 4 == 1) channel.lose(wire::scsi::op_inquiry, 2);
            if (round % 4 == 2) channel.tear_down();
            send(Message::switch_group, round % 2 + 1);
            Io io(IoOp::read);
            start(io);
            loop_.pass(150s);
            channel.restore();
            channel.set_delay({});
            channel.set_late({});
            for (size_t path = 0; path < paths_.size(); ++path) {
                driver_->rescan(*paths_[path]);
                map_->path_checked(static_cast<uint32_t>(path), true, "good");
            }
            EXPECT_TRUE(ends(io, 1800s)) << "round " << round;
            EXPECT_EQ(io.request.status(), IoStatus::ok) << "round " << round;
            loop_.pass(600s);
            EXPECT_TRUE(driver_->quiet()) << "round " << round;
        }
        EXPECT_EQ(read(), IoStatus::ok);
        take_down();
    }
}

}  // namespace
}  // namespace braidway::sim
