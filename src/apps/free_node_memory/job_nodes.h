// SPDX-License-Identifier: Apache-2.0
// Which memory nodes belong to a job of the scheduler Slurm.
#pragma once

#include <string>

#include "base/error.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"

namespace braidway::apps {

/// The job on whose behalf we run. In a prolog or epilog Slurm tells it by the environment.
struct Job {
    std::string id{};            ///< SLURM_JOB_ID.
    std::string machine_name{};  ///< SLURMD_NODENAME; part of the cgroup's name on some set-ups.
    /// SLURM_SCRIPT_CONTEXT: "prolog_slurmd" or "epilog_slurmd"; empty: neither.
    std::string context{};
};

/// Some nodes, and why just these, in words.
struct JobNodes {
    memory::NodeList nodes{};  ///< May be empty.
    std::string because{};
};

/// The memory nodes that may be cleaned for `job` without touching what other jobs work with:
/// those of the job's cpuset; while it has none (Slurm makes it with the first step, after the
/// prolog, and removes it before the epilog) all but those that cpusets of other jobs use; all
/// where Slurm confines nothing.
///
/// Slurm's cgroup plugin confines CPUs and leaves every memory node allowed; a cpuset that allows
/// all nodes therefore means the nodes of its CPUs, where its memory comes from.
/// Reads:  cgroup v1 (cpuset/slurm[_NAME]/uid_*/job_*) and v2
///         (system.slice/[NAME_]slurmstepd.scope/job_*).
/// Errors: no NUMA information in /sys, a cpuset that cannot be understood.
Result<JobNodes> nodes_of_job(const memory::Machine& machine, const Job& job);

}  // namespace braidway::apps
