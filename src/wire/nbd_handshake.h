// SPDX-License-Identifier: Apache-2.0
// The server's side of the NBD handshake (fixed newstyle), as a machine that is fed bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/nbd_session.h"

namespace braidway::wire {

/// What the clients of an address may do about encryption.
enum class NbdTls : uint8_t {
    off,       ///< STARTTLS is refused.
    allowed,   ///< As the client likes.
    required,  ///< Nothing is said and no export is entered before STARTTLS.
};

/// The exports that a client of one address may see. Asked during handshakes only.
class NbdExportDirectory {
  public:
    /// How many there are; describe() takes 0 up to it.
    virtual size_t count() const = 0;
    virtual NbdExportInfo describe(size_t index) const = 0;
    /// Whether extended headers are offered here.
    virtual bool extended_headers() const = 0;
    virtual NbdTls tls() const { return NbdTls::off; }

  protected:
    ~NbdExportDirectory() = default;
};

/// One client's handshake. The owner sends greet(), then feeds what arrives and sends what comes
/// out, until the phase is `transmission` or `closed`; in both cases the output is sent first.
///
/// The empty export name means the only export there is, if there is just one.
///
/// Shapes:  one option's data up to limits::nbd_option_bytes_max; a longer one is refused and ends
///          the connection at once, without waiting for its data. The number of options is not
///          limited: the owner limits the time each may take.
/// Errors:  in the protocol's own words to the client; close_reason() for the log.
/// Threads: one.
class NbdHandshake {
  public:
    enum class Phase : uint8_t {
        client_flags,  ///< Waits for the client's flags.
        options,       ///< Waits for the next option, or the rest of one.
        start_tls,     ///< The output is sent, then TLS started, then tls_started() called. Bytes
                       ///< not taken were sent unencrypted, by whomever: they end the connection.
        transmission,  ///< Agreed: session() is valid; bytes not taken are requests.
        closed,        ///< Over: see close_reason().
    };
    /// feed() takes nothing more while this much output waits to be sent.
    static constexpr size_t output_bytes_soft_max = 65536;

    explicit NbdHandshake(const NbdExportDirectory& directory) : directory_(directory) {}

    /// Appends what the server says first.
    void greet(std::vector<std::byte>& out) const;

    /// Takes bytes, appends replies to `out`; returns how many bytes were taken. Fewer than given:
    /// the phase is final, or `out` has to be sent (and cleared) first.
    size_t feed(std::span<const std::byte> bytes, std::vector<std::byte>& out);

    /// The connection is encrypted from here on; what was agreed on before is forgotten.
    void tls_started();

    Phase phase() const { return phase_; }
    bool encrypted() const { return encrypted_; }
    const NbdSession& session() const { return session_; }
    /// Why it ended; empty when the client asked for it (ABORT).
    std::string_view close_reason() const { return close_reason_; }
    /// Options answered so far; the owner restarts its timer when it changes.
    uint64_t options_answered() const { return options_answered_; }

  private:
    struct Query;
    class Reader;

    bool step(std::vector<std::byte>& out);
    void take_client_flags();
    bool take_option_header(std::vector<std::byte>& out);
    void take_option(std::vector<std::byte>& out);
    bool needs_tls_first(std::vector<std::byte>& out);
    void answer_start_tls(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_export_name(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_list(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_info(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_meta_context(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_structured(std::span<const std::byte> data, std::vector<std::byte>& out);
    void answer_extended(std::span<const std::byte> data, std::vector<std::byte>& out);
    void send_infos(const NbdExportInfo& info, unsigned wanted, std::vector<std::byte>& out) const;
    std::optional<NbdExportInfo> find(std::string_view name) const;
    void enter(const NbdExportInfo& info, std::string_view name);
    uint16_t flags_for(const NbdExportInfo& info, std::string_view name) const;
    void close(std::string_view reason);

    void reply(std::vector<std::byte>& out, uint32_t type, std::span<const std::byte> data) const;
    void reply(std::vector<std::byte>& out, uint32_t type, std::string_view text = {}) const;

    const NbdExportDirectory& directory_;
    Phase phase_ = Phase::client_flags;
    bool no_zeroes_ = false;
    bool encrypted_ = false;
    bool structured_ = false;
    bool extended_ = false;
    /// base:allocation was selected for the export of this name; nothing when it was not.
    std::optional<std::string> context_name_;
    bool in_option_ = false;  ///< The header is read; its data is not complete.
    uint32_t option_ = 0;
    uint32_t option_length_ = 0;
    std::vector<std::byte> pending_;  ///< The unfinished piece: flags, header or data.
    uint64_t options_answered_ = 0;
    std::string_view close_reason_;
    NbdSession session_;
};

}  // namespace braidway::wire
