// SPDX-License-Identifier: Apache-2.0
// NBD servers for tests of the client: one that says what the test wants, and our own.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "../wire/nbd_bytes.h"
#include "path/nbd_device.h"
#include "support/devices.h"
#include "wire/nbd_protocol.h"

namespace braidway::path {

using wire::Bytes;
using wire::Parse;

/// A request as a server sees it.
struct Asked {
    uint16_t flags = 0;
    uint16_t command = 0;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    uint32_t length = 0;
    std::string payload{};
};

/// What a scripted server says of its export.
struct ScriptedExport {
    uint64_t size_bytes = 1u << 20;
    uint16_t flags = wire::nbd::has_flags | wire::nbd::send_flush | wire::nbd::send_fua |
                     wire::nbd::send_trim | wire::nbd::send_write_zeroes |
                     wire::nbd::can_multi_conn;
    uint32_t minimum_block = 1;
    uint32_t maximum_payload = 32u << 20;
    bool structured = false;
};

/// The server's end of one connection, driven by the test: non-blocking, nothing by itself but the
/// handshake.
class ScriptedPeer {
  public:
    explicit ScriptedPeer(int fd) : fd_(fd) {
        send(Bytes()
                 .u64(wire::nbd::init_magic)
                 .u64(wire::nbd::option_magic)
                 .u16(wire::nbd::flag_fixed_newstyle | wire::nbd::flag_no_zeroes));
    }
    ScriptedPeer(ScriptedPeer&& other) noexcept
        : entered(other.entered), fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}
    ~ScriptedPeer() { close(); }

    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    void send(const Bytes& bytes) { send(std::as_bytes(std::span(bytes.get()))); }
    void send(std::span<const std::byte> bytes) {
        EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT),
                  static_cast<ssize_t>(bytes.size()));
    }
    /// Reads what is there; false when the client has closed.
    bool read() {
        char buffer[65536];
        for (;;) {
            const ssize_t got = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
            if (got <= 0) return got < 0 && errno == EAGAIN;
            in_.append(buffer, static_cast<size_t>(got));
        }
    }
    /// Answers options until the client has entered.
    void shake_hands(const ScriptedExport& shown) {
        using namespace wire::nbd;
        if (!flags_seen_) {
            if (in_.size() < client_flags_bytes) return;
            in_.erase(0, client_flags_bytes);
            flags_seen_ = true;
        }
        while (!entered && in_.size() >= option_header_bytes) {
            Parse head(std::as_bytes(std::span(in_)));
            head.u64();
            const uint32_t option = head.u32();
            const uint32_t length = head.u32();
            if (in_.size() < option_header_bytes + length) return;
            in_.erase(0, option_header_bytes + length);
            const auto reply = [&](uint32_t type, const Bytes& data = {}) {
                send(Bytes()
                         .u64(option_reply_magic)
                         .u32(option)
                         .u32(type)
                         .u32(static_cast<uint32_t>(data.size()))
                         .add(data));
            };
            if (option == opt_starttls || (option == opt_structured_reply && shown.structured)) {
                reply(rep_ack);
            } else if (option != opt_go) {
                reply(rep_err_unsup);
            } else {
                reply(rep_info, Bytes().u16(info_export).u64(shown.size_bytes).u16(shown.flags));
                reply(rep_info, Bytes()
                                    .u16(info_block_size)
                                    .u32(shown.minimum_block)
                                    .u32(4096)
                                    .u32(shown.maximum_payload));
                reply(rep_ack);
                entered = true;
            }
        }
    }
    /// Takes whole requests out of what was read.
    void take_requests(std::deque<Asked>& to) {
        while (in_.size() >= wire::nbd::request_bytes) {
            Parse head(std::as_bytes(std::span(in_)));
            EXPECT_EQ(head.u32(), wire::nbd::request_magic);
            Asked asked;
            asked.flags = head.u16();
            asked.command = head.u16();
            asked.cookie = head.u64();
            asked.offset = head.u64();
            asked.length = head.u32();
            const size_t payload = asked.command == wire::nbd::cmd_write ? asked.length : 0;
            if (in_.size() < wire::nbd::request_bytes + payload) return;
            asked.payload = in_.substr(wire::nbd::request_bytes, payload);
            in_.erase(0, wire::nbd::request_bytes + payload);
            to.push_back(std::move(asked));
        }
    }
    /// A simple reply; a read's data behind it.
    void answer(const Asked& asked, uint32_t error = 0, std::string_view data = {}) {
        send(Bytes().u32(wire::nbd::simple_reply_magic).u32(error).u64(asked.cookie).text(data));
    }
    int fd() const { return fd_; }

    bool entered = false;

  private:
    int fd_;
    std::string in_;
    bool flags_seen_ = false;
};

/// A server that does nothing but what the test says, on a unix socket.
class ScriptedServer {
  public:
    explicit ScriptedServer(std::string path) : path_(std::move(path)) { listen(); }
    ~ScriptedServer() { stop(); }

    void listen() {
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        path_.copy(name.sun_path, sizeof name.sun_path - 1);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
        EXPECT_EQ(::listen(fd_, 16), 0);
    }
    /// As a server that was killed: all its sockets close.
    void stop() {
        if (fd_ < 0) return;
        ::close(std::exchange(fd_, -1));
        peers.clear();
        ::unlink(path_.c_str());
    }
    /// Accepts, shakes hands, takes requests.
    void work() {
        if (fd_ < 0) return;
        for (int fd; (fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;)
            peers.emplace_back(fd);
        for (ScriptedPeer& peer : peers) {
            if (silent || peer.fd() < 0) continue;
            if (!peer.read()) peer.close();
            if (!peer.entered) peer.shake_hands(shown);
            if (peer.entered) peer.take_requests(asked);
        }
    }
    size_t entered() const {
        return static_cast<size_t>(std::ranges::count_if(peers, &ScriptedPeer::entered));
    }

    ScriptedExport shown;
    bool silent = false;  ///< Reads nothing, says nothing.
    std::deque<ScriptedPeer> peers;
    std::deque<Asked> asked;

  private:
    std::string path_;
    int fd_ = -1;
};

/// A device and a scripted server on one lane.
class NbdDeviceWorld : public LaneTest, protected FabricListener {
  protected:
    NbdDeviceWorld() { options_.uri = *wire::NbdUri::parse("nbd+unix:///disk?socket=" + path_); }
    ~NbdDeviceWorld() override {
        if (device_ == nullptr) return;
        device_->disconnect();
        server_.stop();
        pump_until([&] { return device_->quiet(); });
        device_.reset();
    }

    template <typename Condition>
    void pump_until(Condition condition) {
        const Instant give_up = monotonic_now() + 20s;
        while (!condition() && monotonic_now() < give_up) {
            server_.work();
            loop_->turn(monotonic_now() + 1ms);
        }
        EXPECT_TRUE(condition()) << "this has not come about";
    }
    void pump_for(Duration length) {
        const Instant end = monotonic_now() + length;
        while (monotonic_now() < end) {
            server_.work();
            loop_->turn(monotonic_now() + 1ms);
        }
    }
    /// Connects and does not admit.
    Result<FabricFinding> connect() {
        if (device_ == nullptr) {
            device_ = std::make_unique<NbdDevice>(*loop_, options_);
            device_->set_listener(this);
        }
        std::optional<Result<FabricFinding>> answer;
        device_->connect([&](Result<FabricFinding> found) { answer = std::move(found); });
        EXPECT_FALSE(answer.has_value()) << "the answer comes from the loop";
        pump_until([&] { return answer.has_value(); });
        return *answer;
    }
    void connect_and_admit() {
        const auto found = connect();
        ASSERT_TRUE(found.has_value()) << found.error().message;
        finding_ = *found;
        device_->admit();
    }
    /// The next request of any connection.
    Asked next_asked() {
        pump_until([&] { return !server_.asked.empty(); });
        if (server_.asked.empty()) return {};
        Asked asked = std::move(server_.asked.front());
        server_.asked.pop_front();
        return asked;
    }
    ScriptedPeer& first() { return server_.peers.front(); }

    void connection_lost(const std::string& reason) override { lost_.push_back(reason); }
    void writes_settled(bool at_risk) override { settled_.push_back(at_risk); }

    std::string path_ = testing::TempDir() + "nbd_path_" + std::to_string(::getpid()) + ".sock";
    ScriptedServer server_{path_};
    NbdDeviceOptions options_;
    std::unique_ptr<NbdDevice> device_;
    FabricFinding finding_;
    std::vector<std::string> lost_;
    std::vector<bool> settled_;
};

}  // namespace braidway::path
