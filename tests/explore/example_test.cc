// SPDX-License-Identifier: Apache-2.0
// What docs/explorer.md shows is what happens.
#include "explore/example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "braidway/sync/mutex.h"

namespace {

using testing::HasSubstr;

std::string file(const std::string& path) {
    std::ifstream in(std::string(BRAIDWAY_SOURCE_DIR) + "/" + path);
    std::ostringstream text;
    text << in.rdbuf();
    EXPECT_FALSE(text.str().empty()) << path;
    return text.str();
}

std::string document() {
    return file("docs/explorer.md");
}

std::string block(const std::string& text) {
    return "```\n" + text + "```\n";
}

TEST(Example, IsTheCodeOfTheDocument) {
    const std::string source = file("tests/explore/example.h");
    const std::string mark = "// example\n";
    const size_t begin = source.find(mark) + mark.size();
    const std::string code = source.substr(begin, source.rfind(mark) - begin);
    ASSERT_GT(code.size(), 1000U);
    EXPECT_THAT(document(), HasSubstr("```cpp\n" + code + "```\n"));
}

TEST(Example, LosesAWakeUpAsTheDocumentShows) {
    const explore::Verdict verdict = explore::explore({}, two_threads_count<false>);
    EXPECT_EQ(verdict.finding, explore::Finding::deadlock);
    EXPECT_THAT(document(), HasSubstr(block(explore::report_text(verdict))));
    EXPECT_THAT(document(), HasSubstr("options.replay = \"" + verdict.replay + "\";"));
}

TEST(Example, IsCleanWhenItGivesUpFirst) {
    const explore::Verdict verdict = explore::explore({}, two_threads_count<true>);
    EXPECT_EQ(verdict.coverage, explore::Coverage::exhaustive);
    EXPECT_THAT(document(), HasSubstr(block(explore::report_text(verdict))));
}

TEST(Example, IsRunAgainByTheNameThatTheDocumentShows) {
    explore::Options options;
    options.method = explore::Method::replay;
    options.replay = "b1:a4b3a";
    const explore::Verdict verdict = explore::explore(options, two_threads_count<false>);
    EXPECT_EQ(verdict.finding, explore::Finding::deadlock);
    EXPECT_THAT(explore::report_text(verdict), HasSubstr("its wake-up was lost"));
}

/// Each of `threads` threads takes a mutex once.
uint64_t mutex_executions(unsigned threads) {
    const explore::Verdict verdict = explore::explore({}, [threads](explore::World& world) {
        auto& mutex = world.share<braidway::sync::BasicMutex<explore::Policy>>("mutex");
        for (unsigned thread = 0; thread < threads; ++thread)
            world.thread("thread", [&mutex] {
                mutex.lock();
                mutex.unlock();
            });
    });
    EXPECT_TRUE(verdict.clean());
    return verdict.executions;
}

TEST(Example, OfTheCostHasTheNumbersOfTheDocument) {
    EXPECT_EQ(mutex_executions(2), 14U);
    EXPECT_EQ(mutex_executions(3), 8952U);
    EXPECT_THAT(document(), HasSubstr("have 14 executions, three have 8,952."));
}

}  // namespace
