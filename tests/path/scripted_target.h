// SPDX-License-Identifier: Apache-2.0
// An iSCSI target that does what a test says, for what no real one does when asked: it refuses
// aborts, takes few commands, sends halves. One connection at a time; small answers only.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_inquiry.h"
#include "wire/scsi_sense.h"

namespace braidway::path {

/// Speaks RFC 7143 as far as a disk of 1 MiB needs it. Its own thread answers.
class ScriptedTarget {
  public:
    using Bytes = std::vector<std::byte>;
    /// What becomes of one command.
    struct Answer {
        uint8_t status = 0;
        Bytes data{};
        Bytes sense{};
        uint32_t missing_bytes = 0;  ///< Underflow.
        bool held = false;           ///< No answer.
        /// Sends so much of the message, and the rest at release().
        std::optional<size_t> cut_after{};
    };
    static Answer check(uint8_t key, uint8_t asc, uint8_t ascq) {
        const auto sense = wire::fixed_sense({.key = key, .asc = asc, .ascq = ascq});
        return {.status = wire::scsi::status_check_condition,
                .sense = {sense.begin(), sense.end()}};
    }
    struct Script {
        /// Nothing = as a disk of zeroes.
        std::function<std::optional<Answer>(const wire::Cdb&)> command{};
        /// The response to task management; nothing = none.
        std::function<std::optional<uint8_t>(unsigned function)> management{};
        std::string redirect_to{};  ///< For logins; empty = they are taken.
        bool hangs_up = false;      ///< At a login.
        bool answers_pings = true;
        uint32_t window = 64;
    };

    explicit ScriptedTarget(Script script) : script_(std::move(script)) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof name;
        auto* generic = reinterpret_cast<sockaddr*>(&name);
        (void)bind(listener_, generic, length);
        (void)listen(listener_, 8);
        (void)getsockname(listener_, generic, &length);
        port_ = ntohs(name.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~ScriptedTarget() {
        stop_ = true;
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    ScriptedTarget(const ScriptedTarget&) = delete;
    ScriptedTarget& operator=(const ScriptedTarget&) = delete;

    uint16_t port() const { return port_; }
    /// Commands that came, by their first byte.
    std::vector<uint8_t> seen() {
        const std::lock_guard lock(mutex_);
        return seen_;
    }
    /// Sends what was held back of a message that was cut.
    void release() { released_ = true; }
    /// Sends these bytes as they are.
    void send_soon(Bytes bytes) {
        const std::lock_guard lock(mutex_);
        extra_ = std::move(bytes);
    }

  private:
    static constexpr size_t header_bytes = 48;

    void serve() {
        while (!stop_) {
            const int fd = accept(listener_, nullptr, nullptr);
            if (fd < 0) return;
            while (!stop_ && turn(fd)) {}
            close(fd);
        }
    }

    bool turn(int fd) {
        if (!rest_.empty() && released_.exchange(false)) {
            if (!put_now(fd, std::exchange(rest_, {}))) return false;
        }
        {
            const std::lock_guard lock(mutex_);
            if (!extra_.empty() && !put(fd, std::exchange(extra_, {}))) return false;
        }
        pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
        if (poll(&entry, 1, 5) == 0) return true;
        Bytes header(header_bytes);
        if (!get(fd, header)) return false;
        Bytes data(((load_big<uint32_t>(header.data() + 4) & 0xffffff) + 3) & ~size_t{3});
        if (!data.empty() && !get(fd, data)) return false;
        switch (std::to_integer<unsigned>(header[0]) & 0x3f) {
            case 0x00:
                return !script_.answers_pings || put(fd, reply(header, 0x20));
            case 0x01:
                return command(fd, header);
            case 0x02:
                return management(fd, header);
            case 0x03:
                return login(fd, header);
            case 0x06:
                return put(fd, reply(header, 0x26));
            default:
                return true;
        }
    }

    /// A message in answer to `header`, with the numbers of its session.
    Bytes reply(const Bytes& header, uint8_t opcode, const Bytes& data = {}) {
        const auto number = load_big<uint32_t>(header.data() + 24);
        const bool immediate = (header[0] & std::byte{0x40}) != std::byte{0};
        Bytes message(header_bytes);
        message[0] = std::byte{opcode};
        message[1] = std::byte{0x80};
        store_big(message.data() + 4, static_cast<uint32_t>(data.size()));
        std::copy_n(header.begin() + 16, 4, message.begin() + 16);
        store_big(message.data() + 20, UINT32_MAX);
        store_big(message.data() + 24, ++status_number_);
        const uint32_t next = immediate ? number : number + 1;
        store_big(message.data() + 28, next);
        store_big(message.data() + 32, next + script_.window - 1);
        message.insert(message.end(), data.begin(), data.end());
        message.resize((message.size() + 3) & ~size_t{3});
        return message;
    }

    bool login(int fd, const Bytes& header) {
        if (script_.hangs_up) return false;
        std::string text = script_.redirect_to.empty()
                               ? "HeaderDigest=None;DataDigest=None;InitialR2T=Yes;"
                                 "ImmediateData=Yes;FirstBurstLength=262144;"
                                 "MaxRecvDataSegmentLength=262144;"
                               : "TargetAddress=" + script_.redirect_to + ";";
        std::ranges::replace(text, ';', '\0');
        const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
        Bytes message = reply(header, 0x23, {bytes.begin(), bytes.end()});
        message[1] = header[1];
        std::copy_n(header.begin() + 8, 6, message.begin() + 8);
        if (!script_.redirect_to.empty()) store_big<uint16_t>(message.data() + 36, 0x0101);
        return put(fd, message);
    }

    bool management(int fd, const Bytes& header) {
        const unsigned function = std::to_integer<unsigned>(header[1]) & 0x7f;
        const auto response =
            script_.management ? script_.management(function) : std::optional<uint8_t>(0);
        if (!response) return true;
        Bytes message = reply(header, 0x22);
        message[2] = std::byte{*response};
        return put(fd, message);
    }

    bool command(int fd, const Bytes& header) {
        wire::Cdb cdb;
        std::copy_n(header.begin() + 32, 16, cdb.bytes.begin());
        cdb.size = 16;
        {
            const std::lock_guard lock(mutex_);
            seen_.push_back(cdb.opcode());
        }
        std::optional<Answer> answer = script_.command ? script_.command(cdb) : std::nullopt;
        const auto wanted = load_big<uint32_t>(header.data() + 20);
        const bool reads = (header[1] & std::byte{0x40}) != std::byte{0};
        if (!answer) answer = as_a_disk(cdb, reads ? wanted : 0);
        if (answer->held) return true;
        Bytes data = answer->data;
        if (data.size() > wanted) data.resize(wanted);
        const bool with_data = answer->status == 0 && reads && !data.empty();
        if (!answer->sense.empty()) {
            data.assign(2, std::byte{0});
            store_big(data.data(), static_cast<uint16_t>(answer->sense.size()));
            data.insert(data.end(), answer->sense.begin(), answer->sense.end());
        } else if (!with_data) {
            data.clear();
        }
        Bytes message = reply(header, with_data ? 0x25 : 0x21, data);
        uint32_t missing = answer->missing_bytes;
        if (with_data) missing = wanted - static_cast<uint32_t>(data.size());
        message[1] =
            std::byte{static_cast<uint8_t>(0x80 | (with_data ? 1 : 0) | (missing > 0 ? 2 : 0))};
        message[3] = std::byte{answer->status};
        if (with_data) store_big(message.data() + 36, uint32_t{0});
        store_big(message.data() + 44, missing);
        if (!answer->cut_after) return put(fd, message);
        const auto cut = message.begin() + static_cast<ptrdiff_t>(*answer->cut_after);
        rest_.assign(cut, message.end());
        message.erase(cut, message.end());
        return put_now(fd, message);
    }

    static Answer as_a_disk(const wire::Cdb& cdb, uint32_t wanted) {
        using namespace wire::scsi;
        const bool page = (cdb.bytes[1] & std::byte{1}) != std::byte{0};
        if (cdb.opcode() == op_inquiry && !page)
            return {.data = wire::inquiry_data({.vendor = "SCRIPTED", .product = "DISK"})};
        if (cdb.opcode() == op_inquiry) {
            const Bytes numbers = {std::byte{0}, std::byte{page_device_identification}};
            if (cdb.bytes[2] == std::byte{0}) return {.data = wire::vpd_data(0, numbers)};
            const std::array designators = {wire::ScsiDesignator{
                .type = wire::ScsiDesignator::naa, .name = Bytes(16, std::byte{0x60})}};
            return {.data = wire::designator_data(designators)};
        }
        if (cdb.opcode() == op_service_action_in_16) {
            const auto data = wire::capacity_16_data({.last_lba = 2047, .block_bytes = 512});
            return {.data = {data.begin(), data.end()}};
        }
        if (cdb.opcode() == op_mode_sense_6) return check(key_illegal_request, 0x20, 0);
        return {.data = Bytes(wanted)};
    }

    static bool get(int fd, Bytes& to) {
        return recv(fd, to.data(), to.size(), MSG_WAITALL) == static_cast<ssize_t>(to.size());
    }
    /// Behind what is held back of a message that was cut.
    bool put(int fd, const Bytes& bytes) {
        if (rest_.empty()) return put_now(fd, bytes);
        rest_.insert(rest_.end(), bytes.begin(), bytes.end());
        return true;
    }
    static bool put_now(int fd, const Bytes& bytes) {
        return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
    }

    Script script_;
    int listener_ = -1;
    uint16_t port_ = 0;
    uint32_t status_number_ = 0;
    Bytes rest_;
    std::atomic<bool> released_ = false;
    std::atomic<bool> stop_ = false;
    std::mutex mutex_;
    std::vector<uint8_t> seen_;
    Bytes extra_;
    std::thread thread_;
};

}  // namespace braidway::path
