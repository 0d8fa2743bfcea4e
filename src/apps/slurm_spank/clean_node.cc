// SPDX-License-Identifier: Apache-2.0
// clean_node.so, a plugin for Slurm: `srun --clean-node[=what]` cleans the job's memory nodes
// before it starts. docs/slurm.md describes it.
//
// Slurm promises no stable binary interface to plugins, so this is only a shim: the policy and the
// nodes are those of apps/free_node_memory/job.h, the work is libbraidway-node-memory's.
#include <braidway/node_memory.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "apps/free_node_memory/job.h"
#include "memory/reclaim/real_machine.h"

extern "C" {
#include <slurm/spank.h>

// Constants are local to a file in C++ unless they were declared before.
extern const char plugin_name[];
extern const char plugin_type[];
extern const unsigned int plugin_version;
extern const unsigned int spank_plugin_version;
SPANK_PLUGIN(clean_node, 1)
}

namespace {

using namespace braidway;
using node_memory::Options;

constexpr std::string_view default_policy = "/etc/braidway/clean-node.conf";

/// What is wrong with `what`; empty when nothing is. Needs no policy: where a job is submitted from
/// there may be none.
std::string wrong_kinds(const char* what) {
    Options options;
    return options.set("what", what) ? "" : options.error();
}

/// Called where the option is read: by srun, sbatch and salloc before anything is submitted, and
/// again on the node.
int check_option(int /*value*/, const char* what, int /*remote*/) {
    try {
        if (what == nullptr || *what == '\0') return ESPANK_SUCCESS;
        const std::string wrong = wrong_kinds(what);
        if (wrong.empty()) return ESPANK_SUCCESS;
        slurm_error("--clean-node: %s", wrong.c_str());
    } catch (const std::exception&) {
        slurm_error("--clean-node: out of memory");
    }
    return ESPANK_BAD_ARG;
}

/// Slurm takes pointers to char that it does not change.
spank_option& clean_node_option() {
    static std::array<char, 11> name{"clean-node"};
    static std::array<char, 5> argument{"what"};
    static std::array<char, 160> usage{
        "clean the memory of the job's nodes before it starts; what: page-cache, "
        "mapped-page-cache, slab, anonymous (default: by the site's policy)"};
    // 2: the value may be left out.
    static spank_option option{name.data(), argument.data(), usage.data(), 2, 0, check_option};
    return option;
}

/// The plugin's argument policy=FILE in plugstack.conf.
std::string policy_path(int count, char** arguments) {
    constexpr std::string_view word = "policy=";
    for (int i = 0; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument.starts_with(word)) return std::string(argument.substr(word.size()));
    }
    return std::string(default_policy);
}

/// A job's wish for a clean node, and what is needed to fulfil it.
struct Wish {
    apps::Job job{};
    std::string what{};  ///< Kinds; empty: by policy.
    std::string policy_path{};
};

/// Puts the order into the words of the library.
bool fill(Options& options, const Wish& wish, bool policy_there, const apps::JobOrder& order) {
    const memory::Settings& settings = order.settings;
    const memory::Request& request = settings.request;
    std::string what;
    for (const memory::Kind kind : request.kinds)
        what += fmt::format("{}{}", what.empty() ? "" : ",", name_of(kind));
    const std::string amount = request.goal == memory::Goal::until_free ? "until-free" : "free";
    return options.set(
               "budget",
               fmt::format("{} ms",
                           std::chrono::ceil<std::chrono::milliseconds>(request.budget).count())) &&
           (!policy_there || options.read(wish.policy_path)) &&
           options.set("node", memory::format_node_list(*settings.nodes)) &&
           options.set("what", what) && options.set(amount, std::to_string(request.bytes));
}

/// "node 0: freed 1G of 2G in 0.012 s: what is left is dirty; node 1: ..."
std::string in_words(const node_memory_report* report) {
    std::string text;
    for (size_t i = 0; i < node_memory_report_nodes(report); ++i) {
        const auto value = [&](int of) { return node_memory_report_value(report, i, of); };
        const std::string reason = node_memory_report_reason(report, i);
        text += fmt::format(
            "{}node {}: freed {} MiB of {} MiB in {} ms{}{}", i == 0 ? "" : "; ",
            value(NODE_MEMORY_VALUE_NODE), value(NODE_MEMORY_VALUE_FREED_BYTES) >> 20,
            value(NODE_MEMORY_VALUE_ASKED_BYTES) >> 20,
            value(NODE_MEMORY_VALUE_NANOSECONDS) / 1'000'000, reason.empty() ? "" : ": ", reason);
    }
    return text;
}

/// Does what was ordered and logs what came of it. Returns whether the job may start.
bool fulfil(const Wish& wish, bool policy_there, const apps::JobOrder& order) {
    Options options;
    node_memory_report* made = nullptr;
    int outcome = NODE_MEMORY_USAGE;
    if (fill(options, wish, policy_there, order)) outcome = node_memory_run(options.get(), &made);
    const std::unique_ptr<node_memory_report, void (*)(node_memory_report*)> report(
        made, node_memory_report_free);
    const std::string text = fmt::format("clean-node: {}: {}", order.note,
                                         made != nullptr ? in_words(made) : options.error());
    const bool expected =
        outcome == NODE_MEMORY_DONE || (outcome == NODE_MEMORY_SHORT && order.all_there_is);
    if (expected)
        slurm_info("%s", text.c_str());
    else
        slurm_error("%s", text.c_str());
    return outcome == NODE_MEMORY_USAGE ||
           exit_code_of_job(order, static_cast<memory::Outcome>(outcome)) == 0;
}

/// Cleans for a job. A mistake in the policy is logged and holds up no job.
bool clean(const Wish& wish) {
    const memory::Cancel cancel;
    memory::RealMachine machine(cancel);
    const auto policy = machine.read(wish.policy_path);
    if (!policy && policy.error().code != ENOENT) {
        slurm_error("clean-node: %s", policy.error().message.c_str());
        return true;
    }
    // Without a policy the built-in one holds.
    const auto order =
        apps::order_of_job(machine, wish.job, policy ? *policy : "", wish.policy_path, wish.what);
    if (!order) {
        slurm_error("clean-node: job %s: %s", wish.job.id.c_str(), order.error().message.c_str());
        return true;
    }
    if (order->wanted) return fulfil(wish, policy.has_value(), *order);
    slurm_info("clean-node: %s", order->note.c_str());
    return true;
}

}  // namespace

extern "C" {

int slurm_spank_init(spank_t spank, int /*count*/, char** /*arguments*/) {
    // srun, sbatch and salloc show the option and check it; slurmstepd must know it, too.
    switch (spank_context()) {
        case S_CTX_LOCAL:
        case S_CTX_ALLOCATOR:
        case S_CTX_REMOTE:
            return spank_option_register(spank, &clean_node_option());
        default:
            return ESPANK_SUCCESS;
    }
}

int slurm_spank_job_prolog(spank_t spank, int count, char* arguments[]) {
    char* what = nullptr;
    // Here Slurm runs no callback; it answers an error when the job did not ask.
    if (spank_option_getopt(spank, &clean_node_option(), &what) != ESPANK_SUCCESS)
        return ESPANK_SUCCESS;
    try {
        const auto job = apps::job_of_environment();
        if (!job) {
            slurm_error("clean-node: %s", job.error().message.c_str());
            return ESPANK_SUCCESS;
        }
        // A value that was left out comes as Slurm printed it.
        const bool by_policy = what == nullptr || std::string_view(what) == "(null)";
        const Wish wish{*job, by_policy ? "" : what, policy_path(count, arguments)};
        // What is negative fails the prolog, and that takes the machine out of service.
        return clean(wish) ? ESPANK_SUCCESS : -1;
    } catch (const std::exception& problem) {
        slurm_error("clean-node: %s", problem.what());
        return ESPANK_SUCCESS;
    }
}

}  // extern "C"
