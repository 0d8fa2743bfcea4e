// SPDX-License-Identifier: Apache-2.0
// What users read about free-node-memory, held to its own --help.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "apps/free_node_memory/program.h"
#include "memory/reclaim/request.h"

namespace braidway::apps {
namespace {

using testing::HasSubstr;

const std::string manual = BRAIDWAY_SOURCE_DIR "/packaging/man/free-node-memory.8";
const std::string completion = BRAIDWAY_SOURCE_DIR "/packaging/bash-completion/free-node-memory";
const std::string guide = BRAIDWAY_SOURCE_DIR "/docs/node-memory.md";

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    EXPECT_TRUE(file.is_open()) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string help_of(std::vector<std::string> words) {
    std::ostringstream out;
    std::ostringstream error;
    memory::Cancel cancel;
    words.emplace_back("--help");
    EXPECT_EQ(
        run_free_node_memory(words, {.out = out, .error = error, .cancel = cancel, .machine = {}}),
        0)
        << error.str();
    return out.str();
}

/// The first words of the lines below "Subcommands:".
std::vector<std::string> commands() {
    std::istringstream lines(help_of({}));
    std::vector<std::string> found;
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) inside = false;
        if (inside) found.push_back(line.substr(2, line.find(' ', 2) - 2));
        if (line == "Subcommands:") inside = true;
    }
    return found;
}

/// Of the program and of every command: "--node", ...
std::set<std::string> options() {
    std::string help = help_of({});
    for (const std::string& command : commands()) help += help_of({command});
    std::set<std::string> found;
    const std::regex option("\n  (?:-h,)?(--[a-z-]+)");
    for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at)
        found.insert((*at)[1]);
    return found;
}

TEST(Pages, KnowEveryOptionOfTheHelp) {
    // An option ends where no letter and no dash follows: --free is not in "--free-more".
    const std::string manual_text = std::regex_replace(text_of(manual), std::regex("\\\\-"), "-");
    ASSERT_GT(options().size(), 25u);
    for (const std::string& option : options()) {
        const std::regex word(option + "(?![a-z-])");
        EXPECT_TRUE(std::regex_search(manual_text, word)) << option << " is not in " << manual;
        const std::string completion_text = text_of(completion);
        EXPECT_TRUE(std::regex_search(completion_text, word))
            << option << " is not in " << completion;
        const std::string guide_text = text_of(guide);
        EXPECT_TRUE(std::regex_search(guide_text, word)) << option << " is not in " << guide;
    }
}

TEST(Pages, KnowEveryCommandOfTheHelp) {
    ASSERT_FALSE(commands().empty());
    for (const std::string& command : commands()) {
        const std::string escaped = std::regex_replace(command, std::regex("-"), "\\-");
        EXPECT_THAT(text_of(manual), HasSubstr("free\\-node\\-memory " + escaped));
        EXPECT_THAT(text_of(completion), HasSubstr(command));
        EXPECT_THAT(text_of(guide), HasSubstr("`" + command));
    }
}

TEST(Pages, KnowEveryReasonOfAShortfall) {
    const std::string text = text_of(guide);
    for (int reason = 1; reason <= static_cast<int>(memory::Shortfall::failed); ++reason) {
        const std::string_view name = name_of(static_cast<memory::Shortfall>(reason));
        EXPECT_TRUE(text.contains("| `" + std::string(name) + "` |"))
            << name << " has no row in the table of reasons of " << guide;
    }
}

TEST(Pages, OfTheManualAreCleanForGroff) {
    if (std::system("command -v groff >/dev/null 2>&1") != 0) GTEST_SKIP() << "there is no groff";
    const std::string check = "test -z \"$(groff -man -ww -z " + manual + " 2>&1)\"";
    EXPECT_EQ(std::system(check.c_str()), 0) << "groff -man -ww -z " << manual;
}

}  // namespace
}  // namespace braidway::apps
