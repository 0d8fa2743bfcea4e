// SPDX-License-Identifier: Apache-2.0
// The running daemon with what the process around it knows: its configuration file.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "apps/braidway/service.h"
#include "daemon/control.h"
#include "daemon/event_ring.h"

namespace braidway::apps {

/// Passes everything on to the daemon, but does reloads itself and adds their results to snapshots.
///
/// Threads: any; one reload at a time.
class ReloadingTarget final : public daemon::ControlTarget {
  public:
    using Read = std::function<std::expected<daemon::Config, daemon::ConfigProblems>()>;
    using Apply = std::function<Result<std::string>(daemon::Config config)>;

    /// `read` gets the configuration, `apply` makes the daemon have it; no `read`: reloads are
    /// refused.
    ReloadingTarget(daemon::ControlTarget& target, daemon::EventSink& events,
                    std::string config_file, Read read, Apply apply);

    Result<daemon::Snapshot> snapshot() override;
    Result<std::string> execute(const daemon::Command& command) override;
    /// Reads the configuration again. On any error the old one stays, and one event says why.
    Result<std::string> reload();

  private:
    Result<std::string> try_reload();

    daemon::ControlTarget& target_;
    daemon::EventSink& events_;
    const std::string config_file_;
    const Read read_;
    const Apply apply_;
    std::mutex reload_mutex_;  // Held during a reload.
    std::mutex result_mutex_;  // Guards the two below; never held for long.
    uint64_t reloads_ = 0;
    std::string last_reload_;
};

}  // namespace braidway::apps
