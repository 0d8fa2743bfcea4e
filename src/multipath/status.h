// SPDX-License-Identifier: Apache-2.0
// A map as people and programs are shown it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "multipath/spec.h"

namespace braidway::multipath {

/// One path as status shows it.
struct PathStatus {
    std::string name;
    GroupNumber group = 0;
    PathState state = PathState::up;
    bool sticky = false;      ///< Failed by an operator with hold.
    uint32_t fail_count = 0;  ///< Cumulative, as in the kernel.
    uint32_t in_flight = 0;
    uint64_t in_flight_bytes = 0;
    bool vetoed = false;  ///< The hardware handler lets no I/O through.
    uint32_t fenced = 0;  ///< Writes that wait until they surely cannot happen here any more.
    /// Who failed it last: "I/O error", "check", "operator", "stall", "handler"; "start" when it
    /// did not work as the table came. Empty = nobody so far.
    std::string failed_by;
    std::string reason;  ///< In words.
    Instant failed_at;
};

/// One priority group, as it is now.
struct GroupStatus {
    GroupNumber number = 0;
    GroupState state = GroupState::enabled;
    std::string selector;
    PathArguments selector_words;  ///< The selector's own, as dm prints them.
    std::vector<PathId> paths;
};

/// A snapshot for people and the API.
struct MultipathStatus {
    std::vector<PathStatus> paths;
    std::vector<GroupStatus> groups;
    GroupNumber current_group = 0;  ///< As the kernel's "PG number": current, else next, else 1.
    uint32_t valid_paths = 0;
    bool queueing = false;  ///< queue_if_no_path is on and has not run out.
    /// The timeout has passed: everything fails until a path is back.
    bool no_path_expired = false;
    std::string handler;       ///< Of the hardware; empty = none.
    bool initialising = true;  ///< I/O waits for the handler; true, too, before the first I/O.
    uint32_t activations = 0;  ///< Of the group in use, so far.
    bool suspended = false;    ///< Or on the way there.
};

}  // namespace braidway::multipath
