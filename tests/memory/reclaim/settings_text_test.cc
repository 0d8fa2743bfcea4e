// SPDX-License-Identifier: Apache-2.0
// Policy files, and lines of the control file.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/reclaim/settings.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

std::string policy_error(std::string_view text) {
    Settings settings;
    const auto read = read_policy(settings, text, "clean.conf");
    EXPECT_FALSE(settings.nodes.has_value()) << "an error changes nothing";
    return read ? "was taken" : read.error().message;
}

std::string line_error(Settings settings, std::string_view line) {
    const auto read = read_control_line(settings, line);
    return read ? "was taken" : read.error().message;
}

TEST(Policy, IsReadLineByLine) {
    Settings settings;
    const auto read = read_policy(settings,
                                  "# before each job\n"
                                  "\n"
                                  "node = all   # every one\n"
                                  "until-free=64G\r\n"
                                  "  what = page-cache,slab\n"
                                  "protect = /data/a#b\n"
                                  "protect = /data/hot files\n"
                                  "writeback\n"
                                  "budget = 10 s\n"
                                  "when = both",
                                  "clean.conf");
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_TRUE(settings.nodes->empty());
    EXPECT_EQ(settings.request.goal, Goal::until_free);
    EXPECT_EQ(settings.request.bytes, 64ull << 30);
    EXPECT_THAT(settings.request.kinds, ElementsAre(Kind::page_cache, Kind::slab));
    EXPECT_THAT(settings.request.protect, ElementsAre("/data/a#b", "/data/hot files"));
    EXPECT_TRUE(settings.request.writeback);
    EXPECT_EQ(settings.request.budget, 10s);
    EXPECT_TRUE(settings.on_start && settings.on_end);
}

TEST(Policy, NamesFileAndLineOfAMistake) {
    EXPECT_THAT(policy_error("node = 0\n\nfree = lots\n"),
                StartsWith("clean.conf:3: free: 'lots'"));
    EXPECT_THAT(policy_error("node = 0\nnod = 1\n"), StartsWith("clean.conf:2: nod: no such"));
    EXPECT_THAT(policy_error("node 0\n"), StartsWith("clean.conf:1: 'node 0' is no setting"));
    EXPECT_THAT(policy_error("= 0\n"), StartsWith("clean.conf:1: '= 0' is no setting"));
    EXPECT_THAT(policy_error("node\n"), StartsWith("clean.conf:1: node: needs a value"));
    EXPECT_THAT(policy_error(std::string_view("node = 0\0\n", 10)), HasSubstr("control character"));
    EXPECT_THAT(policy_error("node = 0\rfree = 1G\n"), HasSubstr("control character"));
}

TEST(Policy, SetsAWordOnce) {
    EXPECT_EQ(policy_error("node = 0\nstrict\nnode = 1\n"),
              "clean.conf:3: node: was set in line 1 already");
    EXPECT_THAT(
        policy_error("free = 1G\n\nuntil-free = 1G\n"),
        testing::AllOf(StartsWith("clean.conf:3: until-free: "), HasSubstr("(free is in line 1)")));
}

TEST(Policy, OverrulesAnEarlierAmount) {
    Settings settings;
    ASSERT_TRUE(set_setting(settings, "free", "1G"));
    ASSERT_TRUE(read_policy(settings, "strict\n", "a"));
    EXPECT_EQ(settings.amount_word, "free") << "it says nothing of it";
    ASSERT_TRUE(read_policy(settings, "until-free = 2G\n", "b"));
    EXPECT_EQ(settings.amount_word, "until-free");
    EXPECT_EQ(settings.request.bytes, 2ull << 30);
}

TEST(Policy, HasASizeLimit) {
    const std::string most = "#" + std::string(limits::policy_bytes_max - 1, 'x');
    Settings settings;
    EXPECT_TRUE(read_policy(settings, most, "a"));
    EXPECT_THAT(policy_error(most + "x"), HasSubstr("65537 bytes"));
}

TEST(ControlLine, ReadsTheOldWords) {
    Settings settings;
    ASSERT_TRUE(read_control_line(settings, "node=1 pages=25600  what=page-cache\twriteback\n"));
    EXPECT_THAT(*settings.nodes, ElementsAre(1));
    EXPECT_EQ(settings.amount_word, "pages");
    EXPECT_THAT(settings.request.kinds, ElementsAre(Kind::page_cache));
    EXPECT_TRUE(settings.request.writeback);
    EXPECT_TRUE(check_settings(settings));
}

TEST(ControlLine, RefusesWhatItCannotRead) {
    EXPECT_THAT(line_error({}, "node=1 node=2"), StartsWith("node: is set twice"));
    EXPECT_THAT(line_error({}, "free=1G until-free=1G"), StartsWith("until-free: cannot be used"));
    EXPECT_THAT(line_error({}, "node= free=1G"), StartsWith("node: needs a value"));
    EXPECT_THAT(line_error({}, "node = 1"), StartsWith("node: needs a value"));
    EXPECT_THAT(line_error({}, "=1"), HasSubstr("cannot be set here"));
    EXPECT_THAT(line_error({}, "node=0\nfree=1G"), HasSubstr("one line"));
    EXPECT_THAT(line_error({}, std::string_view("node=0\0", 7)), HasSubstr("control"));
    EXPECT_THAT(line_error({}, std::string(limits::control_bytes_max + 1, ' ')),
                HasSubstr("4097 bytes"));
}

TEST(ControlLine, GivesNoConsentAndNamesNoPaths) {
    for (const char* line :
         {"allow-global", "allow-global=yes", "allow-sysctl", "files=/etc", "protect=/etc",
          "mechanism=drop-caches", "strict", "when=both", "nodes=all", "drain-on-shortfall"})
        EXPECT_THAT(line_error({}, line), HasSubstr("cannot be set here")) << line;
    EXPECT_THAT(line_error({}, "writeback=/scratch"), StartsWith("writeback: '/scratch'"));
}

TEST(ControlLine, ChoosesAmongWhatTheOwnerNamed) {
    Settings owner;
    ASSERT_TRUE(set_setting(owner, "node", "0-1"));
    ASSERT_TRUE(set_setting(owner, "what", "page-cache,slab"));
    ASSERT_TRUE(set_setting(owner, "free", "1G"));
    EXPECT_THAT(line_error(owner, "node=2"), StartsWith("node: this file may free on node 0-1"));
    EXPECT_THAT(line_error(owner, "node=all"), StartsWith("node: this file"));
    EXPECT_THAT(line_error(owner, "what=anonymous"), HasSubstr("page-cache,slab only"));
    Settings settings = owner;
    ASSERT_TRUE(read_control_line(settings, "node=1 what=slab until-free=2G"));
    EXPECT_THAT(*settings.nodes, ElementsAre(1));
    EXPECT_EQ(settings.amount_word, "until-free");
    settings = owner;
    ASSERT_TRUE(read_control_line(settings, ""));
    EXPECT_EQ(settings.request.bytes, 1u << 30) << "the owner's";
    EXPECT_TRUE(check_settings(settings));
}

TEST(ControlLine, MakesBoundsOnlyTighter) {
    Settings owner;
    for (const auto& [word, value] : {std::pair("budget", "10s"),
                                      {"keep-free", "1G"},
                                      {"keep-cache", "1G"},
                                      {"pressure-max", "20"},
                                      {"rate", "1G"}})
        ASSERT_TRUE(set_setting(owner, word, value));
    for (const char* line : {"budget=11s", "keep-free=1M", "keep-cache=0", "pressure-max=0",
                             "pressure-max=21", "rate=0", "rate=2G"})
        EXPECT_THAT(line_error(owner, line), HasSubstr("tighter")) << line;
    for (const char* line :
         {"budget=9s", "keep-free=2G", "keep-cache=2G", "pressure-max=1", "rate=1M"})
        EXPECT_EQ(line_error(owner, line), "was taken") << line;
    EXPECT_EQ(line_error({}, "rate=1M pressure-max=5"), "was taken") << "the owner set none";
}

}  // namespace
}  // namespace braidway::memory
