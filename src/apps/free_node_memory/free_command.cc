// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/free_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <ostream>

#include "apps/free_node_memory/progress.h"
#include "base/units.h"
#include "memory/reclaim/free_nodes.h"
#include "memory/reclaim/report_json.h"

namespace braidway::apps {
namespace {

using memory::Kind;

int exit_code(const memory::Report& report, bool strict) {
    switch (memory::outcome_of(report)) {
        case memory::Outcome::done:
            return node_memory_done;
        case memory::Outcome::usage:
            return node_memory_usage;
        case memory::Outcome::refused:
            return node_memory_refused;
        case memory::Outcome::fell_short:
            break;
    }
    const bool cancelled = std::ranges::find(report.nodes, memory::Shortfall::cancelled,
                                             &memory::NodeReport::shortfall) != report.nodes.end();
    return strict || cancelled ? node_memory_short : node_memory_done;
}

/// "12M page cache, 3.0M slab"; empty: none.
std::string amounts(const memory::KindBytes& bytes) {
    std::string text;
    for (const Kind kind : {Kind::page_cache, Kind::mapped_page_cache, Kind::anonymous, Kind::slab})
        if (bytes[kind] > 0)
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", format_size(bytes[kind]),
                                name_of(kind));
    return text;
}

}  // namespace

Result<memory::NodeList> resolve_nodes(const memory::Machine& machine,
                                       const memory::Settings& settings) {
    if (!settings.nodes) return fail("--node: it is not said which node");
    if (!settings.nodes->empty()) {
        for (const uint32_t node : *settings.nodes)
            if (const auto there = memory::check_node(machine, node); !there)
                return fail("--node: " + there.error().message, there.error().code);
        return *settings.nodes;
    }
    auto nodes = memory::nodes_with_memory(machine);
    if (nodes && nodes->empty()) return fail("--node all: no node has memory");
    return nodes;
}

std::string plan_text(const memory::Report& report, const memory::Request& request) {
    std::string text;
    for (const memory::NodeReport& node : report.nodes) {
        const memory::Plan& plan = node.plan;
        text += fmt::format("node {}: {} to free of {}\n", node.node, format_size(plan.goal),
                            format_kinds(request.kind_set()));
        text += fmt::format("  {:<18} {:>10} {:>10}  {}\n", "KIND", "AVAILABLE", "SHARE", "BY");
        for (const auto& [kind, chain] : plan.chains) {
            const bool both = kind == Kind::page_cache && !request.spares_mapped();
            text += fmt::format(
                "  {:<18} {:>10} {:>10}  {}\n", both ? "page-cache, mapped" : name_of(kind),
                format_size(plan.available[kind] +
                            (both ? plan.available[Kind::mapped_page_cache] : 0)),
                format_size(plan.share[kind] + (both ? plan.share[Kind::mapped_page_cache] : 0)),
                chain.empty() ? "nothing (see --capabilities)"
                              : fmt::format("{}", fmt::join(chain, ", then ")));
        }
        text += fmt::format(
            "  page cache: {} clean, {} dirty, {} under writeback, {} mapped; "
            "{} mlocked; {} tmpfs and shared memory\n",
            format_size(plan.clean), format_size(plan.dirty), format_size(plan.writeback),
            format_size(plan.mapped), format_size(plan.mlocked), format_size(plan.shmem));
        for (const std::string& blocker : plan.blockers)
            text += fmt::format("  stays: {}\n", blocker);
    }
    return text;
}

std::string freed_text(const memory::Report& report, const memory::Request& request) {
    std::string text;
    for (const memory::NodeReport& node : report.nodes) {
        text += report_text(node, request) + "\n";
        if (node.goal == 0) continue;
        const std::string freed = amounts(node.freed);
        text += fmt::format("  freed: {}\n", freed.empty() ? "nothing" : freed);
        std::string others = amounts(node.collateral);
        if (node.collateral_shmem > 0)
            others += fmt::format("{}{} tmpfs to swap", others.empty() ? "" : ", ",
                                  format_size(node.collateral_shmem));
        if (node.demoted > 0)
            others += fmt::format("{}{} moved to a slower tier", others.empty() ? "" : ", ",
                                  format_size(node.demoted));
        if (!others.empty()) text += fmt::format("  besides: {}\n", others);
        const bool grew = node.net_free >= 0;
        text += fmt::format("  free memory: {}{}, now {} of {}\n", grew ? "+" : "-",
                            format_size(static_cast<uint64_t>(std::abs(node.net_free))),
                            format_size(node.after.free), format_size(node.after.total));
        for (const memory::Step& step : node.steps)
            text += fmt::format("  by {}: {} in {} ({} call{}): {}\n", step.mechanism,
                                format_size(step.change.freed.total(request.kind_set())),
                                format_duration(step.length), step.calls,
                                step.calls == 1 ? "" : "s", step.outcome);
    }
    return text;
}

int run_free(const FreeCommand& command, const NodeMemoryContext& context) {
    const auto machine = context.machine(command.root);
    const memory::Settings& settings = command.settings;
    const auto nodes = resolve_nodes(*machine, settings);
    if (!nodes) return complain(context, nodes.error().message, node_memory_usage);
    if (command.dry_run) {
        const auto plan = plan_nodes(*machine, *nodes, settings.request);
        if (!plan) return complain(context, plan.error().message, node_memory_failed);
        return answer(context,
                      command.json ? report_json(*plan, settings.request, true)
                                   : plan_text(*plan, settings.request),
                      node_memory_done);
    }
    ProgressBar bar(context.error, context.progress_bar && !command.quiet);
    const auto report = free_nodes(*machine, *nodes, settings.request, &bar);
    bar.clear();
    if (!report) return complain(context, report.error().message, node_memory_failed);
    const int code = exit_code(*report, settings.strict);
    for (const memory::NodeReport& node : report->nodes)
        if (code == node_memory_refused && !node.reason.empty())
            complain(context, fmt::format("node {}: {}", node.node, node.reason), code);
    if (command.json) return answer(context, report_json(*report, settings.request, false), code);
    return command.quiet ? code : answer(context, freed_text(*report, settings.request), code);
}

}  // namespace braidway::apps
