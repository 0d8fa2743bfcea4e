// SPDX-License-Identifier: Apache-2.0
// A server on a loop, a device in memory, and raw clients, all on the test's own thread.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "../wire/nbd_bytes.h"
#include "export/nbd_server.h"
#include "memory_device.h"
#include "wire/nbd_protocol.h"

namespace braidway::exports {

using wire::Bytes;
using wire::Parse;
using namespace wire::nbd;

/// Long enough for a loaded machine; only a test that fails waits this long.
inline constexpr Duration patience = std::chrono::seconds(20);

/// Remembers what the server said.
class Recorder final : public NbdObserver {
  public:
    struct Left {
        std::string reason;
        bool fault;
    };
    void client_entered(const NbdClient&) override { ++entered; }
    void client_left(const NbdClient&, std::string_view reason, bool fault) override {
        left.push_back({std::string(reason), fault});
    }
    void client_refused(const NbdClient&, std::string_view) override { ++refused; }

    void accept_failed(std::string_view, int) override { ++accept_failures; }

    unsigned entered = 0;
    unsigned accept_failures = 0;
    unsigned refused = 0;
    std::vector<Left> left;
};

class Client;

/// The loop, the pool, the device, the server.
class World {
  public:
    explicit World(loop::Backend backend, NbdServerOptions options = {},
                   size_t pool_bytes = limits::pool_bytes_default)
        : World(make_loop(backend), options, pool_bytes) {}
    ~World() {
        if (loop == nullptr) return;
        device.hold = false;
        device.release_held();
        bool gone = false;
        server->shut_down([&] { gone = true; });
        server->abort_connections("the test is over");
        run_until([&] { return gone; });
        server.reset();
        EXPECT_EQ(pool->bytes_in_use(), 0u);
        while (loop->in_flight() > 0) loop->turn();
    }

    static bool available(loop::Backend backend) { return loop::Loop::create(backend).has_value(); }

    /// Turns the loop until `done`; a test that waits in vain fails.
    void run_until(const std::function<bool()>& done) {
        const Instant give_up = loop->now() + patience;
        while (!done()) {
            if (loop->now() >= give_up) {
                ADD_FAILURE() << "waited in vain";
                return;
            }
            loop->turn(loop->now() + std::chrono::milliseconds(2));
        }
    }
    /// A few turns, for what happens soon or not at all.
    void settle() {
        for (int turns = 0; turns < 20; ++turns)
            loop->turn(loop->now() + std::chrono::microseconds(200));
    }

    NbdExportOptions disk(std::string name = "disk") {
        NbdExportOptions options;
        options.name = std::move(name);
        options.device = &device;
        return options;
    }
    NbdListen listen() const {
        NbdAddress address;
        address.kind = NbdAddress::Kind::unix_socket;
        address.path = path;
        return {address, {}};
    }
    Result<void> add(NbdExportOptions options) {
        std::vector<NbdListen> listens;
        listens.push_back(listen());
        return server->add_export(std::move(options), std::move(listens));
    }
    void serve(NbdExportOptions options) {
        const Result<void> added = add(std::move(options));
        ASSERT_TRUE(added.has_value()) << added.error().message;
    }
    void serve() { serve(disk()); }

    std::string path = testing::TempDir() + "nbd_" + std::to_string(::getpid()) + ".sock";
    std::unique_ptr<loop::Loop> loop;
    std::unique_ptr<memory::BufferPool> pool;
    MemoryDevice device;
    Recorder recorder;
    std::unique_ptr<NbdServer> server;

  private:
    static std::unique_ptr<loop::Loop> make_loop(loop::Backend backend) {
        auto made = loop::Loop::create(backend);
        if (!made) ADD_FAILURE() << made.error().message;
        return std::move(made.value());
    }
    World(std::unique_ptr<loop::Loop> made, NbdServerOptions options, size_t pool_bytes)
        : loop(std::move(made)),
          pool(std::move(memory::BufferPool::create(pool_bytes).value())),
          device(*loop, 8 << 20) {
        server = std::make_unique<NbdServer>(*loop, *pool, recorder, options);
    }
};

struct Chunk {
    uint16_t flags = 0;
    uint16_t type = UINT16_MAX;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    std::string payload;
    Parse parse() const { return Parse(std::as_bytes(std::span(payload))); }
    uint32_t error() const { return (type & 0x8000) != 0 ? parse().u32() : 0; }
    std::string text() const {
        Parse parse_it = parse();
        parse_it.u32();
        return std::string(parse_it.text(parse_it.u16()));
    }
};

enum class Style { simple, structured, extended };

/// A client that says what it likes.
class Client {
  public:
    explicit Client(World& world) : world_(world) {
        fd_ = OwnedFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        world.path.copy(name.sun_path, sizeof name.sun_path - 1);
        connected =
            ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
    }

    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }
    void half_close() { ::shutdown(fd_.get(), SHUT_WR); }

    void send(const Bytes& bytes) { send(std::span(bytes.get())); }
    void send(std::span<const std::byte> bytes) {
        world_.run_until([&] {
            const ssize_t sent =
                ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) bytes = {};
            if (sent > 0) bytes = bytes.subspan(static_cast<size_t>(sent));
            return bytes.empty();
        });
    }
    /// Sends as much as the socket takes now.
    size_t send_some(std::span<const std::byte> bytes) {
        const ssize_t sent =
            ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<size_t>(sent);
    }

    /// Exactly so many bytes; fewer when the server closes.
    std::string receive(size_t count) {
        std::string got;
        world_.run_until([&] {
            char buffer[65536];
            const size_t want = std::min(sizeof buffer, count - got.size());
            if (want == 0) return true;
            const ssize_t some = ::recv(fd_.get(), buffer, want, MSG_DONTWAIT);
            if (some > 0) got.append(buffer, static_cast<size_t>(some));
            closed = some == 0 || (some < 0 && errno != EAGAIN);
            return closed || got.size() == count;
        });
        return got;
    }
    /// Whether the server closes, with nothing left to say.
    bool sees_close() { return receive(1).empty() && closed; }

    void greet(uint32_t flags = 3) {
        EXPECT_EQ(receive(greeting_bytes).size(), greeting_bytes);
        send(Bytes().u32(flags));
    }
    /// Sends an option; returns the type of its last reply.
    uint32_t option(uint32_t number, const Bytes& data = {}) {
        send(Bytes()
                 .u64(option_magic)
                 .u32(number)
                 .u32(static_cast<uint32_t>(data.size()))
                 .add(data));
        for (;;) {
            const std::string head = receive(option_reply_bytes);
            if (head.size() < option_reply_bytes) return 0;
            Parse parse(std::as_bytes(std::span(head)));
            parse.u64();
            parse.u32();
            const uint32_t type = parse.u32();
            last_data = receive(parse.u32());
            if (type == rep_ack || type >= 1u << 31) return type;
        }
    }
    /// All the way to transmission.
    void enter(Style style = Style::structured, std::string_view name = "disk") {
        style_ = style;
        greet();
        if (style != Style::simple) {
            const bool wide = style == Style::extended;
            EXPECT_EQ(option(wide ? opt_extended_headers : opt_structured_reply), rep_ack);
            const Bytes context = Bytes().string(name).u32(1).string("base:allocation");
            EXPECT_EQ(option(opt_set_meta_context, context), rep_ack);
        }
        EXPECT_EQ(option(opt_go, Bytes().string(name).u16(1).u16(info_block_size)), rep_ack);
    }

    Bytes request(uint16_t command, uint16_t flags, uint64_t cookie, uint64_t offset,
                  uint64_t length) const {
        Bytes bytes;
        const bool wide = style_ == Style::extended;
        if (wide && command == cmd_write) flags |= cmd_flag_payload_len;
        bytes.u32(wide ? extended_request_magic : request_magic).u16(flags).u16(command);
        bytes.u64(cookie).u64(offset);
        if (wide) return bytes.u64(length);
        return bytes.u32(static_cast<uint32_t>(length));
    }
    Bytes write(uint64_t cookie, uint64_t offset, std::string_view data, uint16_t flags = 0) const {
        return request(cmd_write, flags, cookie, offset, data.size()).text(data);
    }

    struct Simple {
        uint32_t error = UINT32_MAX;
        uint64_t cookie = 0;
    };
    Simple simple() {
        const std::string head = receive(simple_reply_bytes);
        Parse parse(std::as_bytes(std::span(head)));
        EXPECT_EQ(parse.u32(), simple_reply_magic);
        return {parse.u32(), parse.u64()};
    }
    Chunk chunk() {
        Chunk chunk;
        const bool wide = style_ == Style::extended;
        const std::string head = receive(wide ? extended_chunk_bytes : structured_chunk_bytes);
        Parse parse(std::as_bytes(std::span(head)));
        EXPECT_EQ(parse.u32(), wide ? extended_reply_magic : structured_reply_magic);
        chunk.flags = parse.u16();
        chunk.type = parse.u16();
        chunk.cookie = parse.u64();
        if (wide) chunk.offset = parse.u64();
        chunk.payload = receive(wide ? parse.u64() : parse.u32());
        EXPECT_EQ(chunk.flags, reply_flag_done);
        return chunk;
    }
    /// Sends a request and returns the error it is answered with, whatever the style.
    uint32_t ask(const Bytes& bytes) {
        send(bytes);
        return style_ == Style::simple ? simple().error : chunk().error();
    }
    uint32_t ask(uint16_t command, uint16_t flags, uint64_t offset, uint64_t length) {
        return ask(request(command, flags, 1, offset, length));
    }

    bool connected = false;
    bool closed = false;
    std::string last_data;  ///< Of the last option reply.

  private:
    World& world_;
    OwnedFd fd_;
    Style style_ = Style::simple;
};

/// Every test on every backend that this machine has.
class OnBackend : public testing::TestWithParam<loop::Backend> {
  protected:
    void SetUp() override {
        if (!World::available(GetParam())) GTEST_SKIP() << "this backend is not to be had here";
    }
};

#define ON_BOTH_BACKENDS(suite)                                                                    \
    INSTANTIATE_TEST_SUITE_P(, suite,                                                              \
                             testing::Values(loop::Backend::io_uring, loop::Backend::epoll),       \
                             [](const auto& each) {                                                \
                                 return each.param == loop::Backend::epoll ? "epoll" : "io_uring"; \
                             })

}  // namespace braidway::exports
