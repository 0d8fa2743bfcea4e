// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/job.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>

#include "memory/reclaim/node_state.h"
#include "memory/reclaim/report_json.h"

namespace braidway::apps {
namespace {

using memory::Kind;
using memory::KindSet;
using memory::Machine;
using memory::Outcome;
using memory::Settings;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

/// Why the policy wants nothing done now; empty when it does.
std::string not_now(const Job& job, const Settings& policy) {
    if (job.context == "prolog_slurmd" && !policy.on_start)
        return "the policy does not clean before a job";
    if (job.context == "epilog_slurmd" && !policy.on_end)
        return "the policy does not clean after a job";
    return {};
}

/// Errors: a kind that the policy does not grant.
Result<void> choose_kinds(Settings& settings, std::string_view asked, std::string_view policy) {
    const KindSet granted = kinds_granted(settings);
    if (settings.request.kinds.empty()) settings.request.kinds = {Kind::page_cache};
    if (asked.empty()) return {};
    if (auto set = memory::set_setting(settings, "what", asked); !set) return set;
    for (const Kind kind : settings.request.kinds)
        if (!granted.has(kind))
            return fail(fmt::format("{}: 'what' does not grant {}; a job may ask for {}", policy,
                                    name_of(kind), format_kinds(granted)));
    return {};
}

/// "All there is" as an amount: that of the node that has the most.
Result<void> ask_for_all(Machine& machine, Settings& settings) {
    settings.amount_word = "free";
    settings.request.goal = memory::Goal::free_more;
    settings.request.bytes = INT64_MAX;
    const auto plan = memory::plan_nodes(machine, *settings.nodes, settings.request);
    if (!plan) return std::unexpected(plan.error());
    uint64_t most = 0;
    for (const memory::NodeReport& node : plan->nodes)
        most = std::max(most, node.plan.available.total(settings.request.kind_set()));
    settings.request.bytes = most;
    return {};
}

std::string in_words(const JobOrder& order, const memory::Report& report) {
    std::string text = order.note + "\n";
    for (const memory::NodeReport& node : report.nodes)
        text += report_text(node, order.settings.request) + "\n";
    return text;
}

}  // namespace

Result<Job> job_of_environment() {
    Job job{.id = environment("SLURM_JOB_ID"),
            .machine_name = environment("SLURMD_NODENAME"),
            .context = environment("SLURM_SCRIPT_CONTEXT")};
    if (job.id.empty() || !std::ranges::all_of(job.id, [](char c) { return c >= '0' && c <= '9'; }))
        return fail(
            fmt::format("SLURM_JOB_ID is '{}'; expected the number of a job: --job is for "
                        "the prolog and epilog scripts of Slurm",
                        job.id));
    if (job.context.ends_with("slurmctld"))
        return fail(
            fmt::format("this script runs as '{}', on the controller; expected a prolog or "
                        "epilog of slurmd (Prolog=, Epilog= in slurm.conf)",
                        job.context));
    // It becomes part of a path.
    if (job.machine_name.find('/') != std::string::npos) job.machine_name.clear();
    return job;
}

KindSet kinds_granted(const Settings& policy) {
    if (!policy.request.kinds.empty()) return policy.request.kind_set();
    return KindSet().add(Kind::page_cache).add(Kind::mapped_page_cache).add(Kind::slab);
}

Result<JobOrder> order_of_job(Machine& machine, const Job& job, std::string_view policy,
                              std::string_view policy_name, std::optional<std::string_view> asked) {
    JobOrder order;
    Settings& settings = order.settings;
    settings.request.budget = limits::reclaim_job_budget_default;
    if (auto read = memory::read_policy(settings, policy, policy_name); !read)
        return std::unexpected(read.error());
    if (auto chosen = choose_kinds(settings, asked.value_or(""), policy_name); !chosen)
        return std::unexpected(chosen.error());
    if (!asked) order.note = not_now(job, settings);
    if (!order.note.empty()) return order;

    const auto all = memory::nodes_with_memory(machine);
    if (!all) return std::unexpected(all.error());
    JobNodes mine{*all, "all nodes, as the policy says"};
    if (settings.job_nodes) {
        auto found = nodes_of_job(machine, job);
        if (!found) return std::unexpected(found.error());
        mine = std::move(*found);
    }
    // Nodes that the policy names are the most that it grants.
    if (settings.nodes && !settings.nodes->empty()) {
        std::erase_if(mine.nodes, [&](uint32_t node) {
            return !std::ranges::binary_search(*settings.nodes, node);
        });
        mine.because +=
            fmt::format("; the policy names {}", memory::format_node_list(*settings.nodes));
    }
    order.note = fmt::format("job {}: {}", job.id, mine.because);
    settings.nodes = mine.nodes;
    if (mine.nodes.empty()) return order;
    order.wanted = true;
    order.all_there_is = settings.amount_word.empty();
    if (order.all_there_is)
        if (auto all_asked = ask_for_all(machine, settings); !all_asked)
            return std::unexpected(all_asked.error());
    return order;
}

int exit_code_of_job(const JobOrder& order, Outcome outcome) {
    if (!order.settings.drain && !order.settings.strict) return 0;
    if (order.all_there_is && outcome == Outcome::fell_short) return 0;
    return static_cast<int>(outcome);
}

Result<int> run_job(Machine& machine, std::string_view policy, std::string_view policy_name,
                    bool json, std::ostream& out) {
    const auto job = job_of_environment();
    if (!job) return std::unexpected(job.error());
    const auto order = order_of_job(machine, *job, policy, policy_name);
    if (!order) return std::unexpected(order.error());
    memory::Report report;
    if (order->wanted) {
        auto done = free_nodes(machine, *order->settings.nodes, order->settings.request);
        if (!done) return std::unexpected(done.error());
        report = std::move(*done);
    }
    out << (json ? report_json(report, order->settings.request, false) : in_words(*order, report));
    return exit_code_of_job(*order, outcome_of(report));
}

}  // namespace braidway::apps
