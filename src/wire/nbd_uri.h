// SPDX-License-Identifier: Apache-2.0
// Where an NBD export is, as its URI says. Pure text: nothing is looked up or opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::wire {

/// An NBD URI taken apart: nbd://, nbds://, nbd+unix:// or nbds+unix://.
///
/// Source:  doc/uri.md of the NBD project, RFC 3986; tls-certificates and tls-psk-file as libnbd
///          reads them.
struct NbdUri {
    enum class Kind : uint8_t { tcp, unix_socket };
    static constexpr uint16_t port_default = 10809;

    Kind kind = Kind::tcp;
    bool tls = false;         ///< nbds: the connection is encrypted or fails.
    std::string user;         ///< For TLS with a shared key.
    std::string host;         ///< tcp: a name or number, without brackets.
    uint16_t port = 0;        ///< tcp
    std::string socket;       ///< unix_socket: its path; one that begins with NUL is abstract.
    std::string export_name;  ///< Decoded; may be empty.

    // --- query parameters about TLS; empty = not given ---
    std::string tls_type;  ///< "x509", "psk" or "anon".
    std::string tls_certificates;
    std::string tls_psk_file;
    std::string tls_hostname;
    std::optional<bool> tls_verify_peer;

    /// Reads `text`. Errors: one line that says what is wrong and how it is written.
    static Result<NbdUri> parse(std::string_view text);
    /// The URI in its canonical form; parse() of it gives the same value.
    std::string text() const;
    /// Where the server is, for messages: "example.com:10809", "/run/nbd.sock".
    std::string server() const;
    friend bool operator==(const NbdUri&, const NbdUri&) = default;
};

/// Whether `text` is meant as an NBD URI: its scheme begins with "nbd".
bool looks_like_nbd_uri(std::string_view text);

}  // namespace braidway::wire
