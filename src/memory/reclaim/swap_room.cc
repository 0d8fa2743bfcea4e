// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/swap_room.h"

#include <fmt/format.h>

#include <cerrno>

#include "memory/reclaim/node_state.h"

namespace braidway::memory {

Result<void> check_swap_room(const Machine& machine, uint64_t bytes) {
    const auto swap = read_swap_state(machine);
    if (!swap) return std::unexpected(swap.error());
    if (swap->free >= bytes) return {};
    if (swap->total == 0)
        return fail("there is no swap: anonymous memory has nowhere to go", ENOSPC);
    return fail(fmt::format("swap has only {} KiB free, {} KiB are needed", swap->free / 1024,
                            bytes / 1024),
                ENOSPC);
}

}  // namespace braidway::memory
