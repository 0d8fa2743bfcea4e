// SPDX-License-Identifier: Apache-2.0
// The small shared file in which the processes of one run count what they found.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/time.h"

namespace braidway::lockcheck {

/// What is in the file: the runtime maps it shared.
struct StateLayout {
    uint32_t magic = 0x4b434b4c;  ///< "LKCK" as it lies in memory.
    uint32_t version = 1;
    uint32_t findings = 0;   ///< Atomic.
    uint32_t documents = 0;  ///< Atomic.
    uint32_t rest[12] = {};
};
static_assert(sizeof(StateLayout) == 64);

/// Makes a new one in `folder` for the run of `pid`, for this user alone; `now` makes its name
/// unique where a pid comes again. Returns its path.
Result<std::string> make_state_file(const std::string& folder, int64_t pid, Instant now);

/// Removes this user's files of runs whose first process is gone, unless they were made in the
/// last hour: children may outlive it and start other programs.
/// `wall_now` is the time since 1970.
void remove_stale_state_files(const std::string& folder, Duration wall_now);

/// Where such files are kept: /dev/shm, or `temporary` ($TMPDIR) or /tmp where that is not there.
std::string state_folder(const char* temporary);

}  // namespace braidway::lockcheck
