// SPDX-License-Identifier: Apache-2.0
// Writing dirty pages back before page cache is freed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "memory/reclaim/machine.h"

namespace braidway::memory {

/// One mounted filesystem that may have dirty pages.
struct MountPoint {
    std::string path;
    std::string type;
    std::string device;  ///< "8:1": mounts of one device are one filesystem.
};

/// Parses /proc/self/mountinfo: filesystems with storage below them, writable, one line per device.
/// Filesystems in memory (tmpfs, proc, ...) and read-only ones are left out.
std::vector<MountPoint> parse_mounts(std::string_view mountinfo);

/// Writes back (syncfs) the filesystems of `paths`, or all of them, and waits for it. Ends early
/// when cancelled or at `until`; the kernel then goes on writing.
/// Returns what was done, in words.
/// Errors: a path that cannot be opened, a filesystem that failed to write (data may be lost: this
/// is where that is said), cancelled (EINTR), not over in time (ETIMEDOUT).
Result<std::string> write_back(Machine& machine, const std::vector<std::string>& paths,
                               Instant until = never);

}  // namespace braidway::memory
