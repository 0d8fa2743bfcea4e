// SPDX-License-Identifier: Apache-2.0
// One NBD client: its socket, its handshake, its requests in flight.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "block/request.h"
#include "export/nbd_export.h"
#include "export/nbd_observer.h"
#include "export/owned_fd.h"
#include "loop/stream.h"
#include "tls/tls_stream.h"
#include "wire/nbd_handshake.h"
#include "wire/nbd_reply.h"
#include "wire/nbd_request.h"

namespace braidway::exports {

class NbdAddressBook;
class NbdServer;
struct NbdFlushTag;

/// One client's connection, from accept to its last request.
///
/// Reading: one receive is posted into a staging area and all requests in it are taken. A write's
/// payload goes to its aligned buffer: what is staged is copied, the rest is received in place. A
/// request's whole reservation (its slot, its bytes) is taken before its payload is read; while one
/// cannot be had, the client is not read, only watched for hang-up.
/// Writing: replies collect until the end of the loop's turn and go out in one send.
///
/// A client may ask for TLS: then all of this goes through an encrypted stream.
///
/// A client may vanish at any moment: requests run to their end, replies are dropped, and the
/// connection retires when the last is done.
///
/// Threads: one lane. No allocation per request.
class NbdConnection final : public block::CompletionStage,
                            public ListNode<NbdWaitTag>,
                            public ListNode<NbdFlushTag> {
  public:
    NbdConnection(NbdServer& server, const NbdAddressBook& book, OwnedFd fd, NbdClient client);
    ~NbdConnection();
    NbdConnection(const NbdConnection&) = delete;
    NbdConnection& operator=(const NbdConnection&) = delete;

    /// Greets the client.
    void start();
    /// Something it waits for may be there; if it is not, it stands first in its line again.
    void retry();
    /// Sends what has collected, then reads on.
    void flush();
    /// Closes a client that others wait for: it takes no replies, or a payload of it stands still.
    void end_if_stalled(Instant now);
    /// Reads no more, answers what is in flight, closes. In a handshake: closes. Static texts.
    void drain(std::string_view reason);
    /// Closes now; requests in flight run to their end.
    void abort(std::string_view reason);

    void completed(block::Request& request) override;

    const NbdClient& client() const { return client_; }
    const NbdAddressBook& book() const { return book_; }
    /// Null during the handshake.
    const NbdExport* served_export() const { return export_; }
    uint32_t in_flight() const { return in_flight_; }

  private:
    enum class State : uint8_t {
        handshake,
        transmission,
        draining,   ///< Reads no more; replies go out. Left when the last one has.
        lingering,  ///< Has said its last; waits a little for the client to close its side.
        closed,     ///< The socket is shut; waits for operations and requests in flight.
    };
    /// Why the request that was read last has no reservation yet.
    enum class Wait : uint8_t {
        none,
        own,      ///< The connection's own limit: until replies have been sent.
        gate,     ///< The volume takes no more.
        volume,   ///< The volume's slots or bytes are used up.
        pool,     ///< The lane's buffers are used up.
        arrival,  ///< Too much is reserved for payloads that are still to come.
    };

    // --- nbd_connection.cc: life ---
    void advance_handshake();
    void start_tls();
    void secured();
    void enter_transmission();
    void leave(std::string_view reason, bool fault);
    void lose(int code);
    void fault(std::string_view reason);
    void stop_reading();
    void check_drained();
    void linger();
    void close();
    void settle();
    void watch();
    void watched(int32_t events);
    void time_out(Instant now);
    Instant next_deadline() const;
    void set_deadline(Instant& deadline, Instant value);
    void drop_replies();

    // --- nbd_requests.cc: reading ---
    void receive_more();
    void received(int32_t result);
    void account_received(size_t bytes);
    void end_of_stream();
    void take_requests();
    std::byte* payload_target();
    void take_payload(std::span<const std::byte> payload);
    void begin_request();
    bool reserve(bool first_in_line);
    bool reserve_volume(uint32_t bytes, bool first_in_line);
    void stop_waiting();
    void has_arrived(NbdSlot& slot);
    void payload_complete();
    void run(NbdSlot& slot);
    void submit(NbdSlot& slot);
    uint32_t bytes_needed() const;
    std::span<const std::byte> staged() const { return {staging_ + staged_begin_, staged_bytes()}; }
    size_t staged_bytes() const { return staged_end_ - staged_begin_; }
    void watch_progress();

    // --- nbd_replies.cc: writing ---
    void reply_error(NbdSlot& slot);
    void reply_failed(NbdSlot& slot);
    void reply_done(NbdSlot& slot);
    void reply_read(NbdSlot& slot);
    void reply_block_status(NbdSlot& slot);
    void push_reply(NbdSlot& slot);
    void release(NbdSlot& slot);
    unsigned gather();
    void sent(int32_t result);
    void account_sent(size_t bytes);

    static constexpr unsigned send_iovecs_max = 256;

    NbdServer& server_;
    const NbdAddressBook& book_;
    loop::Loop& loop_;
    NbdClient client_;
    loop::SocketStream* socket_;            ///< stream_, or what it rests on.
    std::unique_ptr<loop::Stream> stream_;  ///< Null once the loop has let go of it.
    tls::TlsStream* tls_ = nullptr;         ///< stream_, when it is encrypted.
    State state_ = State::handshake;
    bool end_seen_ = false;  ///< The client has closed its side.
    bool retired_ = false;
    bool linger_wanted_ = false;
    std::string_view reason_;  ///< Why it ends.
    bool is_fault_ = false;

    std::optional<wire::NbdHandshake> handshake_;
    std::vector<std::byte> preamble_;  ///< Handshake replies to be sent before all others.
    size_t preamble_sent_ = 0;
    uint64_t options_seen_ = 0;

    NbdExport* export_ = nullptr;
    std::optional<wire::NbdRequestReader> reader_;
    wire::NbdReplyWriter writer_{wire::NbdSession{}};
    wire::NbdRequest incoming_;   ///< The request that was read last.
    NbdSlot* current_ = nullptr;  ///< Its slot while its payload arrives.
    Wait wait_ = Wait::none;
    block::GateWaiter gate_waiter_;

    loop::Operation receive_;
    iovec receive_iov_[2];
    size_t direct_bytes_ = 0;  ///< Of the receive in flight: how many go to the payload.
    bool large_writes_ = false;
    std::byte* staging_ = nullptr;
    size_t staged_begin_ = 0;
    size_t staged_end_ = 0;
    size_t discarded_ = 0;  ///< While lingering.
    loop::Operation watch_;

    IntrusiveList<NbdSlot, NbdReplyTag> replies_;
    size_t front_sent_ = 0;  ///< Bytes of the first reply that were sent.
    loop::Operation send_;
    iovec send_iov_[send_iovecs_max];
    uint32_t in_flight_ = 0;  ///< Slots held.
    uint64_t bytes_in_flight_ = 0;

    loop::Timer timer_;
    Instant handshake_deadline_ = never;
    Instant request_deadline_ = never;
    Instant send_deadline_ = never;
    Instant linger_deadline_ = never;
    Instant moved_at_;             ///< When the last receive ended or the last send began.
    uint64_t progress_bytes_ = 0;  ///< Of the half-read request, since its deadline was set.
};

}  // namespace braidway::exports
