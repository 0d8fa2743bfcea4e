// SPDX-License-Identifier: Apache-2.0
// What an NBD server tells whoever runs it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace braidway::exports {

/// One client's connection, for people.
struct NbdClient {
    uint64_t id = 0;          ///< Counted from 1 for each server; never used again.
    std::string peer;         ///< "127.0.0.1:40000", "unix pid 4711".
    std::string address;      ///< Where it came in: "tcp:127.0.0.1:10809".
    std::string export_name;  ///< Empty during the handshake.
    std::string security;     ///< "TLSv1.3, TLS_AES_256_GCM_SHA384"; empty without TLS.
};

/// Hears of the events that belong in a log. Texts are valid during the call only; those that come
/// from a client are not in them.
///
/// Threads: called on the server's lane; must not sleep, and must not call the server.
class NbdObserver {
  public:
    /// The handshake ended well.
    virtual void client_entered(const NbdClient&) {}
    /// The connection is over. `fault`: it broke the protocol, stood still half-way, or did not
    /// take its replies.
    virtual void client_left(const NbdClient&, std::string_view /*reason*/, bool /*fault*/) {}
    /// Closed before it was served: too many connections.
    virtual void client_refused(const NbdClient&, std::string_view /*reason*/) {}
    /// accept() failed (no descriptors); it is tried again.
    virtual void accept_failed(std::string_view /*address*/, int /*code*/) {}

  protected:
    ~NbdObserver() = default;
};

}  // namespace braidway::exports
