// SPDX-License-Identifier: Apache-2.0
#include "block/delay.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

class Delay : public LaneTest {
  protected:
    void make(const DelayConfig& config) {
        auto below = std::make_unique<ScriptedDevice>();
        device_ = below.get();
        layer_ = std::make_unique<DelayLayer>(*loop_, std::move(below), config);
    }
    ScriptedDevice* device_ = nullptr;
    std::unique_ptr<DelayLayer> layer_;
};

TEST_F(Delay, KeepsARequestForItsTimeAndPassesItOnUnchanged) {
    DelayConfig config;
    config.read = 3ms;
    make(config);
    Client client(IoOp::read, 8192, 4096);
    const Instant start = monotonic_now();
    client.submit(*layer_);
    EXPECT_EQ(layer_->waiting(), 1u);
    turn_until([&] { return device_->waiting.size() == 1; });
    EXPECT_GE(monotonic_now() - start, 3ms);
    EXPECT_EQ(device_->waiting[0]->offset_bytes, 8192u);
    EXPECT_EQ(client.ended, 0);
    device_->answer_all(IoStatus::target);
    EXPECT_EQ(client.ended, 1);
    EXPECT_EQ(client.status, IoStatus::target);
}

TEST_F(Delay, EachKindOfOperationHasItsOwnTime) {
    DelayConfig config;
    config.write = 1h;
    make(config);
    Client read(IoOp::read);
    Client flush(IoOp::flush);
    Client status(IoOp::block_status);
    for (Client* client : {&read, &flush, &status}) client->submit(*layer_);
    EXPECT_EQ(device_->waiting.size(), 3u);
    Client write(IoOp::write);
    Client discard(IoOp::discard);
    Client zeroes(IoOp::write_zeroes);
    for (Client* client : {&write, &discard, &zeroes}) client->submit(*layer_);
    EXPECT_EQ(device_->waiting.size(), 3u);
    EXPECT_EQ(layer_->waiting(), 3u);
    layer_->configure({.enabled = false});
    EXPECT_EQ(device_->waiting.size(), 6u);
    device_->answer_all(IoStatus::ok);
}

TEST_F(Delay, ReleasesByDueTimeNotByArrival) {
    DelayConfig config;
    config.read = 20ms;
    config.write = 1ms;
    config.flush = 5ms;
    make(config);
    Client read(IoOp::read);
    Client write(IoOp::write);
    Client flush(IoOp::flush);
    Client second_read(IoOp::read, 4096);
    for (Client* client : {&read, &write, &flush, &second_read}) client->submit(*layer_);
    turn_until([&] { return device_->waiting.size() == 4; });
    EXPECT_EQ(device_->seen[0].op, IoOp::write);
    EXPECT_EQ(device_->seen[1].op, IoOp::flush);
    EXPECT_EQ(device_->seen[2].offset_bytes, 0u);
    EXPECT_EQ(device_->seen[3].offset_bytes, 4096u);
    device_->answer_all(IoStatus::ok);
}

TEST_F(Delay, SwitchedOffItReleasesAtOnceInOrder) {
    DelayConfig config;
    config.read = 1h;
    make(config);
    Client first(IoOp::read, 0);
    Client second(IoOp::read, 4096);
    first.submit(*layer_);
    second.submit(*layer_);
    EXPECT_TRUE(device_->waiting.empty());
    layer_->configure({.enabled = false, .read = 1h});
    ASSERT_EQ(device_->waiting.size(), 2u);
    EXPECT_EQ(device_->seen[0].offset_bytes, 0u);
    Client third(IoOp::read, 8192);
    third.submit(*layer_);
    EXPECT_EQ(device_->waiting.size(), 3u);
    device_->answer_all(IoStatus::ok);
    EXPECT_EQ(first.ended + second.ended + third.ended, 3);
}

TEST_F(Delay, JitterAddsToADelayButMakesNone) {
    DelayConfig config;
    config.read = 1ms;
    config.jitter = 20ms;
    make(config);
    Client write(IoOp::write);
    write.submit(*layer_);
    EXPECT_EQ(device_->waiting.size(), 1u);
    std::vector<std::unique_ptr<Client>> reads;
    for (uint64_t at = 0; at < 32; ++at) {
        reads.push_back(std::make_unique<Client>(IoOp::read, at * 4096));
        reads.back()->submit(*layer_);
    }
    turn_until([&] { return device_->waiting.size() == 33; });
    bool mixed = false;
    for (size_t at = 2; at < device_->seen.size(); ++at)
        mixed = mixed || device_->seen[at].offset_bytes < device_->seen[at - 1].offset_bytes;
    EXPECT_TRUE(mixed) << "with random delays some overtake others";
    device_->answer_all(IoStatus::ok);
}

}  // namespace
}  // namespace braidway::block
