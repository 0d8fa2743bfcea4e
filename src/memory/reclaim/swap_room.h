// SPDX-License-Identifier: Apache-2.0
// Whether anonymous memory has somewhere to go.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "memory/reclaim/machine.h"

namespace braidway::memory {

/// Whether there is swap for so many bytes. To be asked before every call that takes anonymous
/// memory: without room some kernels take page cache instead and say that all went well.
/// Errors: ENOSPC, with how much there is; that of reading /proc/meminfo.
Result<void> check_swap_room(const Machine& machine, uint64_t bytes);

}  // namespace braidway::memory
