// SPDX-License-Identifier: Apache-2.0
#include "block/flakey.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

class Flakey : public LaneTest {
  protected:
    void make(const FlakeyConfig& config) {
        auto below = std::make_unique<ScriptedDevice>();
        device_ = below.get();
        layer_ = std::make_unique<FlakeyLayer>(*loop_, std::move(below), config);
    }
    IoStatus outcome(IoOp op, uint64_t offset = 0) {
        Client client(op, offset, 4096);
        client.submit(*layer_);
        device_->answer_all(IoStatus::ok);
        settle();
        EXPECT_EQ(client.ended, 1);
        return client.status;
    }
    /// Always down: an `up` of no length.
    static FlakeyConfig always_down() {
        FlakeyConfig config;
        config.up = Duration::zero();
        config.down = 10s;
        return config;
    }
    ScriptedDevice* device_ = nullptr;
    std::unique_ptr<FlakeyLayer> layer_;
};

TEST_F(Flakey, IsUpThenDownThenUpAgain) {
    FlakeyConfig config;
    config.up = 10s;
    config.down = 5s;
    const Instant before = loop_->now();
    make(config);
    const Instant after = loop_->now();
    EXPECT_FALSE(layer_->down_at(after));
    EXPECT_FALSE(layer_->down_at(before + 10s - 1ns));
    EXPECT_TRUE(layer_->down_at(after + 10s));
    EXPECT_TRUE(layer_->down_at(before + 15s - 1ns));
    EXPECT_FALSE(layer_->down_at(after + 15s));
    EXPECT_TRUE(layer_->down_at(after + 25s));
}

TEST_F(Flakey, WithoutADownPeriodIsAlwaysUp) {
    FlakeyConfig config = always_down();
    config.down = Duration::zero();
    make(config);
    EXPECT_FALSE(layer_->down_at(loop_->now() + 1h));
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
}

TEST_F(Flakey, FailsTheChosenOperationsAndBytesWhileDown) {
    FlakeyConfig config = always_down();
    config.status = IoStatus::transport;
    config.ops = IoOpSet();
    config.ops.add(IoOp::read);
    config.range = {0, 8192};
    make(config);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::transport);
    EXPECT_EQ(outcome(IoOp::read, 8192), IoStatus::ok);
    EXPECT_EQ(outcome(IoOp::write), IoStatus::ok);
    EXPECT_EQ(device_->submitted, 2u);
}

TEST_F(Flakey, MayDropWritesAndSayTheyWereDone) {
    FlakeyConfig config = always_down();
    config.drop_writes = true;
    config.ops = IoOpSet();
    make(config);
    for (const IoOp op : {IoOp::write, IoOp::discard, IoOp::write_zeroes})
        EXPECT_EQ(outcome(op), IoStatus::ok);
    EXPECT_EQ(device_->submitted, 0u);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
    EXPECT_EQ(device_->submitted, 1u);
}

TEST_F(Flakey, ConfiguringStartsAnUpPeriod) {
    make(always_down());
    EXPECT_EQ(outcome(IoOp::read), IoStatus::io);
    layer_->configure({});
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
    FlakeyConfig off = always_down();
    off.enabled = false;
    layer_->configure(off);
    EXPECT_EQ(outcome(IoOp::read), IoStatus::ok);
}

TEST_F(Flakey, GoesDownAndUpAsTimePasses) {
    FlakeyConfig config;
    config.up = config.down = 2ms;
    make(config);
    const auto sees = [&](IoStatus wanted) {
        for (int at = 0; at < 5000; ++at) {
            if (outcome(IoOp::read) == wanted) return true;
            loop_->turn(monotonic_now() + 200us);
        }
        return false;
    };
    EXPECT_TRUE(sees(IoStatus::io));
    EXPECT_TRUE(sees(IoStatus::ok));
    EXPECT_TRUE(sees(IoStatus::io));
}

}  // namespace
}  // namespace braidway::block
