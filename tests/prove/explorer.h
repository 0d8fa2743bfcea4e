// SPDX-License-Identifier: Apache-2.0
// Visits every state of a small map, breadth first.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "prove/config.h"
#include "prove/parts.h"
#include "prove/world.h"

namespace braidway::prove {

/// What was found wrong, and the shortest way there.
struct Finding {
    std::string wrong;
    std::vector<std::string> events;  ///< Each with the state after it.
};

/// How a search went.
struct Report {
    uint64_t states = 0;
    uint64_t transitions = 0;
    uint32_t depth = 0;  ///< Moves to the farthest state.
    double seconds = 0;
    /// Why the search did not go on somewhere, and in how many transitions.
    std::map<std::string, uint64_t, std::less<>> cuts;
    bool capped = false;  ///< There were more states than were allowed, and not all were visited.
    std::optional<Finding> finding;
};

struct Limits {
    uint64_t states_max = 5'000'000;
    /// Worlds kept whole until their turn; those beyond it are made again from the beginning.
    size_t worlds_max = 50'000;
};

/// Visits all states that `config` reaches, or stops at the first thing wrong. What happened in
/// which state is added to `visits`.
///
/// A state is known by 128 bits of a hash of World::append_key(): that two of 10^8 states fall
/// together has a chance below 10^-22. Memory: about 48 bytes a state.
Report explore(const Config& config, const Limits& limits, Visits& visits);

}  // namespace braidway::prove
