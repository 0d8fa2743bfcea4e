// SPDX-License-Identifier: Apache-2.0
// The client's side of the NBD handshake, as a machine that is fed bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/nbd_session.h"

namespace braidway::wire {

/// What a client wants of a server.
struct NbdClientWishes {
    std::string export_name;
    /// Encryption is asked for and nothing else is said before; a server without it is refused.
    bool tls = false;
    bool structured = true;       ///< Ask for structured replies; an older server may refuse.
    bool base_allocation = true;  ///< Ask for block status, too.
};

/// What a server has told of the export, and what was agreed on.
struct NbdServerOffer {
    NbdSession session;  ///< maximum_payload is at most limits::payload_bytes_max.
    uint32_t preferred_block = 4096;
    uint32_t allocation_id = 0;  ///< The server's number for base:allocation.
};

/// One client's handshake: fixed newstyle, with EXPORT_NAME for servers that know no GO. The owner
/// feeds what arrives and sends what comes out, until the phase is final. Output is sent first.
///
/// Shapes:  one reply's data up to limits::nbd_option_bytes_max, and replies_max of them to one
///          option; a server that sends more is refused. The output of one feed() is bounded by the
///          length of the export name.
/// Errors:  problem(), one line in words about the server; what the server itself said is quoted.
/// Threads: one.
/// Source:  doc/proto.md of the NBD project.
class NbdClientHandshake {
  public:
    enum class Phase : uint8_t {
        greeting,      ///< The server's first word is awaited.
        options,       ///< An option was sent, its replies are awaited.
        start_tls,     ///< The owner starts TLS now, then calls tls_started(). Takes no bytes.
        transmission,  ///< Final: the server has entered the export.
        failed,        ///< Final: there is no way on; the connection is closed.
    };
    static constexpr unsigned replies_max = 64;

    explicit NbdClientHandshake(NbdClientWishes wishes);

    /// Takes bytes from the beginning of `bytes`, appends to `out` what is to be sent. Returns how
    /// many it took: all of them, but for those behind the end of the handshake.
    size_t feed(std::span<const std::byte> bytes, std::vector<std::byte>& out);
    /// The connection is encrypted from here on.
    void tls_started(std::vector<std::byte>& out);
    /// The server has closed its side: that is an error in every phase that is not final.
    void closed();

    Phase phase() const { return phase_; }
    bool final() const { return phase_ >= Phase::transmission; }
    const NbdServerOffer& offer() const { return offer_; }
    /// Why it failed; empty otherwise.
    const std::string& problem() const { return problem_; }
    /// Whether another try may succeed without anybody changing something.
    bool may_pass() const { return may_pass_; }

  private:
    size_t wanted() const;
    void take_piece(std::vector<std::byte>& out);
    void take_greeting(std::vector<std::byte>& out);
    void take_reply_header();
    void take_reply(std::vector<std::byte>& out);
    void take_export_name_answer();
    void next_option(uint32_t after, std::vector<std::byte>& out);
    void refused(uint32_t type, std::string_view text, std::vector<std::byte>& out);
    void take_info(std::span<const std::byte> data);
    void take_block_sizes(std::span<const std::byte> data);
    void take_context(std::span<const std::byte> data);
    void enter(uint64_t size_bytes, uint16_t flags);
    void send_option(uint32_t option, std::vector<std::byte>& out);
    void fail(std::string problem, bool may_pass = false);

    NbdClientWishes wishes_;
    Phase phase_ = Phase::greeting;
    NbdServerOffer offer_;
    std::string problem_;
    bool may_pass_ = false;
    bool fixed_ = false;      ///< Both sides are fixed newstyle.
    bool no_zeroes_ = false;  ///< Nothing pads the answer to EXPORT_NAME.
    bool entered_ = false;    ///< GO has told size and flags.
    uint32_t option_ = 0;     ///< That is being answered.
    unsigned replies_ = 0;    ///< To it.
    bool in_reply_ = false;   ///< The header is read; its data is not complete.
    uint32_t reply_type_ = 0;
    uint32_t reply_bytes_ = 0;
    std::vector<std::byte> pending_;  ///< The unfinished piece.
};

}  // namespace braidway::wire
