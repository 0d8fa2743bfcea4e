// SPDX-License-Identifier: Apache-2.0
// An NBD server that says what a fuzzer's bytes say: good and bad words, in any order.
#pragma once

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "wire/nbd_protocol.h"

namespace braidway::fuzz {

using namespace wire::nbd;

inline constexpr uint64_t export_bytes = 1u << 20;
/// In one run; a fuzzer likes to say much.
inline constexpr size_t sent_max = 512u << 10;
/// Never said: memory that nothing was read into.
inline constexpr std::byte untouched{0xee};

/// The fuzzer's bytes, one after the other; zeroes behind the end.
class Input {
  public:
    explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
    bool empty() const { return bytes_.empty(); }
    uint8_t byte() {
        if (bytes_.empty()) return 0;
        const uint8_t value = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return value;
    }
    uint16_t word() { return static_cast<uint16_t>(byte() << 8 | byte()); }
    std::string text(size_t length) {
        length = std::min(length, bytes_.size());
        std::string to(bytes_.begin(), bytes_.begin() + static_cast<ptrdiff_t>(length));
        bytes_ = bytes_.subspan(length);
        return to;
    }

  private:
    std::span<const uint8_t> bytes_;
};

template <typename T>
void add(std::string& to, T value) {
    std::byte bytes[sizeof value];
    store_big(bytes, value);
    to.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

/// What the device has asked the server.
struct Asked {
    size_t connection = 0;
    uint16_t command = 0;
    uint64_t cookie = 0;
    uint64_t offset = 0;
    uint32_t length = 0;
};

/// The server's end of a connection.
struct Peer {
    int fd = -1;
    std::string in;
    uint32_t option = 0;
    bool flags_seen = false;
    bool entered = false;
};

/// A server that says what the input says.
class Server {
  public:
    Server() : name_(fmt::format("braidway-nbd-client-fuzz-{}", ::getpid())) {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        name_.copy(address.sun_path + 1, sizeof address.sun_path - 1);
        const auto length =
            static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
        const auto* where = reinterpret_cast<const sockaddr*>(&address);
        CHECK(::bind(listener_, where, length) == 0 && ::listen(listener_, 64) == 0,
              "an abstract socket is to be had");
    }
    std::string uri(bool tls) const {
        return fmt::format("{}+unix:///disk?socket=%00{}", tls ? "nbds" : "nbd", name_);
    }
    void begin(uint8_t shape, uint64_t seed) {
        shape_ = shape;
        random_ = Random(seed);
        sent_ = 0;
    }
    void end() {
        accept();
        for (Peer& peer : peers_) close(peer);
        peers_.clear();
        asked.clear();
    }
    void accept() {
        for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
            peers_.push_back({.fd = fd, .in = {}});
            if (well_behaved()) greet(peers_.size() - 1, flag_fixed_newstyle | flag_no_zeroes);
        }
    }
    /// Takes what has come from the device.
    void work() {
        accept();
        for (size_t at = 0; at < peers_.size(); ++at) {
            Peer& peer = peers_[at];
            char buffer[65536];
            ssize_t got = 0;
            while (peer.fd >= 0 && (got = ::recv(peer.fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0)
                peer.in.append(buffer, static_cast<size_t>(got));
            if (!peer.entered) take_options(at);
            if (peer.entered) take_requests(at);
        }
    }
    void play(Input& input);
    bool well_behaved() const { return (shape_ & 4) != 0; }

    std::deque<Asked> asked;

  private:
    void say(size_t at, std::string bytes) {
        if (at >= peers_.size() || peers_[at].fd < 0 || sent_ + bytes.size() > sent_max) return;
        sent_ += bytes.size();
        // Only memory that was not written to holds that byte.
        std::ranges::replace(bytes, static_cast<char>(untouched), 'e');
        // In two pieces now and then, as a network would; the rest follows in the same turn.
        const size_t first = random_.below(2) == 0 ? bytes.size() : random_.below(bytes.size() + 1);
        for (const auto& piece : {bytes.substr(0, first), bytes.substr(first)})
            (void)::send(peers_[at].fd, piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    static void close(Peer& peer) {
        if (peer.fd >= 0) ::close(std::exchange(peer.fd, -1));
    }
    void greet(size_t at, uint16_t flags) {
        std::string text;
        add(text, init_magic);
        add(text, option_magic);
        add(text, flags);
        say(at, text);
    }
    void answer_option(size_t at, uint32_t type, const std::string& data) {
        std::string text;
        add(text, option_reply_magic);
        add(text, peers_[at].option);
        add(text, type);
        add(text, static_cast<uint32_t>(data.size()));
        say(at, text + data);
    }
    void take_options(size_t at);
    void answer_well(size_t at);
    void take_requests(size_t at);
    void play_option(Input& input);
    void play_simple(Input& input);
    void play_chunk(Input& input);
    const Asked* pick(Input& input) {
        const size_t number = input.byte();
        return asked.empty() ? nullptr : &asked[number % asked.size()];
    }

    std::string name_;
    int listener_ = -1;
    uint8_t shape_ = 0;
    Random random_{0};
    size_t sent_ = 0;
    size_t current_ = 0;
    std::deque<Peer> peers_;
};

inline void Server::take_options(size_t at) {
    Peer& peer = peers_[at];
    if (!peer.flags_seen) {
        if (peer.in.size() < client_flags_bytes) return;
        peer.in.erase(0, client_flags_bytes);
        peer.flags_seen = true;
    }
    while (!peer.entered && peer.in.size() >= option_header_bytes) {
        const auto* head = reinterpret_cast<const std::byte*>(peer.in.data());
        // One that was entered by the fuzzer's own words speaks of requests now.
        if (load_big<uint64_t>(head) != option_magic) {
            peer.entered = true;
            return;
        }
        const size_t whole = option_header_bytes + load_big<uint32_t>(head + 12);
        if (peer.in.size() < whole) return;
        peer.option = load_big<uint32_t>(head + 8);
        peer.in.erase(0, whole);
        if (well_behaved()) answer_well(at);
    }
}

inline void Server::answer_well(size_t at) {
    const uint32_t option = peers_[at].option;
    if (option == opt_starttls || (option == opt_structured_reply && (shape_ & 8) != 0))
        return answer_option(at, rep_ack, "");
    if (option == opt_set_meta_context && (shape_ & 16) != 0) {
        std::string context;
        add(context, base_allocation_id);
        answer_option(at, rep_meta_context, context + "base:allocation");
        return answer_option(at, rep_ack, "");
    }
    if (option != opt_go) return answer_option(at, rep_err_unsup, "");
    std::string shown;
    add(shown, static_cast<uint16_t>(info_export));
    add(shown, export_bytes);
    constexpr uint16_t flags = has_flags | send_flush | send_fua | send_trim | send_write_zeroes |
                               send_fast_zero | send_cache;
    add(shown, static_cast<uint16_t>((shape_ & 2) != 0 ? flags | can_multi_conn : flags));
    answer_option(at, rep_info, shown);
    answer_option(at, rep_ack, "");
    peers_[at].entered = true;
}

inline void Server::take_requests(size_t at) {
    std::string& in = peers_[at].in;
    while (in.size() >= request_bytes) {
        const auto* head = reinterpret_cast<const std::byte*>(in.data());
        Asked asks{.connection = at,
                   .command = load_big<uint16_t>(head + 6),
                   .cookie = load_big<uint64_t>(head + 8),
                   .offset = load_big<uint64_t>(head + 16),
                   .length = load_big<uint32_t>(head + 24)};
        const size_t whole = request_bytes + (asks.command == cmd_write ? asks.length : 0);
        if (in.size() < whole) return;
        in.erase(0, whole);
        if (asks.command != cmd_disc) asked.push_back(asks);
    }
}

/// One thing that the server says or does.
inline void Server::play(Input& input) {
    switch (input.byte() % 8) {
        case 0:
            return say(current_, input.text(input.byte()));
        case 1:
            return greet(current_, input.word());
        case 2:
            return play_option(input);
        case 3:
            return play_simple(input);
        case 4:
        case 5:
            return play_chunk(input);
        case 6:
            current_ = input.byte() % 3;
            return;
        default:
            if (current_ < peers_.size() && input.byte() % 4 == 0) close(peers_[current_]);
    }
}

inline void Server::play_option(Input& input) {
    constexpr uint32_t types[]{rep_ack,          rep_info,        rep_meta_context, rep_server,
                               rep_err_unsup,    rep_err_policy,  rep_err_tls_reqd, rep_err_unknown,
                               rep_err_shutdown, rep_err_too_big, 1u << 31 | 0x777, 77};
    const uint32_t type = types[input.byte() % std::size(types)];
    const uint8_t length = input.byte();
    if (current_ < peers_.size()) answer_option(current_, type, input.text(length));
}

inline void Server::play_simple(Input& input) {
    const Asked* asks = pick(input);
    const uint8_t error = input.byte();
    if (asks == nullptr) return;
    std::string text;
    add(text, simple_reply_magic);
    add(text, uint32_t{error});
    add(text, asks->cookie);
    if (error == 0 && asks->command == cmd_read) text.append(asks->length, 'd');
    say(asks->connection, text);
}

inline void Server::play_chunk(Input& input) {
    constexpr uint16_t types[]{reply_none,
                               reply_offset_data,
                               reply_offset_hole,
                               reply_block_status,
                               reply_error,
                               reply_error_offset,
                               6,
                               0x8777};
    const Asked* asks = pick(input);
    const uint16_t type = types[input.byte() % std::size(types)];
    const uint8_t flags = input.byte();
    const uint32_t from = input.word() * 512u;
    // 0 is all of it, so that good answers are short to say.
    const uint32_t wished = input.byte() * 512u;
    if (asks == nullptr) return;
    const uint32_t length = wished == 0 ? asks->length : std::min(wished, 1u << 17);
    const uint64_t offset = asks->offset + (wished == 0 ? 0 : from);
    std::string data;
    if (type == reply_offset_data || type == reply_offset_hole) add(data, offset);
    if (type == reply_offset_data) data.append(length, 'd');
    if (type == reply_offset_hole) add(data, length);
    if (type == reply_block_status) {
        add(data, base_allocation_id);
        for (uint32_t left = flags % 4 + 1; left > 0; --left) {
            add(data, length);
            add(data, uint32_t{flags});
        }
    }
    if (type == reply_error || type == reply_error_offset) {
        const std::string text = input.text(flags);
        add(data, uint32_t{error_eio});
        add(data, static_cast<uint16_t>(text.size()));
        data += text;
        if (type == reply_error_offset) add(data, offset);
    }
    std::string text;
    add(text, structured_reply_magic);
    add(text, static_cast<uint16_t>(flags & 3));
    add(text, type);
    add(text, asks->cookie);
    add(text, static_cast<uint32_t>(data.size()));
    say(asks->connection, text + data);
}

}  // namespace braidway::fuzz
