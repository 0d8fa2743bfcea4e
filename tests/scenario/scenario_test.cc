// SPDX-License-Identifier: Apache-2.0
// Every recorded scenario gets the answers that the real dm-multipath gave.
#include "scenario.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include <gmock/gmock.h>

namespace braidway::scenario {
namespace {

namespace fs = std::filesystem;

const fs::path own_records = fs::path(BRAIDWAY_SOURCE_DIR) / "tests/scenario/recorded";
const fs::path shared_records = fs::path(BRAIDWAY_SOURCE_DIR) / "../shared/lab/scenarios/recorded";

std::vector<fs::path> records_in(const fs::path& folder) {
    std::vector<fs::path> records;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder, none))
        if (entry.path().extension() == ".rec") records.push_back(entry.path());
    std::ranges::sort(records);
    return records;
}

std::string one_blank(const std::string& line) {
    std::istringstream stream(line);
    std::string words;
    for (std::string word; stream >> word;) words += (words.empty() ? "" : " ") + word;
    return words;
}

/// One step of a record: the line, and what was answered.
struct Step {
    std::string line;
    std::vector<std::string> answer;
};

std::vector<Step> read_record(const fs::path& file) {
    std::vector<Step> steps;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("> "))
            steps.push_back({line.substr(2), {}});
        else if (!line.empty() && line[0] != '#' && !steps.empty())
            steps.back().answer.push_back(one_blank(line));
    }
    return steps;
}

/// How many steps of `file` were answered otherwise.
size_t differing_steps(const fs::path& file) {
    SCOPED_TRACE(file.filename());
    Scenario scenario;
    size_t differing = 0;
    for (const Step& step : read_record(file)) {
        std::vector<std::string> answer = scenario.step(step.line);
        for (std::string& line : answer) line = one_blank(line);
        std::ranges::sort(answer);
        std::vector<std::string> expected = step.answer;
        std::ranges::sort(expected);
        EXPECT_EQ(answer, expected) << "step: " << step.line;
        differing += answer != expected ? 1 : 0;
    }
    return differing;
}

TEST(Scenario, OurOwnScenariosGetTheKernelsAnswers) {
    const auto records = records_in(own_records);
    ASSERT_GE(records.size(), 20u);
    for (const fs::path& record : records) EXPECT_EQ(differing_steps(record), 0u);
}

TEST(Scenario, SharedScenariosGetTheKernelsAnswers) {
    const auto records = records_in(shared_records);
    if (records.empty()) {
        std::cout << "skipped: there are no recorded scenarios at " << shared_records << '\n';
        GTEST_SKIP();
    }
    for (const fs::path& record : records) EXPECT_EQ(differing_steps(record), 0u);
}

/// The answers to `lines`, which come after a map of two groups of two paths is made.
std::vector<std::string> last_answer(const std::vector<std::string>& lines) {
    Scenario scenario;
    for (const char* line : {"paths p1 p2 p3 p4", "features queue_if_no_path",
                             "group round-robin p1 p2", "group round-robin p3 p4", "create"})
        scenario.step(line);
    std::vector<std::string> answer;
    for (const std::string& line : lines) answer = scenario.step(line);
    return answer;
}

TEST(Scenario, AWrongAnswerWouldBeSeen) {
    EXPECT_THAT(last_answer({"fail_path p1"}),
                testing::ElementsAre("= ok",
                                     "s 0 65536 multipath 2 1 0 0 2 1 E 0 2 0 p1 F 1 p2 A 0 E 0 2 "
                                     "0 p3 A 0 p4 A 0",
                                     "e +1"));
}

TEST(Scenario, AStepThatCannotBeCarriedOutSaysSo) {
    EXPECT_THAT(last_answer({"frobnicate"}), testing::ElementsAre(testing::StartsWith("! ")));
    EXPECT_THAT(last_answer({"wait nobody"}), testing::ElementsAre(testing::StartsWith("! ")));
    EXPECT_THAT(last_answer({"suspend", "io r 0 8"}),
                testing::ElementsAre(testing::StartsWith("! ")));
}

TEST(Scenario, WaitingCostsNothing) {
    EXPECT_THAT(last_answer({"suspend noflush", "bg a r 0 8", "sleep 100000", "wait a"}),
                testing::Contains("= held"));
}

}  // namespace
}  // namespace braidway::scenario
