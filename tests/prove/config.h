// SPDX-License-Identifier: Apache-2.0
// Which small maps are searched.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "multipath/spec.h"
#include "prove/move.h"

namespace braidway::prove {

/// What is wrong on purpose, so that a search is seen to find something.
enum class Fault : uint8_t {
    none,
    loses_held_requests,    ///< run_held runs all but the last held request, which it forgets.
    ignores_run_held,       ///< Held requests stay held.
    ignores_the_fence,      ///< A request that may still happen is sent again at once.
    forgets_the_timer,      ///< No timer for the time without a path.
    answers_twice,          ///< An answer with an error is given to the brain as well as upwards.
    drains_before_placing,  ///< The handler answers before the request that woke it is kept.
    claims_nothing_waits,   ///< Not the hand: the invariant. "No request is ever held".
};

/// One small map, and what happens to it.
struct Config {
    std::string name{};
    uint32_t groups = 1;
    uint32_t paths = 1;     ///< In each group.
    uint32_t requests = 1;  ///< At most so many live at once.
    std::string selector = "round-robin";
    bool strict = false;
    bool bio = false;
    bool handler = false;
    uint32_t retries = 0;       ///< pg_init_retries.
    uint32_t attempts_max = 2;  ///< As in MultipathSpec: never fewer than there are paths.
    bool queue = true;
    bool quiesce = false;  ///< FencePolicy::quiesce_time is given.
    MoveSet without{};     ///< Left out.
    Fault fault = Fault::none;

    uint32_t path_count() const { return groups * paths; }
    multipath::MultipathSpec spec() const;
    /// "2 groups x 1 path, 2 requests, native, handler..."
    std::string words() const;
};

/// Those that the tests run: small, and together they see every row of docs/states.md.
std::vector<Config> small_configs();
/// Those for `./dev prove`.
std::vector<Config> large_configs();

}  // namespace braidway::prove
