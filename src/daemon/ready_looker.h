// SPDX-License-Identifier: Apache-2.0
// The checker called tur: asks a SCSI device whether it is ready.
#pragma once

#include <functional>
#include <string>

#include "base/limits.h"
#include "daemon/path_unit.h"
#include "monitor/monitor.h"

namespace braidway::daemon {

/// TEST UNIT READY on the channel of a path.
///
/// Good or a reservation of another host: ready. A port that waits for its activation: ghost, where
/// the path has a hardware handler. In transition: nothing is said, and it is asked again soon. All
/// else is faulty. News of earlier events (unit attention) is told to the handler, and the command
/// sent again, tries_max times.
/// Able:    on a path with a channel; where the checker is chosen automatically, with a handler,
/// too. Threads: the lane's. Goes when no look is under way. Source:  the checker tur of
/// multipath-tools.
class ReadyLooker final : public monitor::Looker {
  public:
    static constexpr unsigned tries_max = limits::scsi_check_tries_max;
    /// The handler that serves the path now; empty = none.
    using HandlerName = std::function<std::string_view()>;
    /// Told whether the path takes I/O, when that is known.
    using Observed = std::function<void(bool takes_io)>;

    ReadyLooker(loop::Loop& loop, PathUnit& unit, HandlerName handler, Observed observed);
    ~ReadyLooker() override;

    bool able() const override;
    void look(Done done) override;
    void abandon() override { abandoned_ = true; }

  private:
    void send();
    void answered();
    monitor::Sight sight_of(const wire::ScsiAnswer& answer, const wire::ScsiOutcome& outcome) const;

    loop::Loop& loop_;
    PathUnit& unit_;
    HandlerName handler_;
    Observed observed_;
    Done done_;
    path::ScsiTask task_;
    unsigned tries_ = 0;
    bool abandoned_ = false;
    Instant begun_;
};

}  // namespace braidway::daemon
