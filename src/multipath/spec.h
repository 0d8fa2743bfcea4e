// SPDX-License-Identifier: Apache-2.0
// A multipath map as it is configured: its table and what it does without a path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "multipath/selector.h"

namespace braidway::multipath {

/// A path of a map: its place in table order, from 0, over all groups. A new table (replace())
/// numbers the paths anew.
using PathId = uint32_t;
/// A priority group: its number, from 1, in table order. 0 = none.
using GroupNumber = uint32_t;
inline constexpr PathId no_path = UINT32_MAX;

/// Whether a path takes I/O.
enum class PathState : uint8_t {
    up,    ///< Takes I/O. Left by an I/O path error, a failed check, a fail_path message.
    down,  ///< Takes no I/O. Left by a good check (unless the failure is sticky) or reinstate_path.
};

/// What a priority group is used for, with the letter of dm's status.
enum class GroupState : uint8_t {
    enabled,   ///< May be used. Shown as E.
    active,    ///< The group that I/O goes to now. Shown as A.
    disabled,  ///< Bypassed: used only when no other group has a path. Shown as D.
};

/// What a map does with I/O when no path is left (queue_if_no_path and its timeout).
struct NoPathPolicy {
    bool queue = true;
    /// How long held I/O waits once the last path has gone; nothing = for ever.
    std::optional<Duration> timeout = limits::no_path_timeout_default;
};

/// One path of a table.
struct PathSpec {
    std::string name;
    PathArguments arguments;  ///< For the group's selector.
    bool up = true;           ///< A map may start with paths that do not work.
};

/// One priority group of a table; earlier groups are preferred.
struct GroupSpec {
    std::string selector = "service-time";
    PathArguments selector_arguments{};  ///< The selector's own; most take none.
    std::vector<PathSpec> paths;
};

/// What becomes of a write whose answer never came (time-out, lost connection). It may still
/// happen, and would then overwrite what was written after it: a copy goes out on another path only
/// when the first one surely cannot happen any more.
struct FencePolicy {
    /// After so long on its failed path a request is taken for dead, and goes out again. Nothing =
    /// only the path's own word counts. Too short a time loses data silently.
    std::optional<Duration> quiesce_time{};
    /// How long the path's word is waited for; then the write is answered with its error.
    Duration patience = limits::fence_patience_default;
};

/// How requests reach the paths; only words of the table here, but with kernel_strict (the two
/// differ in what an error and a suspension do to a request).
enum class QueueMode : uint8_t {
    request,  ///< "rq" or "mq", device-mapper's default.
    bio,      ///< "bio".
};

/// The hardware handler of a map.
struct HandlerSpec {
    std::string name;  ///< Empty = none.
    std::vector<std::string> parameters;
};

/// A map as it is configured.
struct MultipathSpec {
    std::vector<GroupSpec> groups;
    /// The group to try first. Beyond the last group = the first that has a path, as in the kernel;
    /// not looked at when there are no groups.
    GroupNumber initial_group = 1;
    NoPathPolicy no_path;
    /// Tries of one request before its error goes up though paths are left; never fewer than the
    /// map has paths, so that each path is tried.
    uint32_t attempts_max = limits::attempts_max;
    FencePolicy fence;
    HandlerSpec handler;
    /// The handler that a device has already comes before `handler`.
    bool retain_attached_handler = false;
    /// How often an activation that asks for it is tried again, 0 to 50.
    uint32_t pg_init_retries = 0;
    /// How long a delayed activation waits, at most 60 s; nothing = not given, which is 2 s.
    std::optional<Duration> pg_init_delay;
    QueueMode queue_mode = QueueMode::request;
    /// Behave as dm-multipath 1.14.0, its oddities included: for comparisons.
    bool kernel_strict = false;
    /// For io-affinity: SelectorOptions::node_of_cpu.
    std::vector<uint32_t> node_of_cpu;
};

}  // namespace braidway::multipath
