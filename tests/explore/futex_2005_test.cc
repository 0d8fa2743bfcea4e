// SPDX-License-Identifier: Apache-2.0
// The deadlock of 2005 and what was proposed against it: docs/examples/futex_2005/.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>
#include <vector>

#include "base/clock.h"
#include "explore/told.h"
#include "futex_2005.h"

namespace braidway::explore {
namespace {

using futex_2005::Scenario;

Verdict explored(std::string_view name, const Options& options) {
    const Scenario* const scenario = futex_2005::find_scenario(name);
    return told(scenario->name.data(), options, scenario->setup);
}

Verdict explored(std::string_view name) {
    return explored(name, futex_2005::find_scenario(name)->options);
}

/// Is it a proof within its method?
bool is_complete(const Verdict& verdict) {
    return verdict.coverage != Coverage::sampled;
}

size_t thread_named(const Trace& trace, std::string_view name) {
    return static_cast<size_t>(std::ranges::find(trace.threads, name) - trace.threads.begin());
}

TEST(Futex2005, EndsInEachScenarioAsThePageSays) {
    for (const Scenario& scenario : futex_2005::scenarios()) {
        const Verdict verdict = explored(scenario.name);
        EXPECT_EQ(verdict.finding, scenario.expected) << scenario.name << ": " << verdict.message;
        if (scenario.expected == Finding::nothing) {
            EXPECT_TRUE(is_complete(verdict)) << scenario.name << ": " << verdict.summary();
        }
    }
}

TEST(Futex2005, NamesWhoHoldsAndWhoWaits) {
    const Verdict verdict = explored("original");
    ASSERT_EQ(verdict.finding, Finding::deadlock);
    const Trace& trace = verdict.trace;
    const ThreadState& futex = trace.states.at(thread_named(trace, "futex"));
    ASSERT_EQ(futex.holds.size(), 1U);
    ASSERT_EQ(futex.wants.size(), 1U);
    EXPECT_EQ(futex.holds[0].mode, sync::LockMode::shared);
    EXPECT_EQ(futex.wants[0].mode, sync::LockMode::shared);
    EXPECT_EQ(futex.holds[0].lock, futex.wants[0].lock);
    EXPECT_EQ(name_of(trace, futex.holds[0].lock), "mmap_sem");
    const ThreadState& mmap = trace.states.at(thread_named(trace, "mmap"));
    EXPECT_TRUE(mmap.holds.empty());
    ASSERT_EQ(mmap.wants.size(), 1U);
    EXPECT_EQ(mmap.wants[0].mode, sync::LockMode::exclusive);
    EXPECT_EQ(mmap.wants[0].lock, futex.holds[0].lock);
}

TEST(Futex2005, IsFoundDepthFirstInAHundredExecutions) {
    const Verdict verdict = explored("original");
    EXPECT_EQ(verdict.finding, Finding::deadlock);
    EXPECT_LE(verdict.first_failure + verdict.blocked, 100U);
}

/// With Method::pct or random: in which execution each of so many seeds finds the deadlock.
std::vector<uint64_t> first_failures(Method method, unsigned seeds) {
    const Scenario* const scenario = futex_2005::find_scenario("original");
    std::vector<uint64_t> found;
    for (unsigned seed = 1; seed <= seeds; ++seed) {
        const Verdict verdict =
            explore({.method = method, .seed = seed, .executions_max = 1000, .minimise = false},
                    scenario->setup);
        found.push_back(verdict.clean() ? UINT64_MAX : verdict.first_failure);
    }
    std::ranges::sort(found);
    return found;
}

TEST(Futex2005, IsFoundByEachOfAHundredSeedsInAThousandExecutions) {
    for (const Method method : {Method::pct, Method::random}) {
        const std::vector<uint64_t> found = first_failures(method, 100);
        std::printf("[ EXPLORED ] original, %s, 100 seeds: median %llu, 90 %% %llu, most %llu\n",
                    method == Method::pct ? "PCT" : "random walk",
                    static_cast<unsigned long long>(found[50]),
                    static_cast<unsigned long long>(found[90]),
                    static_cast<unsigned long long>(found[99]));
        EXPECT_LE(found.back(), 1000U);
    }
}

TEST(Futex2005, ReplaysTheDeadlockByItsName) {
    const Verdict found = explored("original");
    const Verdict again = explored("original", {.method = Method::replay, .replay = found.replay});
    EXPECT_EQ(again.finding, Finding::deadlock);
    EXPECT_EQ(again.executions, 1U);
}

TEST(Futex2005, ProvesTheRetryCompletelyStateByState) {
    if (states_differ_for_ever()) GTEST_SKIP() << "sanitizers leave too much on the stacks";
    for (const std::string_view name : {"retry", "retry-reclaim"}) {
        const Verdict verdict = explored(name, {.method = Method::states, .spin_turns = 0});
        EXPECT_EQ(verdict.coverage, Coverage::exhaustive) << name;
        EXPECT_TRUE(verdict.clean()) << name;
        EXPECT_GT(verdict.states, 1000U) << name;
    }
}

TEST(Futex2005, IsFoundStateByStateWhereverItCanHappen) {
    if (states_differ_for_ever()) GTEST_SKIP() << "sanitizers leave too much on the stacks";
    for (const Scenario& scenario : futex_2005::scenarios()) {
        // The rest have more states than this test has seconds.
        if (scenario.options.method != Method::every) continue;
        const Verdict verdict =
            explored(scenario.name, {.method = Method::states, .spin_turns = 0});
        EXPECT_EQ(verdict.finding, scenario.expected) << scenario.name << ": " << verdict.message;
    }
}

TEST(Futex2005, ProvesTheRetryCompletelyWhereLongRunsAreAskedFor) {
    if (states_differ_for_ever()) GTEST_SKIP() << "sanitizers leave too much on the stacks";
    if (!long_explorations()) GTEST_SKIP() << "takes minutes; BRAIDWAY_EXPLORE_LONG=1 runs it";
    for (const std::string_view name : {"retry-readers", "retry-adversary"}) {
        const Instant start = monotonic_now();
        const Verdict verdict = explored(
            name, {.method = Method::states, .executions_max = 100'000'000, .spin_turns = 0});
        const Duration took = monotonic_now() - start;
        std::printf("             in %.1f s\n", std::chrono::duration<double>(took).count());
        EXPECT_EQ(verdict.coverage, Coverage::exhaustive) << name;
        EXPECT_TRUE(verdict.clean()) << name;
    }
}

/// A waiter lies on its thread's stack, whose address is another one in each run.
std::string without_addresses(const std::string& text) {
    return std::regex_replace(text, std::regex("0x[0-9a-f]{9,}"), "0x...");
}

/// The blocks of docs/deadlock-2005.md that begin with `$ futex_2005`: command and output.
std::vector<std::pair<std::string, std::string>> blocks_of_the_page() {
    std::ifstream page(BRAIDWAY_SOURCE_DIR "/docs/deadlock-2005.md");
    std::vector<std::pair<std::string, std::string>> blocks;
    bool inside = false;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("$ futex_2005")) {
            blocks.emplace_back(line.substr(2), "");
            inside = true;
        } else if (line == "```") {
            inside = false;
        } else if (inside) {
            blocks.back().second += line + "\n";
        }
    }
    return blocks;
}

TEST(Futex2005, DrawsThePictureOfThePage) {
    std::ifstream picture(BRAIDWAY_SOURCE_DIR "/docs/deadlock-2005.svg");
    std::stringstream shown;
    shown << picture.rdbuf();
    const std::string_view arguments[] = {"--svg", "original"};
    EXPECT_EQ(without_addresses(futex_2005::output(arguments)), without_addresses(shown.str()));
}

TEST(Futex2005, PrintsWhatThePageShows) {
    const auto blocks = blocks_of_the_page();
    EXPECT_GE(blocks.size(), 3U);
    for (const auto& [command, shown] : blocks) {
        std::istringstream words(command);
        std::vector<std::string> arguments;
        for (std::string word; words >> word;) arguments.push_back(word);
        const std::vector<std::string_view> names(arguments.begin() + 1, arguments.end());
        EXPECT_EQ(without_addresses(futex_2005::output(names)), without_addresses(shown))
            << "$ " << command;
    }
}

}  // namespace
}  // namespace braidway::explore
