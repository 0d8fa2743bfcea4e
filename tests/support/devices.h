// SPDX-License-Identifier: Apache-2.0
// What the tests of devices share: a lane, clients that count their answers, a device whose answers
// the test decides, and a layer that watches the rules of requests.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "block/layer.h"
#include "loop/loop.h"
#include "memory/buffer_pool.h"

namespace braidway {

using namespace std::chrono_literals;

/// A lane on the test's own thread: a loop that the test turns, and a pool.
class LaneTest : public testing::Test {
  protected:
    LaneTest() : loop_(*loop::Loop::create()), pool_(*memory::BufferPool::create(1u << 20)) {}

    /// Runs what is ready and due, without waiting.
    void settle() {
        for (int turn = 0; turn < 4; ++turn) loop_->turn(Instant{0});
    }

    /// Turns the loop until `condition`; fails the test when that does not come about.
    template <typename Condition>
    void turn_until(Condition condition) {
        const Instant give_up = monotonic_now() + 20s;
        while (!condition() && monotonic_now() < give_up) loop_->turn(give_up);
        EXPECT_TRUE(condition()) << "this has not come about";
    }

    /// Turns the loop for a while.
    void turn_for(Duration length) {
        const Instant end = monotonic_now() + length;
        while (monotonic_now() < end) loop_->turn(end);
    }

    std::unique_ptr<loop::Loop> loop_;
    std::unique_ptr<memory::BufferPool> pool_;
};

/// Submits one request at a time and counts its answers.
struct Client final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory;
    iovec data{};
    int ended = 0;
    IoStatus status = IoStatus::ok;
    bool submitting = false;
    std::function<void(Client&)> on_end;

    explicit Client(IoOp op = IoOp::read, uint64_t offset_bytes = 0, uint64_t length_bytes = 4096,
                    int fill = 0x5a) {
        prepare(op, offset_bytes, length_bytes, fill);
    }

    /// Fills the request in for another use, with memory of its own.
    void prepare(IoOp op, uint64_t offset_bytes, uint64_t length_bytes, int fill = 0x5a) {
        request.reset();
        request.op = op;
        request.offset_bytes = offset_bytes;
        request.length_bytes = op == IoOp::flush ? 0 : length_bytes;
        if (!request.has_data()) return;
        memory.assign(length_bytes + 4096, std::byte{0});
        auto start = reinterpret_cast<uintptr_t>(memory.data());
        data = {memory.data() + (4096 - start % 4096) % 4096, length_bytes};
        std::memset(data.iov_base, fill, data.iov_len);
        request.data = {&data, 1};
    }

    void submit(block::BlockDevice& device) {
        request.push(*this);
        submitting = true;
        device.submit(request);
        submitting = false;
    }

    void completed(block::Request& answered) override {
        EXPECT_FALSE(submitting) << "a request must not end inside submit()";
        EXPECT_EQ(&answered, &request);
        answered.pop();
        EXPECT_EQ(answered.depth(), 0u) << "a layer below has left its frame";
        ++ended;
        status = answered.status();
        if (on_end) on_end(*this);
    }

    /// The first byte of the data, wherever it is by now.
    std::byte first_byte() const {
        return *static_cast<const std::byte*>(request.data[0].iov_base);
    }

    /// Whether all of the data is `value`.
    bool all(int value) const {
        const auto* bytes = static_cast<const unsigned char*>(request.data[0].iov_base);
        for (size_t at = 0; at < request.length_bytes; ++at)
            if (bytes[at] != value) return false;
        return true;
    }
};

/// A device whose answers the test decides, in any order.
class ScriptedDevice final : public block::BlockDevice {
  public:
    explicit ScriptedDevice(uint64_t size_bytes = 1u << 30) {
        shape.size_bytes = size_bytes;
        shape.can_discard = shape.can_write_zeroes = true;
        shape.can_fast_zero = shape.can_block_status = true;
    }
    const block::Geometry& geometry() const override { return shape; }
    void begin(block::Request& request) override {
        ++submitted;
        seen.push_back(request.shape());
        waiting.push_back(&request);
    }

    /// Answers the `index`th of the requests that wait.
    void answer(size_t index, IoStatus status) {
        block::Request& request = *waiting.at(index);
        waiting.erase(waiting.begin() + static_cast<ptrdiff_t>(index));
        request.finish(status);
    }
    void answer_all(IoStatus status) {
        while (!waiting.empty()) answer(0, status);
    }

    block::Geometry shape;
    uint64_t submitted = 0;
    std::vector<IoShape> seen;
    std::vector<block::Request*> waiting;
};

/// Stands between two layers and watches the rules: nothing ends inside submit(), everything ends
/// exactly once, and comes back as it was sent.
class WatchingLayer final : public block::Layer {
  public:
    using Layer::Layer;
    ~WatchingLayer() override { EXPECT_EQ(in_flight, 0u); }

    void begin(block::Request& request) override {
        ++in_flight;
        block::Frame& frame = request.push(*this);
        frame.words = {request.offset_bytes, request.length_bytes,
                       reinterpret_cast<uint64_t>(request.data.data()), 0};
        submitting_ = &request;
        below().submit(request);
        submitting_ = nullptr;
    }

    uint32_t in_flight = 0;
    uint64_t ended = 0;

  private:
    void completed(block::Request& request) override {
        EXPECT_NE(&request, submitting_) << "a request must not end inside submit()";
        const auto& words = request.top().words;
        EXPECT_EQ(words[0], request.offset_bytes);
        EXPECT_EQ(words[1], request.length_bytes);
        EXPECT_EQ(words[2], reinterpret_cast<uint64_t>(request.data.data()));
        --in_flight;
        ++ended;
        Layer::completed(request);
    }

    block::Request* submitting_ = nullptr;
};

/// A scripted device under a layer: the layer owns it, the test keeps an eye on it.
struct Scripted {
    std::unique_ptr<ScriptedDevice> owned = std::make_unique<ScriptedDevice>();
    ScriptedDevice* device = owned.get();
};

}  // namespace braidway
