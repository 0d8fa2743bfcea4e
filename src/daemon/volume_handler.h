// SPDX-License-Identifier: Apache-2.0
// The hardware handler of a volume: which one it is, and which of its paths have it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/path_unit.h"
#include "map/handler_driver.h"

namespace braidway::daemon {

/// The handler that a map with these paths gets: the configured one, or the one that suits the
/// array of the first path that works. Empty = none. `now` is the one that it has; it stays where
/// no path tells.
multipath::HandlerSpec choose_handler(const HandlerConfig& config,
                                      const std::vector<PathUnit*>& units,
                                      const multipath::HandlerSpec& now);

/// What a handler's word on sense data means for the command that met them. Nothing where it has
/// none.
std::optional<wire::ScsiOutcome> outcome_of(const multipath::SenseVerdict& verdict,
                                            const wire::ScsiSense& sense);

/// A map's hardware handler with the paths that it serves.
///
/// A path that it cannot serve, because its device takes no SCSI commands or is of another kind, is
/// used as in a map without a handler; remark() says why.
/// Threads: the lane's. Goes before its map, and lets go of its paths then.
class VolumeHandler {
  public:
    /// `spec` names a handler that there is, with words that it knows.
    VolumeHandler(loop::Loop& loop, map::MapDevice& map, multipath::HandlerSpec spec);
    ~VolumeHandler();
    VolumeHandler(const VolumeHandler&) = delete;
    VolumeHandler& operator=(const VolumeHandler&) = delete;

    const multipath::HandlerSpec& spec() const { return spec_; }
    /// Other words for the same handler; the handler has taken them before.
    void set_words(const std::vector<std::string>& words);
    /// Takes a path that works: when it joins, and each time that it has come back.
    void attach(PathUnit& unit);
    void detach(PathUnit& unit);
    /// What a check of the path says: whether it takes I/O now. The handler's view is corrected
    /// where it differs.
    void observed(PathUnit& unit, bool takes_io);
    /// Detaches all paths. The driver that is handed over goes when it is quiet.
    std::unique_ptr<map::HandlerDriver> let_go();

    /// The state of the path's device in words; empty for one that is not served.
    std::string status_text(const PathUnit& unit) const;
    /// Whether it was attached, even if it is used without the handler.
    bool knows(const PathUnit& unit) const { return find(unit) != nullptr; }
    bool serves(const PathUnit& unit) const { return driver_->attached(unit.path()); }
    bool admits(const PathUnit& unit) const { return driver_->admits(unit.path()); }
    /// Why the path is used without the handler; empty = it is not.
    std::string remark(const PathUnit& unit) const;

  private:
    struct Place {
        PathUnit* unit = nullptr;
        std::string remark;
        /// As it was attached with.
        std::vector<std::byte> inquiry, identification;
    };
    Place* find(const PathUnit& unit);
    const Place* find(const PathUnit& unit) const;
    Result<void> give(PathUnit& unit);

    multipath::HandlerSpec spec_;
    std::unique_ptr<map::HandlerDriver> driver_;
    std::vector<Place> places_;
};

}  // namespace braidway::daemon
