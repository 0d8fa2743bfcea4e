// SPDX-License-Identifier: Apache-2.0
// The running daemon as the process around it sees it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/event_ring.h"

namespace braidway::daemon {

/// Everything that a configuration says, running. Implemented by Assembly.
///
/// Threads: reload() and shut_down() one at a time; shut_down() comes last.
class RunningDaemon : public ControlTarget {
  public:
    /// Changes what runs to `config`, or nothing: the text says what changed.
    virtual Result<std::string> reload(Config config) = 0;
    /// Stops accepting, drains, flushes and closes. An error names what is stuck.
    virtual Result<void> shut_down(Duration timeout) = 0;
};

/// Opens, locks and serves everything. `events` outlives the daemon.
using StartDaemon =
    std::function<Result<std::unique_ptr<RunningDaemon>>(Config config, EventSink& events)>;

}  // namespace braidway::daemon
