// SPDX-License-Identifier: Apache-2.0
// Makes a failing execution easier to read: fewer switches and fewer steps, the same failure.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "braidway/explore/explorer.h"
#include "explore/chooser.h"
#include "explore/runner.h"

namespace braidway::explore {

/// One execution and what came of it.
struct Attempt {
    Finding finding = Finding::nothing;
    std::string message;
    Decisions taken;                ///< All that was decided, in order.
    std::vector<Stuck> stuck = {};  ///< Of a deadlock or livelock.
};

/// Runs the program once. It follows `wanted` as far as it can: who cannot go on is passed over,
/// and a choice that is not offered is 0. After the last, who took the last step goes on if it can,
/// else the first who can.
using RunOnce = std::function<Attempt(std::span<const Decision> wanted)>;

/// How often minimise() runs the program at most, if not told otherwise.
inline constexpr unsigned minimise_runs_max = 2'000;

/// What minimise() came to.
struct Minimised {
    Attempt attempt;    ///< The best that was seen; the given one if nothing is better.
    unsigned runs = 0;  ///< How often the program ran.
};

/// Looks for an execution with the failure of `failure` and fewer switches between threads; of
/// those with as few, fewer steps; of those, plainer choices. A failed check stays the same failure
/// only with the same message, a deadlock or livelock with the same threads stuck at the same
/// words.
///
/// Errors:  a program that does not fail again with the decisions of `failure` gives it back as it
///          is.
/// Source:  removing parts while the failure stays is Zeller and Hildebrandt, "Simplifying and
///          isolating failure-inducing input", 2002; moving whole turns of a thread so that they
///          meet is Jalbert and Sen, "A trace simplification technique for effective debugging of
///          concurrent programs", 2010.
Minimised minimise(const Attempt& failure, const RunOnce& run_once,
                   unsigned runs_max = minimise_runs_max);

/// How often another takes a step than before.
unsigned switches_in(std::span<const Decision> decisions);

/// The same failure as `failing` with fewer switches: an outcome with the same finding, with its
/// trace. `runner` runs the test.
Outcome minimised(Runner& runner, const Outcome& failing);

}  // namespace braidway::explore
