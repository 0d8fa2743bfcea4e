// SPDX-License-Identifier: Apache-2.0
// The hardware handler of a volume: which one it is, what it does when paths fail and come back,
// and how it is changed and taken down.
#include "daemon/volume_handler.h"

#include <gtest/gtest.h>

#include "daemon/array_volume.h"

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;
using sim::ArrayKind;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

using VolumeHandlerTest = ArrayVolumeTest;

struct Array {
    ArrayKind kind;
    const char* handler;
};
const Array arrays[] = {{ArrayKind::alua_explicit, "1 alua"}, {ArrayKind::alua_implicit, "1 alua"},
                        {ArrayKind::clariion, "1 emc"},       {ArrayKind::rdac, "1 rdac"},
                        {ArrayKind::hp_sw, "1 hp_sw"},        {ArrayKind::plain, "0"}};

class EachArrayTest : public ArrayVolumeTest, public testing::WithParamInterface<Array> {};

TEST_P(EachArrayTest, SaysItselfWhichHandlerItNeeds) {
    make(GetParam().kind);
    EXPECT_EQ(map_snapshot().hardware_handler, GetParam().handler);
    EXPECT_EQ(read(), IoStatus::ok);
}

TEST_P(EachArrayTest, ServesTheOtherGroupWhenTheFirstIsLost) {
    make(GetParam().kind);
    // An array of which hosts cannot move a LUN has moved it by itself.
    EXPECT_EQ(write(std::byte{0x11}), IoStatus::ok);
    devices_["a"]->reachable = false;
    devices_["a"]->lose();
    if (GetParam().kind == ArrayKind::alua_implicit)
        array_->set_group_state(0, 2, wire::scsi::group_optimized, loop_.now());
    ClientIo io(IoOp::read);
    EXPECT_EQ(run(io), IoStatus::ok);
    EXPECT_EQ(io.memory[0], std::byte{0x11});
    EXPECT_EQ(map_snapshot().current_group, 2u);
    const bool owned = GetParam().kind == ArrayKind::clariion ||
                       GetParam().kind == ArrayKind::rdac || GetParam().kind == ArrayKind::hp_sw;
    EXPECT_EQ(array_->owner(0), owned ? 1 : 0) << "the activation moves the LUN, where it can";
}

INSTANTIATE_TEST_SUITE_P(Arrays, EachArrayTest, testing::ValuesIn(arrays));

TEST_F(VolumeHandlerTest, IoIsKeptOffAStandbyGroupAndListPathsSaysWhy) {
    make(ArrayKind::alua_implicit);
    array_->set_group_state(0, 1, wire::scsi::group_standby, loop_.now());
    array_->set_group_state(0, 2, wire::scsi::group_optimized, loop_.now());
    devices_["a"]->lose();
    devices_["b"]->lose();
    loop_.pass(6s);
    const uint64_t before = devices_["a"]->ios();
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(map_snapshot().current_group, 2u);
    EXPECT_TRUE(path_snapshot("a").vetoed);
    EXPECT_THAT(path_snapshot("a").handler_state, HasSubstr("standby"));
    EXPECT_FALSE(path_snapshot("b").vetoed);
    EXPECT_EQ(devices_["a"]->ios(), before);
}

TEST_F(VolumeHandlerTest, SenseDataOfIoAreReadByTheHandlerFirst) {
    make(ArrayKind::alua_both);
    EXPECT_EQ(read(), IoStatus::ok);
    loop_.pass(1s);
    const uint32_t reports = array_->count(wire::scsi::op_maintenance_in);
    array_->script(wire::scsi::op_read_16,
                   sim::sense_reply(wire::scsi::key_unit_attention, 0x2a, 0x06), 1, 0);
    EXPECT_EQ(read(), IoStatus::ok);
    loop_.pass(1s);
    EXPECT_GT(array_->count(wire::scsi::op_maintenance_in), reports)
        << "asymmetric access has changed: the handler asks how";
    EXPECT_THAT(told_.events, Not(Contains("failed a")));
}

TEST_F(VolumeHandlerTest, APortThatWaitsIsAGhostAndCountsAsUp) {
    make(ArrayKind::clariion);
    loop_.pass(6s);
    EXPECT_EQ(path_snapshot("a").check, "ready");
    EXPECT_EQ(path_snapshot("b").check, "ghost") << path_snapshot("b").check_message;
    EXPECT_EQ(path_snapshot("b").state, "up");
    EXPECT_TRUE(path_snapshot("b").vetoed);
}

TEST_F(VolumeHandlerTest, ADirectioCheckFindsNoUseInAPortThatWaits) {
    make_array({.kind = ArrayKind::clariion});
    std::vector<WantedPath> paths;
    paths.push_back(wanted(0));
    paths.push_back(wanted(1));
    paths[1].config.check.checker = CheckConfig::Checker::directio;
    ASSERT_TRUE(create(std::move(paths)).has_value());
    loop_.pass(6s);
    EXPECT_EQ(path_snapshot("b").check, "faulty");
    EXPECT_EQ(path_snapshot("b").state, "down");
}

TEST_F(VolumeHandlerTest, ALunThatAnotherHostMovedIsFoundByTheChecks) {
    make(ArrayKind::clariion);
    loop_.pass(6s);
    array_->set_owner(0, 1);
    loop_.pass(6s);
    EXPECT_TRUE(path_snapshot("a").vetoed) << path_snapshot("a").handler_state;
    EXPECT_FALSE(path_snapshot("b").vetoed) << path_snapshot("b").handler_state;
}

TEST_F(VolumeHandlerTest, WhatChangesIsAskedAgainSoonAndIsNoVerdict) {
    make(ArrayKind::alua_implicit);
    loop_.pass(6s);
    array_->script(wire::scsi::op_test_unit_ready,
                   sim::sense_reply(wire::scsi::key_not_ready, 0x04, 0x0a), 1, 0);
    volume_->find_checker(*volume_->find_path("a"))->check_now();
    loop_.pass(100ms);
    EXPECT_EQ(path_snapshot("a").check, "ready");
    EXPECT_THAT(path_snapshot("a").check_message, HasSubstr("its state is changing"));
    loop_.pass(1s);
    EXPECT_THAT(path_snapshot("a").check_message, Not(HasSubstr("its state is changing")));
    EXPECT_THAT(told_.events, Not(Contains("failed a")));
}

TEST_F(VolumeHandlerTest, APathOfAnotherKindIsUsedWithoutTheHandler) {
    make_array({.kind = ArrayKind::plain});
    std::vector<WantedPath> paths;
    paths.push_back(wanted(0));
    ASSERT_TRUE(create(std::move(paths), handler("alua")).has_value());
    EXPECT_EQ(map_snapshot().hardware_handler, "1 alua");
    EXPECT_EQ(write(std::byte{1}), IoStatus::ok);
    EXPECT_THAT(path_snapshot("a").handler_remark, HasSubstr("TPGS"));
    EXPECT_THAT(told_.events, Contains(HasSubstr("path-remark a")));
}

TEST_F(VolumeHandlerTest, AnArrayThatAppearsLaterBringsItsHandler) {
    make_array({.kind = ArrayKind::clariion});
    sim::ScsiResponder silent({.kind = ArrayKind::plain});
    std::vector<WantedPath> paths;
    paths.push_back(wanted(0, false));
    paths.push_back(wanted(1));
    // The one path that works says nothing of its kind.
    paths[1].opened.finding.inquiry.clear();
    ASSERT_TRUE(create(std::move(paths)).has_value());
    EXPECT_EQ(map_snapshot().hardware_handler, "0");
    devices_["a"]->reachable = true;
    loop_.pass(6s);
    EXPECT_EQ(map_snapshot().hardware_handler, "1 emc");
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(path_snapshot("a").handler_remark, "");
    EXPECT_NE(path_snapshot("b").handler_remark, "");
}

TEST_F(VolumeHandlerTest, APathThatComesBackIsAskedAnew) {
    make(ArrayKind::clariion);
    EXPECT_EQ(read(), IoStatus::ok);
    devices_["b"]->reachable = false;
    devices_["b"]->lose();
    array_->set_owner(0, 1);
    devices_["b"]->reachable = true;
    loop_.pass(6s);
    EXPECT_TRUE(devices_["b"]->connected());
    EXPECT_FALSE(path_snapshot("b").vetoed) << path_snapshot("b").handler_state;
}

TEST_F(VolumeHandlerTest, AReloadTakesTheHandlerAwayAndBringsItBackUnderIo) {
    make(ArrayKind::alua_explicit);
    EXPECT_EQ(read(), IoStatus::ok);
    for (const bool off : {true, false}) {
        ClientIo io(IoOp::write, std::byte{7});
        volume_->map().submit(io.request);
        std::vector<WantedPath> paths;
        paths.push_back(kept("a"));
        paths.push_back(kept("b"));
        ASSERT_TRUE(reload(std::move(paths), off ? handler("") : handler("alua", {"1"})));
        EXPECT_EQ(map_snapshot().hardware_handler, off ? "0" : "2 alua 1");
        EXPECT_EQ(devices_["a"]->reads_sense, !off);
        EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
        EXPECT_EQ(io.request.status(), IoStatus::ok);
        EXPECT_EQ(read(), IoStatus::ok);
    }
}

TEST_F(VolumeHandlerTest, APathMayGoWhileItIsBeingActivated) {
    make(ArrayKind::rdac);
    EXPECT_EQ(read(), IoStatus::ok);
    devices_["b"]->channel().set_delay(3s);
    ASSERT_TRUE(volume_->map()
                    .handle({.message = multipath::Message::switch_group, .group = 2, .reason = {}})
                    .has_value());
    ClientIo io(IoOp::read);
    volume_->map().submit(io.request);
    loop_.pass(1s);
    EXPECT_FALSE(io.ended) << "the activation is under way";
    std::vector<WantedPath> paths;
    paths.push_back(kept("a"));
    ASSERT_TRUE(reload(std::move(paths)).has_value());
    EXPECT_TRUE(loop_.pass_until([&] { return io.ended; }, 60s));
    EXPECT_EQ(io.request.status(), IoStatus::ok);
    EXPECT_TRUE(loop_.pass_until([&] { return graveyard_.sweep(); }, 60s));
}

TEST_F(VolumeHandlerTest, APathThatJoinsGetsTheHandler) {
    make_array({.kind = ArrayKind::clariion});
    std::vector<WantedPath> paths;
    paths.push_back(wanted(0));
    ASSERT_TRUE(create(std::move(paths)).has_value());
    EXPECT_EQ(read(), IoStatus::ok);
    std::vector<WantedPath> more;
    more.push_back(kept("a"));
    more.push_back(wanted(1));
    ASSERT_TRUE(reload(std::move(more)).has_value());
    devices_["a"]->reachable = false;
    devices_["a"]->lose();
    EXPECT_EQ(read(), IoStatus::ok);
    EXPECT_EQ(array_->owner(0), 1);
}

TEST_F(VolumeHandlerTest, AVolumeGoesWhileItsHandlerWaitsForAnAnswer) {
    make(ArrayKind::hp_sw);
    EXPECT_EQ(read(), IoStatus::ok);
    for (const char* name : {"a", "b"}) devices_[name]->channel().set_delay(30s);
    devices_["b"]->lose();
    loop_.pass(6s);
    volume_->map().shut_down();
    volume_->bury(graveyard_);
    volume_.reset();
    EXPECT_FALSE(graveyard_.sweep()) << "its commands are still under way";
}

}  // namespace
}  // namespace braidway::daemon
