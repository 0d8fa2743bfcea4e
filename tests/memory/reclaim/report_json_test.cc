// SPDX-License-Identifier: Apache-2.0
// A report as JSON: the same fields in every run.
#include "memory/reclaim/report_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace braidway::memory {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr uint64_t mib = 1 << 20;

NodeReport node_report(uint32_t node) {
    NodeReport report;
    report.node = node;
    report.asked = 100 * mib;
    report.goal = 90 * mib;
    report.freed[Kind::page_cache] = 50 * mib;
    report.freed[Kind::anonymous] = 10 * mib;
    report.collateral[Kind::slab] = 3 * mib;
    report.collateral_shmem = 2 * mib;
    report.demoted = mib;
    report.net_free = -7;
    report.length = 1500ms;
    report.shortfall = Shortfall::dirty;
    report.reason = "30M is dirty";
    report.plan.goal = 90 * mib;
    report.plan.available[Kind::page_cache] = 400 * mib;
    report.plan.dirty = 30 * mib;
    report.plan.swap_free = 5 * mib;
    report.plan.blockers = {"30M dirty"};
    report.plan.chains = {{Kind::page_cache, {"node-reclaim"}}};
    report.before.total = report.after.total = 1024 * mib;
    Step step{
        .mechanism = "node-reclaim", .kind = "page-cache", .asked = 50 * mib, .outcome = "done"};
    step.calls = 2;
    step.length = 20ms;
    step.change.freed[Kind::page_cache] = 50 * mib;
    report.steps = {step};
    return report;
}

const Request request{.bytes = 100 * mib, .kinds = {Kind::page_cache, Kind::anonymous}};

std::set<std::string> paths(const json& value, const std::string& at = "") {
    std::set<std::string> all;
    if (!value.is_object()) return {at};
    for (const auto& [key, part] : value.items()) {
        const auto below = paths(part, at + "/" + key);
        all.insert(below.begin(), below.end());
    }
    return all;
}

TEST(ReportJson, HasAllFieldsForEveryReport) {
    const std::set<std::string> always{"/schema_version",
                                       "/dry_run",
                                       "/what",
                                       "/reading",
                                       "/asked_bytes",
                                       "/goal_bytes",
                                       "/freed_bytes",
                                       "/freed/page_cache_bytes",
                                       "/freed/mapped_page_cache_bytes",
                                       "/freed/anonymous_bytes",
                                       "/freed/slab_bytes",
                                       "/collateral/page_cache_bytes",
                                       "/collateral/mapped_page_cache_bytes",
                                       "/collateral/anonymous_bytes",
                                       "/collateral/slab_bytes",
                                       "/collateral/shmem_bytes",
                                       "/collateral/demoted_bytes",
                                       "/net_free_bytes",
                                       "/seconds",
                                       "/reason",
                                       "/reason_code",
                                       "/plan/page_cache_bytes",
                                       "/plan/mapped_page_cache_bytes",
                                       "/plan/anonymous_bytes",
                                       "/plan/slab_bytes",
                                       "/plan/goal_bytes",
                                       "/plan/clean_bytes",
                                       "/plan/dirty_bytes",
                                       "/plan/writeback_bytes",
                                       "/plan/mapped_bytes",
                                       "/plan/mlocked_bytes",
                                       "/plan/shmem_bytes",
                                       "/plan/swap_free_bytes",
                                       "/plan/share/page_cache_bytes",
                                       "/plan/blockers",
                                       "/steps",
                                       "/nodes"};
    for (const Report& report :
         {Report{}, Report{.nodes = {NodeReport{}}}, Report{.nodes = {node_report(0)}},
          Report{.nodes = {node_report(0), node_report(3)}}})
        for (const bool dry_run : {false, true}) {
            const json all = json::parse(report_json(report, request, dry_run));
            const auto there = paths(all);
            for (const std::string& path : always) EXPECT_TRUE(there.contains(path)) << path;
            EXPECT_EQ(all["nodes"].size(), report.nodes.size());
            EXPECT_EQ(all["dry_run"], dry_run);
            for (const json& node : all["nodes"]) {
                const auto of_node = paths(node);
                for (const char* path :
                     {"/node", "/asked_bytes", "/freed/slab_bytes", "/collateral/shmem_bytes",
                      "/net_free_bytes", "/seconds", "/reason", "/plan/dirty_bytes",
                      "/before/free_bytes", "/after/free_bytes", "/steps"})
                    EXPECT_TRUE(of_node.contains(path)) << path;
            }
        }
}

TEST(ReportJson, SaysWhatHappenedOnANode) {
    const json all = json::parse(report_json({.nodes = {node_report(2)}}, request, false));
    const json& node = all["nodes"][0];
    EXPECT_EQ(node["node"], 2);
    EXPECT_EQ(node["asked_bytes"], 100 * mib);
    EXPECT_EQ(node["freed_bytes"], 60 * mib);
    EXPECT_EQ(node["freed"]["anonymous_bytes"], 10 * mib);
    EXPECT_EQ(node["collateral"]["slab_bytes"], 3 * mib);
    EXPECT_EQ(node["net_free_bytes"], -7);
    EXPECT_EQ(node["seconds"], 1.5);
    EXPECT_EQ(node["reason"], "30M is dirty");
    EXPECT_EQ(node["reason_code"], "dirty");
    EXPECT_EQ(node["steps"][0]["mechanism"], "node-reclaim");
    EXPECT_EQ(node["steps"][0]["node"], 2);
    EXPECT_EQ(node["steps"][0]["calls"], 2);
    EXPECT_EQ(node["plan"]["mechanisms"]["page-cache"][0], "node-reclaim");
    EXPECT_EQ(all["what"], "page-cache,anonymous");
    EXPECT_EQ(all["reading"], "free");
    EXPECT_EQ(all["reason"], "30M is dirty") << "of one node without its number";
    EXPECT_EQ(all["steps"].size(), 1u);
}

TEST(ReportJson, AddsTheNodesUp) {
    Report report{.nodes = {node_report(0), node_report(3)}, .length = 2s};
    report.nodes[0].reason.clear();
    report.nodes[0].shortfall = Shortfall::none;
    const json all = json::parse(report_json(report, request, false));
    EXPECT_EQ(all["asked_bytes"], 200 * mib);
    EXPECT_EQ(all["goal_bytes"], 180 * mib);
    EXPECT_EQ(all["freed"]["page_cache_bytes"], 100 * mib);
    EXPECT_EQ(all["collateral"]["demoted_bytes"], 2 * mib);
    EXPECT_EQ(all["net_free_bytes"], -14);
    EXPECT_EQ(all["seconds"], 2.0) << "the nodes run side by side";
    EXPECT_EQ(all["reason"], "node 3: 30M is dirty");
    EXPECT_EQ(all["reason_code"], "dirty");
    EXPECT_EQ(all["plan"]["page_cache_bytes"], 800 * mib);
    EXPECT_EQ(all["plan"]["swap_free_bytes"], 5 * mib) << "of the machine, not of each node";
    EXPECT_EQ(all["plan"]["blockers"][1], "node 3: 30M dirty");
    EXPECT_EQ(all["steps"].size(), 2u);
}

TEST(ReportJson, SurvivesNamesThatAreNoText) {
    NodeReport report = node_report(0);
    report.reason = "writing back /x\xff\xfe\"\n: no";
    const std::string text = report_json({.nodes = {report}}, request, false);
    EXPECT_TRUE(json::accept(text));
    EXPECT_TRUE(text.ends_with("}\n"));
}

TEST(ReportText, IsOneLineForPeople) {
    NodeReport report = node_report(2);
    EXPECT_EQ(report_text(report, request),
              "node 2: freed 60M of 90M asked in 1.500 s: 30M is dirty");
    report.reason.clear();
    Request until = request;
    until.goal = Goal::until_free;
    report.after.free = 100 * mib;
    report.before.free = 40 * mib;
    EXPECT_EQ(report_text(report, until),
              "node 2: 100M free of 100M asked, 60M more than before in 1.500 s");
}

}  // namespace
}  // namespace braidway::memory
