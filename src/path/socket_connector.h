// SPDX-License-Identifier: Apache-2.0
// Connecting to a server by its name, without making the lane wait.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "loop/loop.h"

namespace braidway::path {

/// Where a server is.
struct SocketTarget {
    std::string socket;  ///< A unix socket's path, or an abstract one's name after a NUL; else:
    std::string host;    ///< A name or a number.
    uint16_t port = 0;

    /// "/run/a.sock", "@abstract", "example.com:10809", "[::1]:10809".
    std::string text() const;
};

/// Makes one connection at a time: looks the name up on the loop's helper thread, then tries the
/// addresses in turn. A unix server whose queue is full is asked again until the owner gives up.
///
/// Errors:  one line with the address and what to look at; code is the system's.
/// Threads: one lane.
class SocketConnector {
  public:
    /// Gets a connected, non-blocking socket, which is the receiver's from then on.
    using Done = std::function<void(Result<int>)>;

    explicit SocketConnector(loop::Loop& loop);
    ~SocketConnector();
    SocketConnector(const SocketConnector&) = delete;
    SocketConnector& operator=(const SocketConnector&) = delete;

    /// `done` is called once, from the loop, never inside this call; not at all after cancel().
    void connect(SocketTarget target, Done done);
    /// Gives up, if anything is under way. It may be destroyed when it is quiet().
    void cancel();
    bool quiet() const;

  private:
    struct Address {
        sockaddr_storage name{};
        socklen_t length = 0;
    };
    struct Lookup : loop::BlockingCall {
        SocketTarget target;
        std::vector<Address> found;
        std::string problem;
    };

    static void look_up(Lookup& lookup, int flags);
    void looked_up();
    void add_unix_address();
    void try_next();
    bool begin_connect(const Address& address);
    void connected(int32_t result);
    void drop_socket();
    void end(Result<int> result);

    loop::Loop& loop_;
    Done done_;
    SocketTarget target_;
    Lookup lookup_;
    bool looking_up_ = false;
    std::vector<Address> addresses_;
    size_t next_ = 0;
    int fd_ = -1;
    loop::File file_;
    loop::Operation operation_;
    loop::Timer pause_;
    Error last_;
};

}  // namespace braidway::path
