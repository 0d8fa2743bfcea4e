// SPDX-License-Identifier: Apache-2.0
// Where an export listens, as users write it. Pure text: sockets are in nbd_socket.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::exports {

/// A unix socket or a TCP host and port.
struct NbdAddress {
    enum class Kind : uint8_t { unix_socket, tcp };
    static constexpr uint16_t port_default = 10809;

    Kind kind = Kind::unix_socket;
    std::string path;  ///< unix_socket.
    std::string host;  ///< tcp: a name or number, without brackets; empty = every address.
    uint16_t port = 0;
    uint32_t mode = 0600;  ///< unix_socket: permissions of its file.

    /// Reads "unix:/PATH", "/PATH", "tcp:HOST[:PORT]", "tcp:[::1]:PORT", "HOST:PORT" and
    /// "[::1]:PORT". Without a port it is NBD's own, 10809; port 0 is any free one.
    /// Errors: anything else, and unix paths too long for a socket.
    static Result<NbdAddress> parse(std::string_view text);
    /// "unix:/run/db.sock", "tcp:127.0.0.1:10809", "tcp:[::1]:10809".
    std::string text() const;
    friend bool operator==(const NbdAddress&, const NbdAddress&) = default;
};

/// Whether two different listeners on these addresses would be in each other's way: equal, or the
/// same TCP port on "every address" and on one of them.
bool addresses_collide(const NbdAddress& one, const NbdAddress& other);

/// Whether `path` fits into a socket address; the error says how long it may be.
Result<void> check_socket_path(std::string_view path);

}  // namespace braidway::exports
