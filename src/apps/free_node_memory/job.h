// SPDX-License-Identifier: Apache-2.0
// Cleaning for a job of the scheduler Slurm, as the policy says.
#pragma once

#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "apps/free_node_memory/job_nodes.h"
#include "base/error.h"
#include "memory/reclaim/free_nodes.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/settings.h"

namespace braidway::apps {

/// The job that the environment tells of.
/// Errors: SLURM_JOB_ID is not a number, or a script that does not run on a node of the job.
Result<Job> job_of_environment();

/// What the policy and the job together ask for.
struct JobOrder {
    bool wanted = false;          ///< Else nothing is to be done, and `note` says why.
    memory::Settings settings{};  ///< Complete when wanted: nodes, kinds and amount.
    /// The policy named no amount, and `settings` asks for all that the plan found.
    bool all_there_is = false;
    std::string note{};  ///< Which nodes and why, for the log.
};

/// Puts an order together. `policy` is the text of the file `policy_name`; a policy without kinds
/// means page cache. `asked` is what a job asked for that wants a clean node itself: kinds, or ""
/// to leave them to the policy; it is served whatever the policy says of "when".
/// Errors: in the policy, with its line; a kind that the policy does not grant.
/// Threads: reads /sys only.
Result<JobOrder> order_of_job(memory::Machine& machine, const Job& job, std::string_view policy,
                              std::string_view policy_name,
                              std::optional<std::string_view> asked = {});

/// The kinds among which a job may choose: those of the policy; all but anonymous memory when it
/// names none.
memory::KindSet kinds_granted(const memory::Settings& policy);

/// The exit code: 0 also for a shortfall unless the policy has "drain-on-shortfall" or "strict".
/// Who asked for all there is cannot get less; then only a refusal counts.
int exit_code_of_job(const JobOrder& order, memory::Outcome outcome);

/// `free-node-memory --policy FILE --job`: cleans as the policy says for the job of the
/// environment, and says on `out` what was done: which nodes and why, and one line for each, or
/// with `json` the document.
/// Returns the exit code: that of exit_code_of_job().
/// Errors: a bad environment or policy: exit code 2.
Result<int> run_job(memory::Machine& machine, std::string_view policy, std::string_view policy_name,
                    bool json, std::ostream& out);

}  // namespace braidway::apps
