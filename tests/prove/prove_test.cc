// SPDX-License-Identifier: Apache-2.0
// Every state of the small maps: nothing wrong, docs/states.md says what happens, and a search can
// find something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <sstream>

#include "prove/explorer.h"

namespace braidway::prove {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

std::string read_text(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

std::string finding_text(const Report& report) {
    std::string text = report.finding->wrong;
    for (const std::string& event : report.finding->events) text += "\n" + event;
    return text;
}

/// The first line in which two texts differ.
std::string first_difference(const std::string& one, const std::string& other) {
    std::istringstream ones(one);
    std::istringstream others(other);
    for (std::string left, right;;) {
        const bool more = static_cast<bool>(std::getline(ones, left));
        const bool more_others = static_cast<bool>(std::getline(others, right));
        if (!more && !more_others) return {};
        if (left != right || more != more_others) return left + "\n" + right;
        left.clear();
        right.clear();
    }
}

TEST(Prove, NothingIsWrongInAnyStateOfTheSmallMapsAndTheDocumentSaysWhatHappens) {
    Visits visits;
    for (const Config& config : small_configs()) {
        const Report report = explore(config, {}, visits);
        std::cout << config.name << ": " << report.states << " states, " << report.transitions
                  << " transitions, " << report.seconds << " s\n";
        EXPECT_FALSE(report.finding) << config.name << ": " << finding_text(report);
        EXPECT_FALSE(report.capped) << config.name;
        EXPECT_GT(report.states, 500u) << config.name;
        // Only what is cut on purpose is not visited.
        EXPECT_TRUE(config.strict || report.cuts.empty()) << config.name;
    }
    const std::string document = read_text(BRAIDWAY_SOURCE_DIR "/docs/states.md");
    const std::string seen = states_text(visits);
    EXPECT_TRUE(document == seen)
        << "docs/states.md does not say what happens; first difference, document and program:\n"
        << first_difference(document, seen)
        << "\nWrite it anew: ./dev prove --states > docs/states.md, and read what changed.";
}

// --- a search can find something ----------------------------------------------------------------

Report search_with(Fault fault, Config config) {
    config.fault = fault;
    Visits visits;
    return explore(config, {.states_max = 100'000}, visits);
}

void expect_found(const Report& report, const std::string& wrong, size_t events) {
    ASSERT_TRUE(report.finding);
    EXPECT_THAT(report.finding->wrong, HasSubstr(wrong));
    EXPECT_THAT(report.finding->events, SizeIs(events)) << finding_text(report);
}

TEST(Prove, FindsAMapThatLosesAHeldRequest) {
    expect_found(search_with(Fault::loses_held_requests, {.requests = 2}),
                 "a request was lost or doubled", 2);
}

TEST(Prove, FindsAMapThatDoesNotRunHeldRequests) {
    expect_found(search_with(Fault::ignores_run_held, {}), "stuck", 2);
}

TEST(Prove, FindsAMapThatSendsAgainWhatMayStillHappen) {
    expect_found(search_with(Fault::ignores_the_fence, {.paths = 2, .requests = 1}), "fenced", 2);
}

TEST(Prove, FindsAMapWithoutATimerForTheTimeWithoutAPath) {
    expect_found(search_with(Fault::forgets_the_timer, {}), "no timer ends it", 2);
}

TEST(Prove, FindsAMapThatAnswersTwice) {
    expect_found(search_with(Fault::answers_twice, {.paths = 2, .attempts_max = 2}),
                 "lost or doubled", 2);
}

TEST(Prove, FindsAMapThatObeysBeforeItKeepsWhatIsHeld) {
    expect_found(search_with(Fault::drains_before_placing, {.groups = 2, .handler = true}),
                 "a request is held though there is a path", 1);
}

TEST(Prove, FindsAnInvariantThatDoesNotHoldByTheShortestWay) {
    const Report report = search_with(Fault::claims_nothing_waits, {.requests = 2});
    expect_found(report, "a request is held", 2);
    EXPECT_THAT(report.finding->events[0], HasSubstr("begin -> sent"));
    EXPECT_THAT(report.finding->events[1], HasSubstr("answer_path from p0, try 1 ->"));
}

TEST(Prove, SaysWhenThereAreMoreStatesThanItMayVisit) {
    Visits visits;
    const Report report = explore({.paths = 2}, {.states_max = 100}, visits);
    EXPECT_TRUE(report.capped);
    EXPECT_EQ(report.states, 100u);
}

TEST(Prove, FindsTheSameWithWorldsThatAreMadeAgain) {
    Visits kept;
    Visits made_again;
    const Report one = explore({}, {}, kept);
    const Report other = explore({}, {.worlds_max = 1}, made_again);
    EXPECT_EQ(one.states, other.states);
    EXPECT_EQ(one.transitions, other.transitions);
    EXPECT_TRUE(states_text(kept) == states_text(made_again));
}

TEST(Prove, ReportsWhatTheTestsNeverVisited) {
    Visits one;
    Visits all;
    explore({}, {}, one);
    all.add(one);
    EXPECT_EQ(coverage_of(all, one).missed, 0u);
    explore({.strict = true, .handler = true}, {.states_max = 1000}, all);
    EXPECT_GT(coverage_of(all, one).missed, 0u);
    EXPECT_THAT(coverage_text(all, one), HasSubstr("activated_busy"));
}

}  // namespace
}  // namespace braidway::prove
