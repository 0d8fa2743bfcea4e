// SPDX-License-Identifier: Apache-2.0
#include "block/layer.h"

#include "block/delay.h"
#include "block/error.h"
#include "block/flakey.h"
#include "block/linear.h"
#include "block/split.h"
#include "block/zero.h"
#include "support/devices.h"

namespace braidway::block {
namespace {

using Layers = LaneTest;

TEST(IoOpSet, HasWhatWasAdded) {
    IoOpSet set;
    EXPECT_TRUE(set.empty());
    set.add(IoOp::flush);
    EXPECT_TRUE(set.has(IoOp::flush));
    EXPECT_FALSE(set.has(IoOp::read));
    for (unsigned op = 0; op < io_ops; ++op) EXPECT_TRUE(IoOpSet::all().has(static_cast<IoOp>(op)));
}

TEST(ByteRange, TouchesWhatOverlaps) {
    Request request;
    request.offset_bytes = 4096;
    request.length_bytes = 4096;
    EXPECT_TRUE((ByteRange{}).touches(request));
    EXPECT_TRUE((ByteRange{0, 4097}).touches(request));
    EXPECT_FALSE((ByteRange{0, 4096}).touches(request));
    EXPECT_TRUE((ByteRange{8191, 1}).touches(request));
    EXPECT_FALSE((ByteRange{8192, UINT64_MAX}).touches(request));
    EXPECT_TRUE((ByteRange{4096, UINT64_MAX}).touches(request));
    EXPECT_FALSE((ByteRange{5000, 0}).touches(request)) << "an empty stretch touches nothing";
    request.op = IoOp::flush;
    EXPECT_TRUE((ByteRange{8192, 1}).touches(request));
}

/// Every kind of layer on a zero device, with a watching layer between any two.
TEST_F(Layers, StackAndKeepTheRulesOfRequests) {
    std::unique_ptr<BlockDevice> top = std::make_unique<ZeroDevice>(
        *loop_, ZeroConfig{.size_bytes = 1u << 30, .block_bytes = 512, .holes = false});
    std::vector<WatchingLayer*> watching;
    const auto watch = [&] {
        auto layer = std::make_unique<WatchingLayer>(std::move(top));
        watching.push_back(layer.get());
        top = std::move(layer);
    };
    watch();
    top = *LinearDevice::create(std::move(top), {.offset_bytes = 1u << 20, .length_bytes = 0});
    watch();
    ErrorConfig errors;
    errors.chance_ppm = 100'000;
    errors.status = IoStatus::medium;
    top = std::make_unique<ErrorLayer>(*loop_, std::move(top), errors);
    watch();
    DelayConfig delays;
    delays.read = 50us;
    delays.jitter = 100us;
    top = std::make_unique<DelayLayer>(*loop_, std::move(top), delays);
    watch();
    FlakeyConfig flaky;
    flaky.up = flaky.down = 1ms;
    top = std::make_unique<FlakeyLayer>(*loop_, std::move(top), flaky);
    top = std::make_unique<SplitLayer>(std::move(top), 8192, 16);
    watch();

    Random random(7);
    std::vector<std::unique_ptr<Client>> clients;
    int ended = 0;
    for (int at = 0; at < 64; ++at) {
        clients.push_back(std::make_unique<Client>());
        clients.back()->on_end = [&, rounds = 20](Client& client) mutable {
            ++ended;
            if (--rounds == 0) return;
            client.prepare(static_cast<IoOp>(random.below(5)), random.below(1000) * 512,
                           512 * (1 + random.below(64)));
            client.submit(*top);
        };
        clients.back()->submit(*top);
    }
    turn_until([&] { return ended == 64 * 20; });
    for (WatchingLayer* layer : watching) EXPECT_EQ(layer->in_flight, 0u);
    EXPECT_EQ(watching.back()->ended, 64u * 20u);
}

}  // namespace
}  // namespace braidway::block
