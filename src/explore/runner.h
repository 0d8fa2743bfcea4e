// SPDX-License-Identifier: Apache-2.0
// Runs one named execution: what replaying and shortening a failure are made of.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "braidway/explore/explorer.h"
#include "explore/chooser.h"
#include "explore/execution.h"

namespace braidway::explore {

/// What became of one execution.
struct Outcome {
    Finding finding = Finding::nothing;
    std::string message;
    /// All that were taken, also those after the end of the given ones.
    Decisions decisions;
    /// The first of the given decisions that could not be taken (its thread could not go on, or the
    /// step had fewer outcomes), or -1. The execution ended there; finding is then nothing.
    int misfit = -1;
    unsigned steps = 0;
    std::vector<Stuck> stuck;  ///< Of a deadlock or livelock.
    Trace trace;               ///< When it was asked for.
};

/// Runs the program of a test as decisions say.
///
/// Threads: one.
class Runner {
  public:
    /// `lent`, when given, is where shared objects are made; it outlives the Runner, and nobody
    /// else uses it while an execution runs.
    Runner(const Options& options, const std::function<void(World&)>& setup, Arena* lent = nullptr)
        : execution_(options, setup, lent) {
        // A search by races may have moved killers that had nobody to kill any more.
        execution_.play_endgames();
    }

    /// Takes `decisions`; when they are used up, the last thread goes on as long as it can, then
    /// the first that can, and outcomes are the first. Fewer decisions are fewer switches.
    Outcome run_once(const Decisions& decisions, bool with_trace);

    /// As run_once(), but passes over the decisions that cannot be taken. No trace.
    Outcome run_leniently(std::span<const Decision> decisions);

  private:
    Execution execution_;
};

}  // namespace braidway::explore
