// SPDX-License-Identifier: Apache-2.0
// The running daemon: lanes, paths, maps and exports, put together from a configuration.
#pragma once

#include <memory>

#include "daemon/running_daemon.h"

namespace braidway::daemon {

/// Everything that a configuration says, running.
class Assembly : public RunningDaemon {
  public:
    /// Opens, locks and serves everything. `events` outlives the assembly.
    static Result<std::unique_ptr<Assembly>> start(Config config, EventSink& events);
};

}  // namespace braidway::daemon
