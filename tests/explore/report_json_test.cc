// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "braidway/explore/report.h"
#include "explore/traces.h"

namespace braidway::explore {
namespace {

using nlohmann::json;

json parsed(const Verdict& verdict) {
    const std::string text = report_json(verdict);
    EXPECT_EQ(text.find('\n'), text.size() - 1) << "one line";
    return json::parse(text);
}

TEST(ReportJson, SaysEverythingOfAVerdict) {
    const json all = parsed(made::recursive_read());
    EXPECT_EQ(all["schema"], report_schema);
    EXPECT_EQ(all["summary"], "DEADLOCK after 7 executions (sampled)");
    EXPECT_EQ(all["finding"], "deadlock");
    EXPECT_EQ(all["coverage"], "sampled");
    EXPECT_EQ(all["executions"], 7);
    EXPECT_EQ(all["first_failure"], 7);
    EXPECT_EQ(all["replay"], "r1:0.0.1.1.0");
    const json& trace = all["trace"];
    EXPECT_EQ(trace["threads"], json({"reader", "writer"}));
    EXPECT_EQ(trace["objects"][0]["size_bytes"], 16);
    EXPECT_EQ(trace["steps"].size(), 12U);
    EXPECT_EQ(trace["steps"][1]["kind"], "exchange");
    EXPECT_EQ(trace["steps"][1]["before"], 0);
    EXPECT_EQ(trace["steps"][1]["after"], 256);
    EXPECT_EQ(trace["steps"][1]["at"]["name"], "lock");
    EXPECT_EQ(trace["steps"][5]["event"], "wanted");
    EXPECT_EQ(trace["steps"][5]["mode"], "exclusive");
    EXPECT_EQ(trace["steps"][8]["outcome"], "woken");
    EXPECT_EQ(trace["states"][0]["state"], "asleep");
    EXPECT_EQ(trace["states"][0]["holds"][0]["name"], "lock");
    EXPECT_EQ(trace["states"][0]["wants"][0]["mode"], "shared");
    EXPECT_EQ(trace["waits"][0]["why"], "queued");
    EXPECT_EQ(trace["waits"][0]["blocker"], 1);
    EXPECT_EQ(trace["ring"], json({0, 1}));
}

TEST(ReportJson, OfACleanVerdictHasEmptyLists) {
    const json all = parsed(Verdict{});
    EXPECT_EQ(all["finding"], "nothing");
    EXPECT_EQ(all["trace"]["steps"], json::array());
    EXPECT_EQ(all["trace"]["ring"], json::array());
}

TEST(ReportJson, KeepsHostileNamesAndLargeValues) {
    Verdict verdict = made::recursive_read();
    verdict.trace.threads[0] = "a\"\n</script>\x01";
    verdict.trace.threads[1] = "\xff";
    verdict.trace.steps[1].after = UINT64_MAX;
    const json all = parsed(verdict);
    EXPECT_EQ(all["trace"]["threads"][0], "a\"\n</script>\x01");
    EXPECT_EQ(all["trace"]["threads"][1], "\xef\xbf\xbd");
    EXPECT_EQ(all["trace"]["steps"][1]["after"], UINT64_MAX);
}

TEST(ReportJson, NamesEveryKindOfStep) {
    Verdict verdict;
    for (unsigned kind = 0; kind <= static_cast<unsigned>(StepKind::killed); ++kind)
        verdict.trace.steps.push_back(made::step(0, static_cast<StepKind>(kind)));
    const json all = parsed(verdict);
    EXPECT_EQ(all["trace"]["steps"].front()["kind"], "load");
    EXPECT_EQ(all["trace"]["steps"].back()["kind"], "killed");
    EXPECT_EQ(all["trace"]["steps"][14]["kind"], "note");
}

TEST(ReportJson, IsCompleteForALongTrace) {
    Verdict verdict;
    verdict.trace = made::long_trace(2, 10'000);
    EXPECT_EQ(parsed(verdict)["trace"]["steps"].size(), 10'000U);
}

}  // namespace
}  // namespace braidway::explore
