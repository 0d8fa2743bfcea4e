// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/report_json.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "memory/reclaim/shortfall.h"

namespace braidway::memory {
namespace {

using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

double seconds(Duration length) {
    return std::chrono::duration<double>(length).count();
}

Json json_of(const KindBytes& kinds) {
    return {{"page_cache_bytes", kinds[Kind::page_cache]},
            {"mapped_page_cache_bytes", kinds[Kind::mapped_page_cache]},
            {"anonymous_bytes", kinds[Kind::anonymous]},
            {"slab_bytes", kinds[Kind::slab]}};
}

Json json_of(const Plan& plan) {
    Json json = json_of(plan.available);
    json["goal_bytes"] = plan.goal;
    json["clean_bytes"] = plan.clean;
    json["dirty_bytes"] = plan.dirty;
    json["writeback_bytes"] = plan.writeback;
    json["mapped_bytes"] = plan.mapped;
    json["mlocked_bytes"] = plan.mlocked;
    json["shmem_bytes"] = plan.shmem;
    json["swap_free_bytes"] = plan.swap_free;
    json["share"] = json_of(plan.share);
    json["mechanisms"] = Json::object();
    for (const auto& [kind, chain] : plan.chains)
        json["mechanisms"][std::string(name_of(kind))] = chain;
    json["blockers"] = plan.blockers;
    return json;
}

Json json_of(const Step& step, uint32_t node) {
    return {{"node", node},
            {"mechanism", step.mechanism},
            {"kind", step.kind},
            {"asked_bytes", step.asked},
            {"freed", json_of(step.change.freed)},
            {"shmem_bytes", step.change.shmem},
            {"swapped_out_bytes", step.change.swapped_out},
            {"calls", step.calls},
            {"seconds", seconds(step.length)},
            {"outcome", step.outcome}};
}

Json state_json(const NodeState& state) {
    return {{"total_bytes", state.total},
            {"free_bytes", state.free},
            {"page_cache_bytes", state.page_cache()},
            {"mapped_page_cache_bytes", state.mapped_page_cache()},
            {"dirty_bytes", state.dirty},
            {"writeback_bytes", state.writeback},
            {"mlocked_bytes", state.mlocked},
            {"shmem_bytes", state.shmem},
            {"anonymous_bytes", state.anon_pages},
            {"slab_reclaimable_bytes", state.slab_reclaimable},
            {"slab_unreclaimable_bytes", state.slab_unreclaimable}};
}

Json collateral_json(const KindBytes& kinds, uint64_t shmem, uint64_t demoted) {
    Json json = json_of(kinds);
    json["shmem_bytes"] = shmem;
    json["demoted_bytes"] = demoted;
    return json;
}

/// What nodes and the whole have in common.
struct Numbers {
    uint64_t asked = 0;
    uint64_t goal = 0;
    KindBytes freed{};
    KindBytes collateral{};
    uint64_t shmem = 0;
    uint64_t demoted = 0;
    int64_t net_free = 0;
    Duration length{};
    std::string reason{};
    std::string_view code = "none";
};

Numbers numbers_of(const NodeReport& node) {
    return {.asked = node.asked,
            .goal = node.goal,
            .freed = node.freed,
            .collateral = node.collateral,
            .shmem = node.collateral_shmem,
            .demoted = node.demoted,
            .net_free = node.net_free,
            .length = node.length,
            .reason = node.reason,
            .code = name_of(node.shortfall)};
}

Numbers numbers_of(const Report& report) {
    Numbers all{.length = report.length};
    for (const NodeReport& node : report.nodes) {
        all.asked += node.asked;
        all.goal += node.goal;
        all.freed += node.freed;
        all.collateral += node.collateral;
        all.shmem += node.collateral_shmem;
        all.demoted += node.demoted;
        all.net_free += node.net_free;
        if (node.reason.empty()) continue;
        if (all.reason.empty()) all.code = name_of(node.shortfall);
        const bool several = report.nodes.size() > 1;
        all.reason += fmt::format("{}{}{}", all.reason.empty() ? "" : "; ",
                                  several ? fmt::format("node {}: ", node.node) : "", node.reason);
    }
    return all;
}

void put_numbers(Json& json, const Numbers& numbers) {
    json["asked_bytes"] = numbers.asked;
    json["goal_bytes"] = numbers.goal;
    json["freed_bytes"] = numbers.freed.total();
    json["freed"] = json_of(numbers.freed);
    json["collateral"] = collateral_json(numbers.collateral, numbers.shmem, numbers.demoted);
    json["net_free_bytes"] = numbers.net_free;
    json["seconds"] = seconds(numbers.length);
    json["reason"] = numbers.reason;
    json["reason_code"] = numbers.code;
}

Plan sum_of_plans(const Report& report) {
    Plan sum;
    for (const NodeReport& node : report.nodes) {
        const Plan& plan = node.plan;
        sum.goal += plan.goal;
        sum.available += plan.available;
        sum.share += plan.share;
        sum.clean += plan.clean;
        sum.dirty += plan.dirty;
        sum.writeback += plan.writeback;
        sum.mapped += plan.mapped;
        sum.mlocked += plan.mlocked;
        sum.shmem += plan.shmem;
        sum.swap_free = plan.swap_free;
        if (sum.chains.empty()) sum.chains = plan.chains;
        for (const std::string& blocker : plan.blockers)
            sum.blockers.push_back(
                report.nodes.size() > 1 ? fmt::format("node {}: {}", node.node, blocker) : blocker);
    }
    return sum;
}

}  // namespace

std::string report_json(const Report& report, const Request& request, bool dry_run) {
    Json json;
    json["schema_version"] = schema_version;
    json["dry_run"] = dry_run;
    json["what"] = format_kinds(request.kind_set());
    json["reading"] = request.goal == Goal::free_more ? "free" : "until-free";
    put_numbers(json, numbers_of(report));
    json["plan"] = json_of(sum_of_plans(report));
    json["steps"] = Json::array();
    json["nodes"] = Json::array();
    for (const NodeReport& node : report.nodes) {
        Json one;
        one["node"] = node.node;
        put_numbers(one, numbers_of(node));
        one["plan"] = json_of(node.plan);
        one["before"] = state_json(node.before);
        one["after"] = state_json(node.after);
        one["steps"] = Json::array();
        for (const Step& step : node.steps) {
            one["steps"].push_back(json_of(step, node.node));
            json["steps"].push_back(json_of(step, node.node));
        }
        json["nodes"].push_back(std::move(one));
    }
    // Texts may quote names of files, which need not be UTF-8.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string report_text(const NodeReport& report, const Request& request) {
    const uint64_t got = reached(request, report);
    std::string text;
    if (request.goal == Goal::free_more)
        text = fmt::format("node {}: freed {} of {} asked", report.node, format_size(got),
                           format_size(report.goal));
    else
        text = fmt::format("node {}: {} free of {} asked, {} more than before", report.node,
                           format_size(report.after.free), format_size(report.asked),
                           format_size(got));
    text += fmt::format(" in {:.3f} s", seconds(report.length));
    if (!report.reason.empty()) text += ": " + report.reason;
    return text;
}

}  // namespace braidway::memory
