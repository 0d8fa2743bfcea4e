// SPDX-License-Identifier: Apache-2.0
#include "explore/runner.h"

#include "explore/replay.h"

namespace braidway::explore {

Outcome Runner::run_once(const Decisions& decisions, bool with_trace) {
    Outcome outcome;
    Replayer replayer(decisions);
    // The second time with open eyes, see Execution::wants_restart().
    do {
        outcome.finding = execution_.run(replayer, with_trace ? &outcome.trace : nullptr);
    } while (execution_.wants_restart());
    outcome.misfit = replayer.misfit();
    outcome.steps = execution_.steps();
    outcome.decisions = execution_.decisions();
    outcome.stuck = execution_.stuck();
    // Of a program that ended well nothing may be left; one that failed early has failed.
    if (outcome.misfit < 0 && outcome.finding == Finding::nothing &&
        outcome.decisions.size() < decisions.size()) {
        outcome.misfit = static_cast<int>(outcome.decisions.size());
    }
    if (outcome.misfit >= 0) {
        outcome.finding = Finding::nothing;
    } else {
        outcome.message = execution_.message();
    }
    return outcome;
}

Outcome Runner::run_leniently(std::span<const Decision> decisions) {
    Outcome outcome;
    LenientReplayer replayer(decisions);
    do {
        outcome.finding = execution_.run(replayer);
    } while (execution_.wants_restart());
    outcome.steps = execution_.steps();
    outcome.decisions = execution_.decisions();
    outcome.message = execution_.message();
    outcome.stuck = execution_.stuck();
    return outcome;
}

}  // namespace braidway::explore
