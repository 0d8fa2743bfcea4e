// SPDX-License-Identifier: Apache-2.0
// What `show` prints: snapshots as text for people.
#pragma once

#include <string>
#include <string_view>

#include "daemon/control.h"

namespace braidway::daemon {

/// Maps, groups and paths in the form of `multipath -ll`: for each map
///
///     db dm-0 BRAIDWAY,VOLUME
///     size=1.0G features='1 queue_if_no_path' hwhandler='0' wp=rw
///     |-+- policy='service-time 0' prio=0 status=active
///     | |- a1 file:/srv/disk.img active ready running
///     | `- a2 file:/srv/disk.img failed faulty held
///     `-+- policy='service-time 0' prio=0 status=enabled
///       `- b1 file:/srv/disk.img active ready running
///
/// dm-N counts the maps, for tools that expect it; no such kernel device exists. A path's words are
/// its state, its last check, and "running" or "held" (failed by an operator with --hold).
std::string topology_text(const Snapshot& snapshot);
/// Each map's table and status lines in device-mapper's words.
std::string dm_text(const Snapshot& snapshot);

/// One line for each path; below it who failed it, when and why, what the last check said, and the
/// layers that do something.
std::string paths_text(const Snapshot& snapshot);

/// One line for each map; below it its groups.
std::string maps_text(const Snapshot& snapshot);

/// One line for each export.
std::string exports_text(const Snapshot& snapshot);

/// The daemon in a few "key: value" lines.
std::string status_text(const Snapshot& snapshot);

}  // namespace braidway::daemon
