// SPDX-License-Identifier: Apache-2.0
// The control files as a FUSE file system: the adapter between the kernel and ControlFiles.
#pragma once

#include <iosfwd>

#include "apps/free_node_memory/control_files.h"
#include "apps/free_node_memory/mount.h"

namespace braidway::apps {

/// run_mount() with the files' behaviour given.
int serve_control_files(const MountOptions& options, ControlFiles& files, std::ostream& out,
                        std::ostream& error);

}  // namespace braidway::apps
