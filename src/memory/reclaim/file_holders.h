// SPDX-License-Identifier: Apache-2.0
// Which files hold page cache on a node.
#pragma once

#include "memory/reclaim/holders.h"

namespace braidway::memory {

/// Adds files to each node of `found`: those that processes have open or mapped, and those below
/// options.paths. Looks at most at options.files_max files and until `end`; `found.notes` says
/// when that was too few, and what could not be seen.
void find_file_holders(const Machine& machine, const HoldersOptions& options, Instant end,
                       const MemoryPaths& in_memory, Holders& found);

}  // namespace braidway::memory
