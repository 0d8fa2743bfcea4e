// SPDX-License-Identifier: Apache-2.0
// Certificates and keys, read once, for the connections that use them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "tls/psk_file.h"

struct ssl_ctx_st;
struct ssl_st;

namespace braidway::tls {

/// What a connection's callbacks have noticed.
struct TlsNotes {
    bool user_unknown = false;  ///< The client named a user that is not in the file of keys.
};

/// What a server shows to its clients and asks of them. Exactly one of the two names is given.
struct TlsServerConfig {
    /// A folder with server-cert.pem and server-key.pem; with `verify_peer` also ca-cert.pem.
    std::string certificates{};
    std::string psk_file{};    ///< Keys of users, as psktool writes them.
    bool verify_peer = false;  ///< A client without a certificate of our CA is refused.

    friend bool operator==(const TlsServerConfig&, const TlsServerConfig&) = default;
};

/// What a client trusts, and what it shows.
struct TlsClientConfig {
    /// A folder with ca-cert.pem and, if the server asks for them, client-cert.pem and
    /// client-key.pem. Empty: the CAs of the system are trusted.
    std::string certificates{};
    std::string psk_file{};   ///< Instead of certificates.
    std::string user{};       ///< In psk_file; empty: its only user.
    bool verify_peer = true;  ///< The server's certificate is looked at.
    std::string host_name{};  ///< That the certificate must be made for.

    friend bool operator==(const TlsClientConfig&, const TlsClientConfig&) = default;
};

/// Certificates and keys in the form that connections need. TLS 1.2 and 1.3 with forward secrecy;
/// no renegotiation, no compression, no resumption.
///
/// Errors:  one line with the file's name and what to do.
/// Threads: made on any that may sleep, then used by any number of lanes.
class TlsContext {
    struct Private {};  ///< What only its own functions can make.

  public:
    static Result<std::shared_ptr<const TlsContext>> server(const TlsServerConfig& config);
    static Result<std::shared_ptr<const TlsContext>> client(const TlsClientConfig& config);
    TlsContext(Private, bool is_server) : is_server_(is_server) {}
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    bool is_server() const { return is_server_; }
    bool uses_psk() const { return psk_.has_value(); }
    /// The CAs that are trusted, for people.
    const std::string& trusted() const { return trusted_; }
    const std::string& host_name() const { return host_name_; }
    /// Whether it has a certificate to show.
    bool shows_certificate() const;
    const PskFile* psk() const { return psk_ ? &*psk_ : nullptr; }
    /// A client's own name in the file of keys.
    const std::string& user() const { return user_; }

    /// A new connection's state; the caller frees it, `notes` outlives it. Null where there is no
    /// memory.
    ssl_st* make_connection(TlsNotes& notes) const;

  private:
    Result<void> set_up();
    Result<void> use_certificates(const std::string& folder, const std::string& who, bool needed);
    Result<void> trust(const std::string& folder);
    Result<void> use_psk(const std::string& file);

    ssl_ctx_st* ssl_ = nullptr;
    bool is_server_;
    bool verifies_ = false;
    std::optional<PskFile> psk_;
    std::string user_;
    std::string trusted_;
    std::string host_name_;
};

}  // namespace braidway::tls
