// SPDX-License-Identifier: Apache-2.0
// Where an export listens, as users write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace braidway::daemon {

/// A unix socket or a TCP host and port.
struct Address {
    enum class Kind : uint8_t { unix_socket, tcp };
    Kind kind = Kind::unix_socket;
    std::string path;  ///< unix_socket.
    std::string host;  ///< tcp: a name or number, without brackets; empty = every address.
    uint16_t port = 0;

    /// "unix:/run/db.sock", "tcp:127.0.0.1:10809", "tcp:[::1]:10809".
    std::string text() const;
    friend bool operator==(const Address&, const Address&) = default;
};

inline constexpr uint16_t nbd_port = 10809;

/// Reads "unix:/PATH", "/PATH", "tcp:HOST[:PORT]", "tcp:[::1]:PORT", "HOST:PORT" and "[::1]:PORT".
/// Without a port it is NBD's own, 10809; port 0 is any free one.
/// Errors: anything else, and unix paths too long for a socket.
Result<Address> parse_address(std::string_view text);

/// Whether two different listeners on these addresses would be in each other's way: equal, or the
/// same TCP port on "every address" and on one of them.
bool addresses_collide(const Address& one, const Address& other);

/// Whether `path` fits into a socket address; the error says how long it may be.
Result<void> check_socket_path(std::string_view path);

}  // namespace braidway::daemon
