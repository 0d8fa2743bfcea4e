// SPDX-License-Identifier: Apache-2.0
// The command line `braidway dm-table`.
#include <gmock/gmock.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/braidway/program.h"

namespace braidway::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

struct Ran {
    int code = -1;
    std::string out;
    std::string error;
};

/// Runs `braidway dm-table WORDS...` with `input` as its standard input.
Ran run_dm_table(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.begin(), "dm-table");
    std::ostringstream out;
    std::ostringstream error;
    std::istringstream in(input);
    std::streambuf* const before = std::cin.rdbuf(in.rdbuf());
    const auto no_daemon = [](const daemon::Config&, daemon::EventSink&)
        -> Result<std::unique_ptr<daemon::RunningDaemon>> { return fail("cannot start here"); };
    const int code = run(std::move(words), {out, error}, no_daemon);
    std::cin.rdbuf(before);
    std::cin.clear();
    return {code, out.str(), error.str()};
}

const std::string good_line = "0 2097152 multipath 0 0 1 1 round-robin 0 2 1 8:0 1 8:16 1";

TEST(DmTableCommand, ExplainsALineGivenAsOneWordOrAsMany) {
    const Ran one = run_dm_table({good_line});
    EXPECT_EQ(one.code, exit_ok) << one.error;
    EXPECT_THAT(one.out, StartsWith("1.0G (2097152 sectors), 2 paths in 1 group\n"));
    const Ran many = run_dm_table({"0", "2097152", "multipath", "0", "0", "1", "1", "round-robin",
                                   "0", "2", "1", "8:0", "1", "8:16", "1"});
    EXPECT_EQ(many.code, exit_ok) << many.error;
    EXPECT_EQ(many.out, one.out);
}

TEST(DmTableCommand, ReadsLinesFromStandardInput) {
    const Ran ran = run_dm_table({"-"}, "a: " + good_line + "\n\nb: " + good_line + "\n");
    EXPECT_EQ(ran.code, exit_ok) << ran.error;
    EXPECT_THAT(ran.out, AllOf(StartsWith("a: 1.0G"), HasSubstr("\n\nb: 1.0G")));
}

TEST(DmTableCommand, SaysOfEachBadLineWhichWordIsWrong) {
    const Ran ran = run_dm_table({"0 8 multipath 0 0 1 1 round-robin 0 1 0"});
    EXPECT_EQ(ran.code, exit_usage);
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(ran.error,
              "braidway: not enough path parameters: word 12, where the line ends, group 1, path "
              "1: expected DEVICE and 0 words for its selector, 0 words are left\n");
    const Ran lines = run_dm_table({"-"}, "0 8 linear 8:0 0\n" + good_line + "\n0 8 multipath 9\n");
    EXPECT_EQ(lines.code, exit_usage);
    EXPECT_THAT(lines.out, StartsWith("1.0G"));
    EXPECT_THAT(lines.error,
                AllOf(StartsWith("braidway: line 1: unknown target type: word 3 'linear'"),
                      HasSubstr("\nbraidway: line 3: invalid number of feature args: word 4 '9'")));
}

TEST(DmTableCommand, KnowsAStatusLineWhenItSeesOne) {
    const Ran ran = run_dm_table({"0 8 multipath 2 0 0 0 1 1 A 0 1 0 8:0 A 0"});
    EXPECT_EQ(ran.code, exit_usage);
    EXPECT_THAT(ran.error, StartsWith("braidway: this is a status line"));
}

TEST(DmTableCommand, WithoutALineIsWrongUsage) {
    for (const Ran& ran : {run_dm_table({}), run_dm_table({""}), run_dm_table({"-"}, "\n \n")}) {
        EXPECT_EQ(ran.code, exit_usage);
        EXPECT_THAT(ran.error, StartsWith("braidway: "));
    }
}

TEST(DmTableCommand, AnswersInJson) {
    const Ran ran =
        run_dm_table({"--json",
                      "m: 0 8 multipath 3 queue_if_no_path pg_init_delay_msecs 5 2 emc 1 1 1 "
                      "round-robin 0 1 1 8:0 1000"});
    EXPECT_EQ(ran.code, exit_ok) << ran.error;
    const nlohmann::json document = nlohmann::json::parse(ran.out);
    EXPECT_EQ(document["schema"], 1);
    const nlohmann::json& table = document["tables"][0];
    EXPECT_EQ(table["name"], "m");
    EXPECT_EQ(table["length_sectors"], 8);
    EXPECT_EQ(table["queue_if_no_path"], true);
    EXPECT_EQ(table["pg_init_delay_ms"], 5);
    EXPECT_EQ(table["handler"], "emc");
    EXPECT_EQ(table["handler_arguments"], nlohmann::json::array({"1"}));
    EXPECT_EQ(table["groups"][0]["paths"][0]["name"], "8:0");
    EXPECT_EQ(table["groups"][0]["paths"][0]["arguments"][0], "1000");
    EXPECT_EQ(table["printed_back"],
              "m: 0 8 multipath 3 queue_if_no_path pg_init_delay_msecs 5 1 emc 1 1 round-robin 0 1 "
              "1 8:0 1");
    EXPECT_EQ(table["warnings"].size(), 4u);
}

TEST(DmTableCommand, HelpShowsAnExampleThatWorks) {
    const Ran help = run_dm_table({"--help"});
    EXPECT_EQ(help.code, exit_ok);
    const size_t begin = help.out.find('"', help.out.find("Examples:")) + 1;
    const Ran ran = run_dm_table({help.out.substr(begin, help.out.find('"', begin) - begin)});
    EXPECT_EQ(ran.code, exit_ok) << ran.error;
}

}  // namespace
}  // namespace braidway::apps
