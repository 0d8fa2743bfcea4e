// SPDX-License-Identifier: Apache-2.0
#include "block/error.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

class Errors : public LaneTest {
  protected:
    void make(const ErrorConfig& config) {
        auto below = std::make_unique<ScriptedDevice>();
        device_ = below.get();
        layer_ = std::make_unique<ErrorLayer>(*loop_, std::move(below), config);
    }
    /// How a request ends; `ok` is what the device below says.
    IoStatus outcome(IoOp op, uint64_t offset = 0, uint64_t length = 4096) {
        Client client(op, offset, length);
        client.submit(*layer_);
        device_->answer_all(IoStatus::ok);
        settle();
        EXPECT_EQ(client.ended, 1);
        return client.status;
    }
    ScriptedDevice* device_ = nullptr;
    std::unique_ptr<ErrorLayer> layer_;
};

TEST_F(Errors, AnswersWithTheClassThatWasChosen) {
    for (const IoStatus status : {IoStatus::transport, IoStatus::medium, IoStatus::resource}) {
        ErrorConfig config;
        config.status = status;
        make(config);
        EXPECT_EQ(outcome(IoOp::read), status);
        EXPECT_EQ(device_->submitted, 0u);
    }
}

TEST_F(Errors, TouchesOnlyTheChosenOperations) {
    ErrorConfig config;
    config.ops = IoOpSet();
    config.ops.add(IoOp::write);
    config.ops.add(IoOp::flush);
    make(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
    EXPECT_EQ(outcome(IoOp::write), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::flush), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::discard), IoStatus::ok);
}

TEST_F(Errors, TouchesOnlyTheChosenBytes) {
    ErrorConfig config;
    config.range = {8192, 4096};
    make(config);
    EXPECT_EQ(outcome(IoOp::read, 4096, 4096), IoStatus::ok);
    EXPECT_EQ(outcome(IoOp::read, 4096, 4608), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::read, 8192, 512), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::read, 11776, 512), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::read, 12288, 512), IoStatus::ok);
    EXPECT_EQ(outcome(IoOp::read, 0, 65536), IoStatus::io);
    EXPECT_EQ(outcome(IoOp::flush), IoStatus::io);
}

TEST_F(Errors, StrikesByChance) {
    ErrorConfig config;
    config.chance_ppm = 250'000;
    make(config);
    int struck = 0;
    for (int at = 0; at < 400; ++at) struck += outcome(IoOp::read) == IoStatus::io;
    EXPECT_GT(struck, 50);
    EXPECT_LT(struck, 150);
    config.chance_ppm = 0;
    layer_->configure(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
}

TEST_F(Errors, SwitchesItselfOffAfterItsCount) {
    ErrorConfig config;
    config.count = 3;
    make(config);
    for (int at = 0; at < 3; ++at) EXPECT_EQ(outcome(IoOp::read), IoStatus::io);
    EXPECT_FALSE(layer_->config().enabled);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
}

TEST_F(Errors, ACountOfNothingStrikesNever) {
    ErrorConfig config;
    config.count = 0;
    make(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
    EXPECT_EQ(layer_->config().count, 0u);
}

TEST_F(Errors, CanBeSwitchedWhileItRuns) {
    ErrorConfig config;
    config.enabled = false;
    make(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
    config.enabled = true;
    layer_->configure(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::io);
}

TEST_F(Errors, SayWhoMadeThem) {
    make({});
    Client client;
    client.submit(*layer_);
    settle();
    EXPECT_EQ(client.request.error_text, "error layer");
}

TEST_F(Errors, TheErrorDeviceFailsEverything) {
    ErrorDevice device(*loop_, 10000, 4096, IoStatus::offline);
    EXPECT_EQ(device.geometry().size_bytes, 8192u);
    for (unsigned op = 0; op < io_ops; ++op) {
        Client client(static_cast<IoOp>(op));
        client.submit(device);
        EXPECT_EQ(client.ended, 0);
        settle();
        EXPECT_EQ(client.ended, 1);
        EXPECT_EQ(client.status, IoStatus::offline);
    }
}

}  // namespace
}  // namespace braidway::block
