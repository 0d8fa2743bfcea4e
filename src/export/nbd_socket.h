// SPDX-License-Identifier: Apache-2.0
// The sockets that an NBD server listens with.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "export/nbd_address.h"
#include "export/owned_fd.h"

namespace braidway::exports {

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
