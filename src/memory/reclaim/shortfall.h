// SPDX-License-Identifier: Apache-2.0
// Why less was freed than was asked for, in words. Pure.
#pragma once

#include <string>
#include <vector>

#include "memory/reclaim/gate.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// Why one mechanism had no more to give, or the whole run ended.
struct Ending {
    Kind kind = Kind::page_cache;
    std::string mechanism{};  ///< Empty: the whole run.
    Shortfall because = Shortfall::none;
    std::string text{};
};

/// The main reason and the sentence that a user reads.
struct Explanation {
    Shortfall shortfall = Shortfall::none;
    std::string text{};
};

/// Looks at what is left on the node (`report.after`) rather than at what the kernel answered: its
/// errno is the same for everything. `report` has its goal, what was freed and both states.
Explanation explain(const Request& request, const NodeReport& report, const Gate& gate,
                    const std::vector<Ending>& endings);

/// How much of the goal was reached: by kind, or in free memory where that was the goal.
uint64_t reached(const Request& request, const NodeReport& report);

}  // namespace braidway::memory
