// SPDX-License-Identifier: Apache-2.0
// Any server against a whole NBD device on a real loop: handshake, agreement to TLS, replies and
// chunks in any order, ends at any time. Every request ends exactly once, no read is good before
// all of it was told, and no byte outside of its memory is touched.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "nbd_fuzz_server.h"
#include "path/nbd_device.h"

namespace braidway {
namespace {

using fuzz::Input;
using fuzz::Server;
using fuzz::untouched;

constexpr size_t requests_max = 12;
constexpr size_t guard_bytes = 64;

/// A stream that needs no more than the agreement to be "encrypted".
class PlainUpgrade final : public path::StreamUpgrade {
  public:
    explicit PlainUpgrade(loop::Loop& loop) : loop_(loop) {
        operation_.owner = this;
        operation_.done = [](loop::Operation& operation, int32_t) {
            auto& self = *static_cast<PlainUpgrade*>(operation.owner);
            const Done done = std::exchange(self.done_, nullptr);
            if (self.cancelled_) return done(fail("cancelled"));
            done(std::move(self.stream_));
        };
    }
    void begin(std::unique_ptr<loop::Stream> plain, Done done) override {
        stream_ = std::move(plain);
        done_ = std::move(done);
        loop_.complete_soon(operation_, 0);
    }
    void cancel() override { cancelled_ = true; }
    std::string description() const override { return "nothing"; }

  private:
    loop::Loop& loop_;
    std::unique_ptr<loop::Stream> stream_;
    Done done_;
    loop::Operation operation_;
    bool cancelled_ = false;
};

/// A request of the map above, with guards around its memory.
struct Ask final : block::CompletionStage {
    block::Request request;
    std::vector<std::byte> memory;
    iovec data{};
    block::Extent extents[4];
    bool ended = false;

    void submit(path::NbdDevice& device, IoOp op, uint64_t offset, uint64_t length) {
        request.op = op;
        request.offset_bytes = offset;
        request.length_bytes = op == IoOp::flush ? 0 : length;
        request.extents = extents;
        memory.assign(length + 2 * guard_bytes, untouched);
        data = {memory.data() + guard_bytes, length};
        if (request.has_data()) request.data = {&data, 1};
        request.push(*this);
        device.submit(request);
    }
    void completed(block::Request& answered) override {
        CHECK(!ended, "a request ends once");
        ended = true;
        answered.pop();
        const auto is_untouched = [](std::byte each) { return each == untouched; };
        const std::span<const std::byte> all(memory);
        CHECK(std::ranges::all_of(all.first(guard_bytes), is_untouched) &&
                  std::ranges::all_of(all.last(guard_bytes), is_untouched),
              "memory beside a request is not touched");
        CHECK(answered.extents_count <= std::size(extents), "extents have room");
        if (answered.op != IoOp::read || answered.status() != IoStatus::ok || answered.hole) return;
        CHECK(std::ranges::none_of(all.subspan(guard_bytes, data.iov_len), is_untouched),
              "all of a good read was told");
    }
};

/// One device with its requests.
class World {
  public:
    World(loop::Loop& loop, Server& server, uint8_t shape) : loop_(loop), server_(server) {
        path::NbdDeviceOptions options;
        options.uri = *wire::NbdUri::parse(server.uri((shape & 1) != 0));
        options.connections = (shape & 2) != 0 ? 2 : 1;
        options.io_timeout = options.keepalive = std::nullopt;
        options.resend_quiesce = Duration(0);
        options.commands_max = requests_max / 2;  // Some have to wait.
        options.upgrade = [](loop::Loop& lane) { return std::make_unique<PlainUpgrade>(lane); };
        if ((shape & 32) != 0) options.fingerprint = {{.offset_bytes = 512, .length_bytes = 64}};
        device_ = std::make_unique<path::NbdDevice>(loop, std::move(options));
        connect();
    }
    void turn(unsigned times = 2) {
        while (times-- > 0) {
            server_.work();
            loop_.turn(Instant{0});
        }
        server_.work();
    }
    /// One thing that the map above does.
    void play(Input& input) {
        const uint8_t what = input.byte();
        if (what % 16 == 15) return device_->disconnect();
        if (what % 16 == 14) return connect();
        if (asks_.size() == requests_max || !device_->connected()) return;
        constexpr IoOp ops[]{IoOp::read,  IoOp::read,         IoOp::write,        IoOp::flush,
                             IoOp::cache, IoOp::write_zeroes, IoOp::block_status, IoOp::discard};
        const uint64_t offset = input.byte() * 512ull;
        const uint64_t length = (1 + input.byte()) * 512ull;
        asks_.emplace_back().submit(*device_, ops[what % std::size(ops)], offset, length);
    }
    /// The server goes, then the device; nothing may be left.
    void end() {
        device_->disconnect();
        for (unsigned times = 0; !device_->quiet(); ++times) {
            CHECK(times < 1000, "a device without a server comes to its end");
            server_.end();
            loop_.turn(Instant{0});
        }
        for (const Ask& ask : asks_) CHECK(ask.ended, "every request ends");
        CHECK(connects_ == answers_, "every attempt is answered");
        device_.reset();
    }

  private:
    void connect() {
        if (device_->connected() || connects_ != answers_ || connects_ == 4) return;
        ++connects_;
        device_->connect([this](Result<path::FabricFinding> found) {
            ++answers_;
            if (found) return device_->admit();
            CHECK(!found.error().message.empty(), "a failure says why");
            CHECK(found.error().message.find('\n') == std::string::npos, "in one line");
        });
    }

    loop::Loop& loop_;
    Server& server_;
    std::unique_ptr<path::NbdDevice> device_;
    std::deque<Ask> asks_;
    int connects_ = 0;
    int answers_ = 0;
};

}  // namespace
}  // namespace braidway

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace braidway;
    if (size < 2) return 0;
    static const std::unique_ptr<loop::Loop> lane = *loop::Loop::create(loop::Backend::epoll);
    static Server server;
    Input input(std::span(data, size).subspan(2));
    server.begin(data[0], data[1]);
    World world(*lane, server, data[0]);
    world.turn(server.well_behaved() ? 12 : 3);
    while (!input.empty()) {
        if (input.byte() % 2 == 0)
            server.play(input);
        else
            world.play(input);
        world.turn();
    }
    world.end();
    return 0;
}
