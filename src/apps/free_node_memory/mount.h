// SPDX-License-Identifier: Apache-2.0
// The command `free-node-memory mount`: control files in a small file system.
#pragma once

#include <sys/types.h>

#include <iosfwd>
#include <string>

#include "apps/free_node_memory/permissions.h"
#include "memory/reclaim/settings.h"

namespace braidway::apps {

/// What to mount and for whom.
struct MountOptions {
    std::string directory;
    mode_t mode = 0600;  ///< Of the files that can be written.
    Owner owner{};       ///< Of the files; who is not said is the mounting user.
    /// Bounds and consents of every run. Where it names nodes or kinds, the files take no others;
    /// its amount is used when a line gives none.
    memory::Settings base{};
    std::string root{};  ///< Before every path of /sys and /proc; empty: this machine.
};

/// Mounts, says so in one line on `out`, and serves until SIGTERM, SIGINT or SIGHUP (which it takes
/// off and unmounts), or until it is unmounted from outside. A write that is at work then is
/// cancelled, and its writer is told.
/// Returns the exit code: 0; 2 when the directory will not do; 4 when mounting is not possible or
/// not allowed here. `error` has one line then.
/// Threads: the calling one and one for the writers; blocks those signals in them meanwhile.
int run_mount(const MountOptions& options, std::ostream& out, std::ostream& error);

}  // namespace braidway::apps
