// SPDX-License-Identifier: Apache-2.0
// The control API on its socket: HTTP/1.1 over a unix socket.
#pragma once

#include <memory>
#include <string>

#include "daemon/api_socket.h"
#include "daemon/control.h"
#include "daemon/event_ring.h"

namespace braidway::daemon {

/// Serves the API. Opened before the daemon is assembled, so that a second daemon is refused
/// before it touches anything; clients that come early wait until serve().
///
/// Threads: one calls it; requests run on threads of its own, event followers on some of those, so
///          that limits::event_followers_max followers leave workers for commands.
class ApiServer {
  public:
    /// Takes the socket. `events` outlives the server.
    static Result<std::unique_ptr<ApiServer>> open(const ApiConfig& config, EventRing& events);
    class Implementation;
    explicit ApiServer(std::unique_ptr<Implementation> implementation);
    ~ApiServer();
    ApiServer(const ApiServer&) = delete;
    ApiServer& operator=(const ApiServer&) = delete;

    /// Starts to answer from `target`, which outlives the server or stop().
    void serve(ControlTarget& target);
    /// Ends all requests, followers too, and removes the socket. No request touches the target
    /// afterwards.
    void stop();

    const std::string& path() const;

  private:
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace braidway::daemon
