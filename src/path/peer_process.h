// SPDX-License-Identifier: Apache-2.0
// The process at the other end of a unix socket: whether it has ended for sure.
#pragma once

#include <functional>

#include "loop/loop.h"

namespace braidway::path {

/// Watches the process that listened on a unix socket, by a descriptor for the process, so that no
/// other process can be taken for it. A process that is stopped has not ended.
///
/// That process need not be the one that serves: a server may fork for each connection. Only when
/// the connection has also been closed from the other side, nobody is left that could read from it.
///
/// Threads: one lane.
class PeerProcess {
  public:
    explicit PeerProcess(loop::Loop& loop);
    ~PeerProcess();
    PeerProcess(const PeerProcess&) = delete;
    PeerProcess& operator=(const PeerProcess&) = delete;

    /// Finds out who listened where `socket` is connected to. Without success (TCP, another pid
    /// name space, a listener that has ended by now) known() stays false.
    void find(int socket);
    bool known() const { return file_.valid(); }
    /// Calls `ended`, once, from the loop, when the process has ended; at once if it has.
    void watch(std::function<void()> ended);
    /// No more calls. It may be destroyed when it is quiet().
    void stop();
    bool quiet() const { return poll_.idle(); }

  private:
    loop::Loop& loop_;
    loop::File file_;
    loop::Operation poll_;
    std::function<void()> ended_;
};

}  // namespace braidway::path
