// SPDX-License-Identifier: Apache-2.0
// What a reload has to do: the difference of two configurations. Pure.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.h"

namespace braidway::daemon {

/// A path that stays and whose keys differ. Its device stays: another device is another path.
struct PathChange {
    std::string name;
    bool layers = false;
    bool check = false;  ///< checker, its intervals or its timeout.
    bool io_timeout = false;
};

/// A map that stays and whose keys differ.
struct MapChange {
    std::string name;
    bool groups = false;  ///< Which paths, in which groups and order, selectors or their words.
    bool no_path = false;
    bool held_limits = false;  ///< held_requests_max, held_bytes_max.
    bool retries = false;      ///< attempts_max, quiesce_time, fence_timeout.
    bool kernel_strict = false;
    bool wwid = false;           ///< Counts for paths that connect from now on.
    bool handler = false;        ///< The hardware handler, its words or its retries.
    bool initial_group = false;  ///< Counts when groups are made anew only.
};

/// An export that stays and whose keys differ.
struct ExportChange {
    std::string name;
    bool addresses = false;
    bool options = false;  ///< What clients see: it counts for new connections.
};

/// Everything that differs, by name, in the order of the new (removed: of the old) configuration.
struct ConfigDiff {
    std::vector<std::string> paths_added, paths_removed;
    /// Also listed as added and as removed: another device, block size, read_only, or another map.
    std::vector<std::string> paths_replaced;
    std::vector<PathChange> paths_changed;
    std::vector<std::string> maps_added, maps_removed;
    std::vector<MapChange> maps_changed;
    std::vector<std::string> exports_added, exports_removed;
    /// Also listed as added and as removed: of another map.
    std::vector<std::string> exports_replaced;
    std::vector<ExportChange> exports_changed;
    bool log_changed = false;  ///< log_level or log_format.
    bool shutdown_timeout_changed = false;
    bool connections_max_changed = false;

    bool empty() const;
    /// "2 paths added, map db changed" for people; "nothing changed".
    std::string summary() const;
};

/// Compares two configurations.
/// Errors: changes that a running daemon cannot make, one line each with file:line and what to do:
/// the control socket, the I/O backend, a map that is read-only or not.
std::expected<ConfigDiff, ConfigProblems> diff_configs(const Config& old_config,
                                                       const Config& new_config);

}  // namespace braidway::daemon
