// SPDX-License-Identifier: Apache-2.0
// One configured map with its paths and checkers, as assembly holds it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/graveyard.h"
#include "daemon/path_unit.h"
#include "daemon/volume_handler.h"
#include "map/map_device.h"
#include "monitor/monitor.h"
#include "path/volume_identity.h"

namespace braidway::daemon {

/// A map's paths as a new configuration wants them, opened: in table order, one for each path.
struct WantedPath {
    PathConfig config;
    OpenedPath opened;
    /// The unit that is there already and stays as it is; then `opened` is empty.
    PathUnit* kept = nullptr;
};

/// A map with everything under it.
///
/// Threads: the lane's.
class Volume final : private UnitListener {
  public:
    /// Says what happened to a path: severity, kind of event, map, path, reason.
    using Tell = std::function<void(Severity, std::string, const std::string&, const std::string&,
                                    std::string)>;
    struct Surroundings {
        loop::Loop& loop;
        memory::BufferPool& pool;
        path::FileStores& stores;
        map::MapObserver& observer;
        Graveyard& graveyard;  ///< For paths that are not used after all.
        Tell tell;
    };
    /// A change that has been checked and built but not applied.
    struct Change {
        MapConfig config;
        multipath::HandlerSpec handler;
        std::string identity;  ///< What the map stands for then.
        std::vector<WantedPath> paths;
        std::vector<std::unique_ptr<PathUnit>> fresh;  ///< In table order, null for kept ones.

        /// The map's paths after it, in table order.
        std::vector<PathUnit*> units() const;
    };

    /// A path over a network or to a SCSI disk that leads to another volume than the first one, or
    /// than the map's wwid says, is fenced off and counts as one that does not work. The map gets
    /// the hardware handler that is configured, or that suits its array.
    /// Errors: no path works; paths that do not agree in size or block size; paths on different
    /// files that are not both direct.
    static Result<std::unique_ptr<Volume>> create(const Surroundings& surroundings,
                                                  const MapConfig& config,
                                                  std::vector<WantedPath> paths);
    /// Its paths must be quiet.
    ~Volume();

    const std::string& name() const { return config_.name; }
    const MapConfig& config() const { return config_; }
    map::MapDevice& map() { return *map_; }
    const map::MapDevice& map() const { return *map_; }
    PathUnit* find_path(const std::string& name);
    monitor::Checker* find_checker(const PathUnit& unit);
    const std::vector<std::unique_ptr<PathUnit>>& units() const { return units_; }
    uint32_t index_of(const PathUnit& unit) const;
    /// Other intervals for its checker.
    void set_check(const PathUnit& unit, const PathConfig& config);

    /// Builds what a new configuration wants, touching nothing. Errors: as create(); a path that
    /// can do less than what clients were told; a path to another volume.
    Result<Change> prepare(const MapConfig& config, std::vector<WantedPath> paths);
    /// Applies it. What is no longer used goes to `graveyard`.
    void commit(Change change, Graveyard& graveyard);
    /// Or throws it away.
    static void discard(Change& change, Graveyard& graveyard);
    /// Stops the checkers and hands the paths over; the map must be idle or about to be destroyed.
    void bury(Graveyard& graveyard);

    MapSnapshot map_snapshot(Instant now) const;
    void path_snapshots(Instant now, std::vector<PathSnapshot>& to) const;

  private:
    Volume(const Surroundings& surroundings, const MapConfig& config);
    void watch(PathUnit& unit, uint32_t index);
    void number_checkers();
    std::unique_ptr<monitor::Reviver> make_reviver(PathUnit& unit);
    std::unique_ptr<monitor::Looker> make_looker(PathUnit& unit);
    Result<void> fits(PathUnit& unit, const path::FabricFinding& found);
    Result<void> fits(PathUnit& unit, const OpenedPath& found);
    static path::IdentityAnswer compare(const std::string& path, const std::string& identity,
                                        const std::string& found);
    static path::IdentityAnswer compare_kept(const PathUnit& unit, const std::string& identity);
    Result<void> check_identity(PathUnit& unit, const path::FabricFinding& found);
    void take_identity(const std::string& found);
    void admit_units(const std::vector<PathUnit*>& units);
    void came_back(PathUnit& unit);
    void install_table(const MapConfig& config, const std::vector<PathUnit*>& units);
    multipath::HandlerSpec handler_now() const;
    void use_handler(const multipath::HandlerSpec& handler, const std::vector<PathUnit*>& units);
    void attach(PathUnit& unit);
    void drop_handler();
    void unit_lost(PathUnit& unit, const std::string& reason) override;
    void unit_settled(PathUnit& unit, bool at_risk) override;
    /// Whether a path may join the running map.
    Result<void> check_joins(const std::string& path, const block::Geometry& found, uint64_t store,
                             bool buffered) const;

    Surroundings surroundings_;
    MapConfig config_;
    std::string identity_;  ///< What its paths lead to; empty = not known yet.
    std::vector<std::unique_ptr<PathUnit>> units_;  ///< In table order.
    std::unique_ptr<map::MapDevice> map_;
    std::unique_ptr<VolumeHandler> handler_;  ///< Null = none.
    monitor::Monitor monitor_;
};

}  // namespace braidway::daemon
