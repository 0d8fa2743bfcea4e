// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/explorer.h"

#include <memory>
#include <utility>

#include "explore/bounded.h"
#include "explore/dpor.h"
#include "explore/execution.h"
#include "explore/minimise.h"
#include "explore/replay.h"
#include "explore/runner.h"
#include "explore/sampling.h"
#include "explore/state_search.h"

namespace braidway::explore {
namespace {

std::unique_ptr<Chooser> chooser_for(const Options& options) {
    switch (options.method) {
        case Method::bounded:
            return std::make_unique<BoundedSearch>(options.preemptions_max);
        case Method::states:
            return std::make_unique<StateSearch>();
        case Method::pct:
            return std::make_unique<Pct>(options.seed, options.pct_depth);
        case Method::random:
            return std::make_unique<RandomWalk>(options.seed);
        case Method::every:
        case Method::replay:
            break;
    }
    return std::make_unique<SourceDpor>();
}

Coverage complete_coverage(Method method) {
    if (method == Method::every || method == Method::states) return Coverage::exhaustive;
    return method == Method::bounded ? Coverage::bounded : Coverage::sampled;
}

void tell(Verdict& verdict, Outcome outcome) {
    verdict.finding = outcome.finding;
    verdict.message = std::move(outcome.message);
    verdict.replay = replay_text(outcome.decisions);
    verdict.trace = std::move(outcome.trace);
}

Verdict replay(const Options& options, const std::function<void(World&)>& setup) {
    Verdict verdict;
    const Result<Decisions> decisions = parse_replay(options.replay);
    if (!decisions) {
        verdict.finding = Finding::failed_check;
        verdict.message = decisions.error().message;
        return verdict;
    }
    Runner runner(options, setup);
    Outcome outcome = runner.run_once(*decisions, true);
    verdict.executions = 1;
    verdict.steps = outcome.steps;
    if (outcome.misfit >= 0) {
        outcome.finding = Finding::failed_check;
        outcome.message = "the replay does not fit the program: its step " +
                          std::to_string(outcome.misfit + 1) + " cannot be taken";
    }
    tell(verdict, std::move(outcome));
    if (!verdict.clean()) verdict.failures = verdict.first_failure = 1;
    return verdict;
}

/// Runs the failing execution once more, for its trace.
void explain(Verdict& verdict, const Options& options, const std::function<void(World&)>& setup,
             const Execution& execution, Arena& arena) {
    Outcome failing;
    failing.finding = verdict.finding;
    failing.message = execution.message();
    failing.decisions = execution.decisions();
    Runner runner(options, setup, &arena);
    Outcome again = runner.run_once(failing.decisions, true);
    if (again.misfit >= 0 || again.finding != failing.finding) {
        tell(verdict, std::move(failing));
        const std::string_view fickle =
            "the program did something else when it was run again the same way";
        if (verdict.message != fickle) verdict.message.append("; ").append(fickle);
        return;
    }
    const bool can_shorten = options.minimise && again.finding != Finding::endless;
    tell(verdict, can_shorten ? minimised(runner, again) : std::move(again));
}

}  // namespace

Verdict explore(const Options& options, const std::function<void(World&)>& setup) {
    if (options.method == Method::replay) return replay(options, setup);
    Verdict verdict;
    // One for the search and for the runs that explain a failure: what is shared has the same
    // addresses in all of them.
    Arena arena;
    Execution execution(options, setup, &arena);
    if (options.method == Method::every) execution.play_endgames();
    std::unique_ptr<Chooser> chooser = chooser_for(options);
    bool is_complete = false;
    bool lacks_ends = false;
    while (!is_complete && verdict.executions + verdict.blocked < options.executions_max) {
        const Finding finding = execution.run(*chooser);
        verdict.steps += execution.steps();
        if (execution.wants_restart()) {
            verdict = Verdict{};
            lacks_ends = false;
            chooser = chooser_for(options);
            continue;
        }
        ++(execution.was_cut_off() ? verdict.blocked : verdict.executions);
        if (finding != Finding::nothing) [[unlikely]] {
            lacks_ends |= finding == Finding::failed_check || finding == Finding::endless;
            if (verdict.failures++ == 0) {
                verdict.first_failure = verdict.executions;
                verdict.finding = finding;
                explain(verdict, options, setup, execution, arena);
            }
            if (!options.keep_going) return verdict;
        }
        is_complete = !chooser->next();
    }
    verdict.states = chooser->states();
    // The races of steps that an execution never came to are not known. A bounded search does not
    // go by races.
    if (options.method == Method::every && lacks_ends) is_complete = false;
    if (is_complete) verdict.coverage = complete_coverage(options.method);
    return verdict;
}

}  // namespace braidway::explore
