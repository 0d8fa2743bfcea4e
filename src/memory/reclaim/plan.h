// SPDX-License-Identifier: Apache-2.0
// What could be freed on a node, and how a goal is split over the kinds. Pure.
#pragma once

#include "memory/reclaim/gate.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// Swap that is left alone: the machine's own needs come first.
uint64_t swap_margin(const SwapState& swap);

/// How much anonymous memory may go to swap now. Bytes.
uint64_t swap_room(const SwapState& swap);

/// Why no more anonymous memory can go to swap, in words.
std::string describe_full_swap(const SwapState& swap);

/// What there is and what would be taken. Chains of mechanisms are filled in by the caller, who
/// has probed them.
Plan make_plan(const Request& request, const NodeState& state, const SwapState& swap,
               const Gate& gate);

}  // namespace braidway::memory
