// SPDX-License-Identifier: Apache-2.0
// An NBD export as the lowest device of a path.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/slot_pool.h"
#include "memory/buffer_pool.h"
#include "path/fabric_device.h"
#include "path/nbd_connection.h"
#include "path/nbd_fingerprint.h"
#include "wire/nbd_uri.h"

namespace braidway::path {

/// How an NBD export is reached and used.
struct NbdDeviceOptions {
    wire::NbdUri uri{};
    bool read_only = false;
    std::optional<uint32_t> block_bytes{};  ///< Nothing: the server's minimum, at least 512.
    /// With servers that say MULTI_CONN; one otherwise.
    uint32_t connections = limits::nbd_path_connections_default;
    std::optional<Duration> io_timeout = limits::io_timeout_default;
    Duration connect_timeout = limits::connect_timeout_default;
    std::optional<Duration> keepalive = limits::nbd_path_keepalive_default;
    /// How long a write whose answer was lost may still happen; 0 = it is sent again at once.
    Duration resend_quiesce = limits::nbd_resend_quiesce_default;
    /// The server is known to drop what it was asked on a connection that was closed.
    bool drops_closed = false;
    /// Servers that say MULTI_CONN have one cache for this volume, wherever they run.
    bool shared_cache = true;
    std::vector<FingerprintRange> fingerprint{};
    /// Makes connections encrypted; needed where the URI says nbds.
    std::function<std::unique_ptr<StreamUpgrade>(loop::Loop&)> upgrade{};
    uint32_t commands_max = limits::volume_requests_default + 64;
};

/// An NBD export.
///
/// Up to `connections` of them; the first is filled before the next one is used, so that commands
/// travel together: of a server that answers quickly with its window, of a slow one with
/// limits::nbd_path_fill, as servers work on 16 at a time. When one connection is lost all are
/// given up: the others wait for the answers that they still get.
///
/// In doubt: a change that was sent and not answered may still happen in the server. It is settled
/// at once when the server was on a unix socket, has closed the connection and its process has
/// ended, or when drops_closed says that closing is enough; otherwise after resend_quiesce, as a
/// risk.
///
/// Identity: "nbd:EXPORT:SIZE", with a fingerprint ":" and 16 hexadecimal digits.
///
/// Shapes:  requests longer than the server takes are sent in parts, one after the other.
/// Errors:  offline while there is no admitted connection; timeout, transport; what the server
///          says.
/// Threads: one lane. No allocation per request.
class NbdDevice final : public FabricDevice, private NbdConnection::Owner {
  public:
    NbdDevice(loop::Loop& loop, NbdDeviceOptions options);
    ~NbdDevice() override;

    const block::Geometry& geometry() const override { return geometry_; }
    void connect(Connected done) override;
    void admit() override;
    void disconnect() override;
    bool quiet() const override;
    bool connected() const override { return state_ == State::up; }
    DoubtCounters doubts() const override { return doubts_.counters(); }
    /// Connections that are open now.
    uint32_t connections() const { return static_cast<uint32_t>(current_.size()); }
    /// Changes that may still happen, though nobody waits for their answers.
    bool in_doubt() const { return doubts_.any(); }

  private:
    enum class State : uint8_t {
        down,        ///< No connection.
        connecting,  ///< connect() is still to be answered.
        up,          ///< Connected; requests go only once admitted_.
    };
    /// The reads of a fingerprint, one after the other, and what they have given so far.
    struct Fingerprint {
        NbdCommand command;
        size_t next = 0;  ///< Of the ranges.
        std::vector<std::byte> memory;
        iovec data{};
        uint64_t hash = fingerprint_seed;
    };
    /// A connection with what is kept about it.
    struct Link {
        std::unique_ptr<NbdConnection> connection;
        bool entered = false;
        uint32_t doubtful = 0;  ///< Changes that it lost.
        std::unique_ptr<Fingerprint> fingerprint{};
    };

    void begin(block::Request& request) override;
    void start(block::Request& request, NbdCommand& command);
    bool send_part(NbdCommand& command);
    uint64_t part_bytes_max(IoOp op) const;
    NbdConnection* pick() const;
    void finish(NbdCommand& command, IoStatus status, bool in_doubt);
    void feed_waiting();

    void entered(NbdConnection& connection) override;
    void command_ended(NbdConnection& connection, NbdCommand& command) override;
    void extent_told(NbdCommand& command, const wire::NbdExtent& extent) override;
    bool hole_told(NbdCommand& command, uint32_t at, uint32_t length) override;
    void closed(NbdConnection& connection) override;

    void add_connection();
    void first_entered(Link& link);
    Result<void> take_offer(const wire::NbdServerOffer& offer);
    void read_fingerprint(Link& link);
    void fingerprint_read(Link& link);
    Link& link_of(const NbdConnection& connection);
    void finish_if_complete();
    void fail_connect(std::string reason, int code);
    void retire_all(bool at_once);
    void note_doubts(Link& link);
    void reap();
    std::string identity() const;
    std::string description() const;

    loop::Loop& loop_;
    NbdDeviceOptions options_;
    NbdConnectionOptions connection_options_;
    block::Geometry geometry_;
    State state_ = State::down;
    bool admitted_ = false;
    bool leaving_ = false;  ///< disconnect() was called: nothing is waited for any more.
    std::vector<Link> current_;
    std::vector<Link> former_;  ///< Ended or ending.

    // While it connects.
    Connected done_;
    loop::Timer connect_timer_;
    FabricFinding finding_;
    wire::NbdServerOffer offer_;
    std::string remarks_;

    Duration latency_{};  ///< Of commands, on average: the last eight count for most of it.
    SlotPool<NbdCommand> commands_;
    IntrusiveList<block::Request> waiting_;  ///< For a free command.
    WritesInDoubt doubts_;
    loop::TurnEnd reap_;
};

}  // namespace braidway::path
