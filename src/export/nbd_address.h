// SPDX-License-Identifier: Apache-2.0
// Where an NBD server listens, and the sockets it listens with.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "export/owned_fd.h"

namespace braidway::exports {

/// "unix:/run/db.sock", "tcp:127.0.0.1:10809", "tcp:[::1]:10809", "tcp:localhost".
struct NbdAddress {
    static constexpr uint16_t port_default = 10809;

    bool is_unix = false;
    std::string path;      ///< unix
    uint32_t mode = 0600;  ///< unix: permissions of the socket file.
    std::string host;      ///< tcp; empty or "*" = every address of this machine.
    uint16_t port = port_default;

    /// Errors: says what was read and what is expected.
    static Result<NbdAddress> parse(std::string_view text);
    /// What parse() reads; equal texts are equal addresses.
    std::string text() const;
};

/// A socket that listens. A unix socket's file is removed with it, if it is still the same file.
class NbdListeningSocket {
  public:
    NbdListeningSocket(OwnedFd fd, std::string text) : fd_(std::move(fd)), text_(std::move(text)) {}
    NbdListeningSocket(NbdListeningSocket&&) = default;
    NbdListeningSocket& operator=(NbdListeningSocket&&) = delete;
    ~NbdListeningSocket();

    int fd() const { return fd_.get(); }
    /// As NbdAddress::text(), with the port that the kernel chose for port 0.
    const std::string& text() const { return text_; }

  private:
    friend Result<std::vector<NbdListeningSocket>> open_nbd_sockets(const NbdAddress& address,
                                                                    Duration patience);

    OwnedFd fd_;
    std::string text_;
    std::string path_;  ///< unix
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

/// Opens one socket for each address that `address` stands for, listening. A stale unix socket (no
/// server answers there) is replaced.
///
/// Errors:  the address is in use, also by a live server on a unix socket; no permission; unknown
///          host.
/// `patience`: how long a TCP port may be busy before that is an error, for servers that take over
/// from one that was killed a moment ago.
/// Threads: any; sleeps while it looks up a host name, and for its patience.
Result<std::vector<NbdListeningSocket>> open_nbd_sockets(const NbdAddress& address,
                                                         Duration patience = {});

/// Who is at the other end of `fd`: "127.0.0.1:40000", "unix pid 4711".
std::string nbd_peer_text(int fd);

}  // namespace braidway::exports
