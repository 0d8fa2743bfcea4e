// SPDX-License-Identifier: Apache-2.0
// The control socket: made privately, a stale one replaced, a live one refused.
#pragma once

#include <string>

#include "daemon/config.h"

namespace braidway::daemon {

/// A listening unix socket with its name in the file system, which goes away with it.
///
/// Threads: one.
class ApiSocket {
  public:
    /// Makes the socket. Its mode is right from its first moment on, whatever the umask is.
    /// Errors: another daemon answers there (EADDRINUSE), the name is something else than a
    /// socket, the folder cannot be written; the message names the socket.
    static Result<ApiSocket> open(const ApiConfig& config);

    ApiSocket(ApiSocket&& other) noexcept;
    ApiSocket& operator=(ApiSocket&& other) noexcept;
    ~ApiSocket();

    /// The listening socket. Who takes it closes it; the name stays ours.
    int take_fd();
    const std::string& path() const { return path_; }

  private:
    ApiSocket(int fd, std::string path, uint64_t device, uint64_t inode)
        : fd_(fd), path_(std::move(path)), device_(device), inode_(inode) {}
    void close();

    int fd_ = -1;
    std::string path_;  // Empty: nothing to remove.
    uint64_t device_ = 0;
    uint64_t inode_ = 0;
};

}  // namespace braidway::daemon
