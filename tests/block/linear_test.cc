// SPDX-License-Identifier: Apache-2.0
#include "block/linear.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

class Linear : public LaneTest {
  protected:
    Result<std::unique_ptr<LinearDevice>> make(LinearConfig config, uint64_t size = 1u << 20) {
        auto below = std::make_unique<ScriptedDevice>(size);
        device_ = below.get();
        return LinearDevice::create(std::move(below), config);
    }
    ScriptedDevice* device_ = nullptr;
};

TEST_F(Linear, ShowsItsWindowOfTheDeviceBelow) {
    auto linear = make({.offset_bytes = 8192, .length_bytes = 65536});
    ASSERT_TRUE(linear.has_value());
    EXPECT_EQ((*linear)->geometry().size_bytes, 65536u);
    WatchingLayer top(std::move(*linear));
    Client read(IoOp::read, 4096, 512);
    read.submit(top);
    ASSERT_EQ(device_->waiting.size(), 1u);
    EXPECT_EQ(device_->waiting[0]->offset_bytes, 12288u);
    device_->answer(0, IoStatus::medium);
    EXPECT_EQ(read.ended, 1);
    EXPECT_EQ(read.status, IoStatus::medium);
    EXPECT_EQ(read.request.offset_bytes, 4096u);
}

TEST_F(Linear, GoesToTheEndWithoutALength) {
    auto linear = make({.offset_bytes = 8192});
    EXPECT_EQ((*linear)->geometry().size_bytes, (1u << 20) - 8192u);
}

TEST_F(Linear, LeavesFlushesAlone) {
    auto linear = make({.offset_bytes = 8192});
    Client flush(IoOp::flush);
    flush.submit(**linear);
    EXPECT_EQ(device_->waiting[0]->offset_bytes, 0u);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(flush.ended, 1);
}

TEST_F(Linear, RefusesAWindowThatDoesNotFit) {
    const uint64_t size = 1u << 20;
    EXPECT_FALSE(make({.offset_bytes = 100}).has_value());
    EXPECT_FALSE(make({.offset_bytes = 0, .length_bytes = 100}).has_value());
    EXPECT_FALSE(make({.offset_bytes = size}).has_value());
    EXPECT_FALSE(make({.offset_bytes = 512, .length_bytes = size}).has_value());
    EXPECT_FALSE(make({.offset_bytes = 512, .length_bytes = UINT64_MAX - 511}).has_value());
    EXPECT_TRUE(make({.offset_bytes = size - 512, .length_bytes = 512}).has_value());
}

TEST_F(Linear, CutsItsWindowWhenTheDeviceAppearsLater) {
    auto linear = make({.offset_bytes = 8192, .length_bytes = 65536}, 0);
    ASSERT_TRUE(linear.has_value());
    EXPECT_EQ((*linear)->geometry().size_bytes, 0u);
    device_->shape.size_bytes = 16384;
    EXPECT_EQ((*linear)->geometry().size_bytes, 8192u);
    device_->shape.size_bytes = 1u << 20;
    EXPECT_EQ((*linear)->geometry().size_bytes, 65536u);
}

}  // namespace
}  // namespace braidway::block
