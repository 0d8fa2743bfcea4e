// SPDX-License-Identifier: Apache-2.0
#include "daemon/fabric_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class FabricNurseryTest : public testing::Test {
  protected:
    ~FabricNurseryTest() override {
        nursery_.drop(graveyard_);
        while (!graveyard_.sweep()) loop_->turn(loop_->now() + 1ms);
    }
    static PathConfig nowhere(const std::string& name) {
        PathConfig path;
        path.name = name;
        path.device.kind = DeviceConfig::Kind::nbd;
        path.device.nbd.uri = *wire::NbdUri::parse("nbd+unix:///?socket=/nonexistent/" + name);
        return path;
    }
    std::unique_ptr<loop::Loop> loop_ = std::move(*loop::Loop::create());
    FabricNursery nursery_{*loop_};
    Graveyard graveyard_;
};

TEST_F(FabricNurseryTest, ConnectsAllAndSaysWhyOneIsNotThere) {
    int answers = 0;
    nursery_.connect({{nowhere("a")}, {nowhere("b")}}, [&] { ++answers; });
    EXPECT_EQ(answers, 0);
    while (answers == 0) loop_->turn(loop_->now() + 1ms);
    OpenedPath opened = nursery_.take("a");
    ASSERT_NE(opened.fabric, nullptr);
    EXPECT_FALSE(opened.works());
    EXPECT_THAT(opened.problem, HasSubstr("cannot connect to /nonexistent/a"));
    graveyard_.bury(std::move(opened.fabric));
    EXPECT_EQ(nursery_.take("nobody").fabric, nullptr);
    nursery_.drop(graveyard_);
    EXPECT_EQ(graveyard_.size(), 2u);
}

TEST_F(FabricNurseryTest, MakesADeviceOfEachKind) {
    PathConfig iscsi;
    iscsi.name = "c";
    iscsi.device.kind = DeviceConfig::Kind::iscsi;
    iscsi.device.iscsi.uri = *path::IscsiUri::parse("iscsi://joe@127.0.0.1:1/iqn.x/0");
    iscsi.device.iscsi.chap_secret_file = "/nonexistent/secret";
    iscsi.device.iscsi.connect_timeout = 7s;
    EXPECT_EQ(connect_timeout_of(iscsi), 7s);
    bool answered = false;
    nursery_.connect({{iscsi}, {nowhere("a")}}, [&] { answered = true; });
    while (!answered) loop_->turn(loop_->now() + 1ms);
    OpenedPath opened = nursery_.take("c");
    ASSERT_NE(opened.fabric, nullptr);
    EXPECT_NE(opened.fabric->scsi(), nullptr);
    EXPECT_THAT(opened.problem, HasSubstr("cannot read /nonexistent/secret"));
    graveyard_.bury(std::move(opened.fabric));
}

TEST(FabricPaths, AnIscsiPathLogsInFromAPortOfItsOwn) {
    const auto options = [](const std::string& host, const std::string& map,
                            const std::string& path) {
        PathConfig config;
        config.name = path;
        config.device.iscsi.host = host;
        config.device.iscsi.place = map;
        return iscsi_options_of(config);
    };
    const path::IscsiOptions one = options("h", "m", "p");
    EXPECT_EQ(one.initiator, path::default_initiator("h"));
    EXPECT_EQ(one.isid, options("h", "m", "p").isid);
    EXPECT_NE(one.isid, options("h", "m", "q").isid);
    EXPECT_NE(one.isid, options("h", "n", "p").isid);
    EXPECT_NE(one.initiator, options("g", "m", "p").initiator);
    // One that takes the place of a running one must not end its session.
    PathConfig config;
    config.name = "p";
    config.device.iscsi.host = "h";
    config.device.iscsi.place = "m";
    EXPECT_EQ(iscsi_options_of(config, 0).isid, one.isid);
    EXPECT_NE(iscsi_options_of(config, 1).isid, one.isid);
    EXPECT_NE(iscsi_options_of(config, 1).isid, iscsi_options_of(config, 2).isid);
}

TEST_F(FabricNurseryTest, DoesNotConnectWhatHasNothingToBeEncryptedWith) {
    int answers = 0;
    auto tls = std::make_shared<PathTls>();
    tls->problem = "cannot read /pki/ca-cert.pem";
    nursery_.connect({{nowhere("a"), tls}, {nowhere("b")}}, [&] { ++answers; });
    while (answers == 0) loop_->turn(loop_->now() + 1ms);
    OpenedPath opened = nursery_.take("a");
    EXPECT_EQ(opened.problem, "cannot read /pki/ca-cert.pem");
    EXPECT_EQ(opened.tls, tls);
    ASSERT_NE(opened.fabric, nullptr) << "it may connect after a reload";
    graveyard_.bury(std::move(opened.fabric));
    nursery_.drop(graveyard_);
    nursery_.connect({{nowhere("a"), tls}}, [&] { ++answers; });
    EXPECT_EQ(answers, 2) << "nothing is waited for";
}

TEST_F(FabricNurseryTest, WithNothingToConnectItIsDoneAtOnce) {
    int answers = 0;
    nursery_.connect({}, [&] { ++answers; });
    EXPECT_EQ(answers, 1);
}

TEST_F(FabricNurseryTest, WhatIsDroppedWhileItConnectsSaysNothing) {
    int answers = 0;
    nursery_.connect({{nowhere("a")}}, [&] { ++answers; });
    nursery_.drop(graveyard_);
    while (!graveyard_.sweep()) loop_->turn(loop_->now() + 1ms);
    EXPECT_EQ(answers, 0);
}

}  // namespace
}  // namespace braidway::daemon
