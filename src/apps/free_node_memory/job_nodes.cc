// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/job_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <vector>

#include "memory/reclaim/node_state.h"

namespace braidway::apps {
namespace {

using memory::Machine;
using memory::NodeList;

/// What one job is confined to, as the kernel prints it; empty where it is not.
struct Cpuset {
    std::string job;  ///< "17".
    std::string mems;
    std::string cpus;
};

using CpuRange = std::pair<uint32_t, uint32_t>;  ///< First and last.

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1);
}

/// "0-3,8": as the kernel prints CPUs, of which there may be more than nodes.
std::vector<CpuRange> cpu_ranges(std::string_view text) {
    std::vector<CpuRange> ranges;
    text = trimmed(text);
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at < end) {
        uint32_t first = 0;
        const auto number = std::from_chars(at, end, first);
        if (number.ec != std::errc()) return {};
        uint32_t last = first;
        at = number.ptr;
        if (at < end && *at == '-') {
            const auto second = std::from_chars(at + 1, end, last);
            if (second.ec != std::errc()) return {};
            at = second.ptr;
        }
        ranges.emplace_back(first, last);
        if (at < end && *at != ',') return {};
        ++at;
    }
    return ranges;
}

bool overlap(const std::vector<CpuRange>& some, const std::vector<CpuRange>& others) {
    return std::ranges::any_of(some, [&](const CpuRange& one) {
        return std::ranges::any_of(others, [&](const CpuRange& other) {
            return one.first <= other.second && other.first <= one.second;
        });
    });
}

/// The first of the files that has something in it.
std::string first_text(const Machine& machine, const std::string& folder,
                       std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names) {
        const auto text = machine.read(fmt::format("{}/{}", folder, name));
        if (text && !trimmed(*text).empty()) return std::string(trimmed(*text));
    }
    return {};
}

/// Adds the cpusets of the folders job_* in `folder`.
void add_cpusets(const Machine& machine, const std::string& folder, std::vector<Cpuset>& found) {
    const auto names = machine.list(folder);
    if (!names) return;
    for (const std::string& name : *names) {
        if (!name.starts_with("job_")) continue;
        const std::string job = fmt::format("{}/{}", folder, name);
        // What a job left behind that is over holds nothing.
        const auto events = machine.read(job + "/cgroup.events");
        if (events && events->find("populated 0") != std::string::npos) continue;
        Cpuset cpuset{
            name.substr(4),
            first_text(machine, job, {"cpuset.mems.effective", "cpuset.mems"}),
            first_text(machine, job, {"cpuset.cpus.effective", "cpuset.cpus"}),
        };
        if (!cpuset.mems.empty()) found.push_back(std::move(cpuset));
    }
}

/// Of all jobs that Slurm has confined on this machine now.
std::vector<Cpuset> cpusets(const Machine& machine, const std::string& machine_name) {
    std::vector<Cpuset> found;
    std::vector<std::string> v1{"slurm"};
    std::vector<std::string> v2{"slurmstepd.scope"};
    if (!machine_name.empty()) {
        v1.push_back("slurm_" + machine_name);
        v2.push_back(machine_name + "_slurmstepd.scope");
    }
    for (const std::string& name : v1) {
        const std::string users = "/sys/fs/cgroup/cpuset/" + name;
        const auto folders = machine.list(users);
        if (!folders) continue;
        for (const std::string& user : *folders)
            if (user.starts_with("uid_"))
                add_cpusets(machine, fmt::format("{}/{}", users, user), found);
    }
    for (const std::string& name : v2)
        add_cpusets(machine, "/sys/fs/cgroup/system.slice/" + name, found);
    return found;
}

NodeList common(const NodeList& some, const NodeList& others) {
    NodeList both;
    std::ranges::set_intersection(some, others, std::back_inserter(both));
    return both;
}

/// Of `all`, where a job in `cpuset` has its memory.
Result<NodeList> nodes_in(const Machine& machine, const Cpuset& cpuset, const NodeList& all) {
    const auto mems = memory::parse_node_list(cpuset.mems);
    if (!mems)
        return fail(
            fmt::format("the cpuset of job {} names its memory nodes '{}', which cannot be "
                        "understood: {}",
                        cpuset.job, cpuset.mems, mems.error().message));
    NodeList allowed = common(*mems, all);
    const auto cpus = cpu_ranges(cpuset.cpus);
    if (allowed != all || cpus.empty()) return allowed;
    NodeList local;
    for (const uint32_t node : all) {
        const auto list = machine.read(memory::node_file_path(node, "cpulist"));
        if (list && overlap(cpus, cpu_ranges(*list))) local.push_back(node);
    }
    // CPUs of nodes without memory take it from anywhere.
    return local.empty() ? allowed : local;
}

std::string nodes_text(const NodeList& nodes) {
    return fmt::format("node{} {}", nodes.size() == 1 ? "" : "s", memory::format_node_list(nodes));
}

}  // namespace

Result<JobNodes> nodes_of_job(const Machine& machine, const Job& job) {
    const auto all = memory::nodes_with_memory(machine);
    if (!all) return std::unexpected(all.error());
    NodeList taken;
    std::string others;
    for (const Cpuset& cpuset : cpusets(machine, job.machine_name)) {
        const auto nodes = nodes_in(machine, cpuset, *all);
        if (!nodes) return std::unexpected(nodes.error());
        if (cpuset.job == job.id)
            return JobNodes{*nodes, fmt::format("{} of the job's cpuset", nodes_text(*nodes))};
        taken.insert(taken.end(), nodes->begin(), nodes->end());
        others += fmt::format("{}{}", others.empty() ? "job " : ", ", cpuset.job);
    }
    if (taken.empty()) return JobNodes{*all, "all nodes, no cpuset confines a job here"};
    std::ranges::sort(taken);
    taken.erase(std::ranges::unique(taken).begin(), taken.end());
    NodeList rest;
    std::ranges::set_difference(*all, taken, std::back_inserter(rest));
    if (rest.empty())
        return JobNodes{{}, fmt::format("no node: every one is in use by others ({})", others)};
    return JobNodes{
        rest, fmt::format("{}; others use {} ({})", nodes_text(rest), nodes_text(taken), others)};
}

}  // namespace braidway::apps
