// SPDX-License-Identifier: Apache-2.0
// Hardware handlers end to end: a map whose paths lead to the ports of a scripted array.
#include "handler_map_fixture.h"

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;

TEST_F(HandlerMapTest, ATrespassOfAClariionMovesTheIo) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(write(std::byte{0x11}), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 0);
    EXPECT_FALSE(array_->last_trespass().has_value()) << "the first port's processor owns the LUN";
    send(Message::switch_group, 2);
    Io io(IoOp::read);
    EXPECT_EQ(run(io), IoStatus::ok);
    EXPECT_EQ(io.memory[0], std::byte{0x11});
    EXPECT_EQ(array_->owner(0), 1) << "the trespass moved it";
    EXPECT_TRUE(array_->last_trespass().has_value());
    EXPECT_EQ(group(), 2u);
    EXPECT_EQ(scsi_[0]->ios(), 1u);
    EXPECT_EQ(scsi_[1]->ios(), 1u);
}

TEST_F(HandlerMapTest, AFailedPathOfAClariionIsLeftByATrespass) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_port_connected(0, false);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(state(0), PathState::down);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AClariionThatLoadsFirmwareIsLeftAloneAndItsGroupBypassed) {
    make({.kind = ArrayKind::clariion});
    array_->set_upgrading(true);
    Io io(IoOp::read);
    io.request.push(io);
    map_->submit(io.request);
    loop_.pass(1s);
    EXPECT_FALSE(io.ended);
    EXPECT_FALSE(array_->last_trespass().has_value());
    array_->set_upgrading(false);
    EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
}

TEST_F(HandlerMapTest, AnExplicitAluaArrayIsToldWhichGroupIsToServe) {
    make({.kind = ArrayKind::alua_explicit});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_group_state(0, 1, wire::scsi::group_optimized, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_standby, loop_.now());
    driver_->rescan(*paths_[1]);
    loop_.pass(5s);
    EXPECT_TRUE(map_->status().paths[1].vetoed) << driver_->status_text(*paths_[1]);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->group_state(0, 2, loop_.now()), wire::scsi::group_optimized);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AnImplicitAluaGroupInStandbyGetsNoIo) {
    make({.kind = ArrayKind::alua_implicit});
    array_->set_group_state(0, 1, wire::scsi::group_standby, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_optimized, loop_.now());
    driver_->rescan(*paths_[0]);
    driver_->rescan(*paths_[1]);
    loop_.pass(5s);
    const uint64_t before = scsi_[0]->ios();
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(scsi_[0]->ios(), before);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, AnRdacControllerTakesTheLunOver) {
    make({.kind = ArrayKind::rdac});
    EXPECT_EQ(write(std::byte{0x22}), IoStatus::ok);
    array_->set_port_connected(0, false);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_TRUE(array_->last_transfer().has_value());
}

TEST_F(HandlerMapTest, AnHpSwControllerIsStarted) {
    make({.kind = ArrayKind::hp_sw});
    EXPECT_EQ(read(), IoStatus::ok);
    send(Message::switch_group, 2);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 1);
    EXPECT_EQ(group(), 2u);
}

TEST_F(HandlerMapTest, TheArrayMovesTheLunByItselfAndTheIoFollows) {
    make({.kind = ArrayKind::clariion});
    EXPECT_EQ(read(), IoStatus::ok);
    array_->set_owner(0, 1);
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(group(), 2u);
    EXPECT_EQ(state(0), PathState::down) << "02/04/03 says that it is the passive path";
}

TEST_F(HandlerMapTest, AnActivationOnEveryPathOfNoUseHoldsUntilOneIsBack) {
    make({.kind = ArrayKind::rdac});
    array_->set_port_connected(0, false);
    array_->set_port_connected(1, false);
    Io io(IoOp::read);
    io.request.push(io);
    map_->submit(io.request);
    EXPECT_TRUE(loop_.pass_until([&] { return map_->status().valid_paths == 0; }, 300s));
    EXPECT_FALSE(io.ended);
    array_->set_port_connected(1, true);
    driver_->rescan(*paths_[1]);
    map_->path_checked(1, true, "good");
    EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
}

TEST_F(HandlerMapTest, ADetachedPathAnswersItsActivationWithNoHandler) {
    make({.kind = ArrayKind::clariion});
    driver_->detach(*paths_[0]);
    EXPECT_EQ(driver_->status_text(*paths_[0]), "");
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(state(0), PathState::down);
    EXPECT_EQ(group(), 2u);
}

}  // namespace
}  // namespace braidway::sim
