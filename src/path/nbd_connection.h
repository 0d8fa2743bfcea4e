// SPDX-License-Identifier: Apache-2.0
// One connection to an NBD server: connecting, handshake, commands, end.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "loop/stream.h"
#include "path/nbd_command.h"
#include "path/peer_process.h"
#include "path/socket_connector.h"
#include "wire/nbd_client_handshake.h"

namespace braidway::path {

/// Encrypts a connection whose server has agreed to it. One for each connection.
class StreamUpgrade {
  public:
    using Done = std::function<void(Result<std::unique_ptr<loop::Stream>>)>;
    virtual ~StreamUpgrade() = default;
    /// Takes `plain`, on which no operation is under way, and gives back a stream on top of it.
    /// `done` is called exactly once, from the loop.
    virtual void begin(std::unique_ptr<loop::Stream> plain, Done done) = 0;
    /// `done` comes soon, with an error.
    virtual void cancel() = 0;
    /// What connections are encrypted with, for people; once `done` was called with a stream.
    virtual std::string description() const = 0;
};

/// What connections to one server have in common.
struct NbdConnectionOptions {
    SocketTarget target;
    wire::NbdClientWishes wishes;
    std::optional<Duration> io_timeout{};  ///< For the answer to a command.
    /// A connection that has been silent for so long is asked something.
    std::optional<Duration> keepalive{};
    /// Needed where `wishes.tls`.
    std::function<std::unique_ptr<StreamUpgrade>(loop::Loop&)> upgrade{};
};

/// One connection to an NBD server.
///
/// Sending: commands of one turn of the loop go out in one call. Receiving: small answers are cut
/// from one buffer; what follows of a large read goes straight to its memory.
///
/// A command that is not answered in io_timeout ends the connection: NBD knows no other way to call
/// it back. A command ends when no operation of the loop can touch its memory any more.
///
/// Shapes:  limits::nbd_path_window commands are with the server at a time, the others wait.
/// Errors:  closed() says why the connection has ended, in one line.
/// Threads: one lane. No allocation per command.
class NbdConnection final : private wire::NbdAwaitedRequests {
  public:
    /// Whoever uses the connection. All calls come from the loop, but those that answer cut() and
    /// drain().
    class Owner {
      public:
        /// The handshake is over: offer() counts, commands may come.
        virtual void entered(NbdConnection& connection) = 0;
        /// `command` has its outcome and is its submitter's again. It may submit others.
        virtual void command_ended(NbdConnection& connection, NbdCommand& command) = 0;
        /// A stretch of the answer to a block status.
        virtual void extent_told(NbdCommand& command, const wire::NbdExtent& extent) = 0;
        /// `length` bytes at `at` of a read are zeroes. True: the owner keeps that in mind; else
        /// the memory is filled.
        virtual bool hole_told(NbdCommand& command, uint32_t at, uint32_t length) = 0;
        /// It has ended, after the last of its commands. Destroyed later, when it is quiet().
        virtual void closed(NbdConnection& connection) = 0;

      protected:
        ~Owner() = default;
    };

    enum class State : uint8_t {
        connecting,  ///< No socket yet.
        handshake,   ///< Options are being negotiated.
        upgrading,   ///< The stream is with the StreamUpgrade.
        open,        ///< Takes commands.
        draining,    ///< Takes no more; waits for the answers that are still to come.
        leaving,     ///< Tells the server so.
        cutting,     ///< Waits for the loop to give everything back.
        closed,      ///< Final.
    };

    /// `options` outlive the connection.
    NbdConnection(loop::Loop& loop, const NbdConnectionOptions& options, Owner& owner);
    ~NbdConnection();
    NbdConnection(const NbdConnection&) = delete;
    NbdConnection& operator=(const NbdConnection&) = delete;

    void start();
    /// Only when open(). The command belongs to the connection until Owner::command_ended().
    void submit(NbdCommand& command);
    /// Ends it now; commands that may have been executed say so. `status` is that of the commands.
    void cut(std::string reason, IoStatus status);
    /// Takes no more commands, ends those that were not sent, awaits the others, says good-bye.
    /// With nothing but reads and their like under way it does not wait.
    void drain();

    State state() const { return state_; }
    bool open() const { return state_ == State::open; }
    const wire::NbdServerOffer& offer() const { return handshake_.offer(); }
    /// Commands that have not ended.
    size_t load() const { return by_age_.size(); }
    const std::string& reason() const { return reason_; }
    /// "TLSv1.3, TLS_AES_256_GCM_SHA384"; empty where it is not encrypted.
    std::string security() const { return upgrade_ == nullptr ? "" : upgrade_->description(); }
    /// It was the other side that closed.
    bool closed_by_peer() const { return closed_by_peer_; }
    /// Who listened at the other end of a unix socket.
    PeerProcess& peer() { return peer_; }
    /// Whether it may be destroyed.
    bool quiet() const;

  private:
    static constexpr uint32_t pieces_start = 256;
    static constexpr uint32_t receive_pieces = 8;

    void connected(Result<int> socket);
    void received(int32_t result);
    void sent(int32_t result);
    void receive_more();
    void take_received();
    void take_handshake();
    void handshake_said();
    void begin_upgrade();
    void upgraded(Result<std::unique_ptr<loop::Stream>> stream);
    void send_handshake();
    void take_replies();
    void copy_in(const wire::NbdReplyEvent& event);
    void fill_zeroes(const wire::NbdReplyEvent& event);
    void ask_to_send();
    void send_commands();
    bool add_to_batch(NbdCommand& command);
    void send_rest();
    void lost(int32_t result);
    void expect_answer();
    void answered(NbdCommand& command, IoStatus status);
    void end(NbdCommand& command);
    void forget_slot(const NbdCommand& command);
    wire::NbdAwaited* find(uint64_t cookie) override;
    void check_time(Instant now);
    void arm(Instant deadline);
    void probe();
    void leave();
    void finish_if_idle();

    loop::Loop& loop_;
    const NbdConnectionOptions& options_;
    Owner& owner_;
    State state_ = State::connecting;
    std::string reason_;
    IoStatus cut_status_ = IoStatus::transport;
    bool closed_by_peer_ = false;
    bool said_goodbye_ = false;

    SocketConnector connector_;
    PeerProcess peer_;
    std::unique_ptr<loop::Stream> stream_;
    std::unique_ptr<StreamUpgrade> upgrade_;
    bool upgrade_busy_ = false;
    wire::NbdClientHandshake handshake_;
    std::optional<wire::NbdReplyReader> reader_;

    IntrusiveList<NbdCommand, NbdByAge> by_age_;
    IntrusiveList<NbdCommand> queued_;
    IntrusiveList<NbdCommand> sending_;
    std::array<NbdCommand*, limits::nbd_path_window> slots_{};
    std::array<uint8_t, limits::nbd_path_window> free_slots_;
    uint32_t free_slot_count_ = 0;
    uint64_t next_serial_ = 1;
    uint32_t large_reads_ = 0;  ///< With the server.

    // Sending.
    loop::Operation send_;
    loop::TurnEnd send_soon_;
    std::vector<iovec> pieces_;
    uint32_t pieces_begin_ = 0;
    uint32_t pieces_end_ = 0;
    uint64_t batch_bytes_ = 0;
    uint64_t batch_sent_ = 0;
    std::vector<std::byte> words_;  ///< Of the handshake, to be sent.
    std::vector<std::byte> words_sending_;

    // Receiving.
    loop::Operation receive_;
    std::unique_ptr<std::byte[]> buffer_;
    size_t begin_ = 0;
    size_t end_ = 0;
    uint64_t direct_bytes_ = 0;  ///< Of the receive under way, those that go to a read's memory.
    std::array<iovec, receive_pieces + 1> receive_iov_{};

    loop::Timer timer_;
    Instant heard_;  ///< When something last came.
    NbdCommand probe_;
    std::vector<std::byte> probe_memory_;
    iovec probe_iov_{};
};

}  // namespace braidway::path
