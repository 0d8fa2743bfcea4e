// SPDX-License-Identifier: Apache-2.0
// Command lines of lockcheck up to the moment in which it would become the program.
#include "apps/lockcheck/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <optional>
#include <sstream>

#include "apps/lockcheck/document.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"

namespace braidway::lockcheck {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class Lockcheck : public testing::Test {
  protected:
    Lockcheck() {
        environment_["PATH"] = "/usr/bin:/bin";
        environment_["LOCKCHECK_LIBRARY"] = "/proc/self/exe";
        std::filesystem::create_directory(folder_.path("shm"));
    }

    int run(const std::vector<std::string>& words) {
        out_.str("");
        error_.str("");
        started_.reset();
        return run_lockcheck(words, {.out = out_,
                                     .error = error_,
                                     .folder = folder_.path(""),
                                     .self = folder_.path("bin/lockcheck"),
                                     .pid = 4711,
                                     .parent = 1,
                                     .state_folder = folder_.path("shm"),
                                     .value_of = [this](const char* name) -> const char* {
                                         const auto found = environment_.find(name);
                                         return found == environment_.end() ? nullptr
                                                                            : found->second.c_str();
                                     },
                                     .start =
                                         [this](const Start& start) {
                                             started_ = start;
                                             return ENOEXEC;
                                         }});
    }
    /// What the program would find in its environment.
    std::string variable(std::string_view name) const {
        for (const Variable& each : started_->variables)
            if (each.name == name) return each.value.value_or("(unset)");
        return "(untouched)";
    }
    std::string said() const { return error_.str(); }

    Folder folder_;
    std::map<std::string, std::string> environment_;
    std::ostringstream out_;
    std::ostringstream error_;
    std::optional<Start> started_;
};

TEST_F(Lockcheck, WordsBehindTheProgramAreItsOwn) {
    run({"--quiet", "--exit-status", "7", "sh", "--json", "-c", "--", "--quiet"});
    ASSERT_TRUE(started_);
    EXPECT_THAT(started_->arguments, ElementsAre("sh", "--json", "-c", "--", "--quiet"));
    EXPECT_THAT(started_->path, HasSubstr("/bin/sh"));
    EXPECT_EQ(variable("LOCKCHECK_QUIET"), "1");
    EXPECT_EQ(variable("LOCKCHECK_EXIT_STATUS"), "7");
    run({"--exit-status=7", "--", "sh", "--", "x"});
    ASSERT_TRUE(started_);
    EXPECT_THAT(started_->arguments, ElementsAre("sh", "--", "x"));
}

TEST_F(Lockcheck, TheRuntimeIsToldEverything) {
    const std::string supp = folder_.file("known.supp", "{\na\n*\nfun:x\n}\n");
    environment_["LD_PRELOAD"] = "/jemalloc.so";
    run({"--json", "a.json", "--suppressions", "known.supp", "--suppressions", supp, "--on-hang",
         "report", "--hang-after", "500ms", "--picture", "a.svg", "--github", "--assume-writers",
         "--generate-suppressions", "sh"});
    ASSERT_TRUE(started_) << said();
    EXPECT_EQ(variable("LOCKCHECK_ROOT"), "4711");
    EXPECT_EQ(variable("LOCKCHECK_RENDERER"), folder_.path("bin/lockcheck"));
    EXPECT_EQ(variable("LOCKCHECK_JSON"), folder_.path("a.json"));
    EXPECT_EQ(variable("LOCKCHECK_SUPPRESSIONS"), supp + ":" + supp);
    EXPECT_EQ(variable("LOCKCHECK_ON_HANG"), "report");
    EXPECT_EQ(variable("LOCKCHECK_HANG_AFTER_MS"), "500");
    EXPECT_EQ(variable("LOCKCHECK_PICTURE"), folder_.path("a.svg"));
    EXPECT_EQ(variable("LOCKCHECK_GITHUB"), "1");
    EXPECT_EQ(variable("LOCKCHECK_ASSUME_WRITERS"), "1");
    EXPECT_EQ(variable("LOCKCHECK_GENERATE_SUPPRESSIONS"), "1");
    EXPECT_EQ(variable("LOCKCHECK_QUIET"), "(unset)");
    EXPECT_EQ(variable("LD_PRELOAD"), "/proc/self/exe:/jemalloc.so");
    EXPECT_THAT(variable("LOCKCHECK_STATE"), StartsWith(folder_.path("shm/lockcheck-state-4711-")));
}

TEST_F(Lockcheck, TheFileSaysSomethingFromTheBeginning) {
    folder_.file("a.json", "of an earlier run\n");
    run({"--json", "a.json", "sh", "-c", "x"});
    const auto document = read_document(*read_file(folder_.path("a.json"), 10000));
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_EQ(document->state, "running");
    EXPECT_EQ(document->process.id, "4711-1");
    EXPECT_EQ(document->process.pid, 4711);
    EXPECT_THAT(document->process.arguments, ElementsAre("sh", "-c", "x"));
    run({"--json", "b-%p.json", "sh"});
    EXPECT_TRUE(read_file(folder_.path("b-4711.json"), 10000));
}

TEST_F(Lockcheck, AStartThatFailsLeavesNoStateAndSaysWhy) {
    EXPECT_EQ(run({"sh"}), 126);
    ASSERT_TRUE(started_);
    EXPECT_THAT(said(), AllOf(StartsWith("lockcheck: "), HasSubstr("/sh: Exec format error\n")));
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path("shm")));
}

TEST_F(Lockcheck, WrongUsageIsOneLineAndStartsNothing) {
    folder_.file("bad.supp", "{\nname\nordre\n}\n");
    const std::vector<std::pair<std::vector<std::string>, std::string>> lines{
        {{}, "there is no PROGRAM to run"},
        {{"--"}, "there is no PROGRAM to run"},
        {{"--quiet"}, "there is no PROGRAM to run"},
        {{"--quit", "sh"}, "--quit"},
        {{"--json"}, "--json"},
        {{"--json=", "sh"}, "needs a value"},
        {{"--exit-status", "256", "sh"}, "256"},
        {{"--exit-status", "x", "sh"}, "x"},
        {{"--on-hang", "stop", "sh"}, "stop"},
        {{"--hang-after", "3", "sh"}, "--hang-after: "},
        {{"--hang-after", "0", "sh"}, "expected 1ms to 24h"},
        {{"--picture", "a.png", "sh"}, "expected FILE.dot or FILE.svg"},
        {{"--picture", "none/a.svg", "sh"}, "none: No such file"},
        {{"--suppressions", "none", "sh"}, "none: No such file"},
        {{"--suppressions", "bad.supp", "sh"}, "bad.supp:3: expected a kind"},
        {{"--suppressions", "a:b", "sh"}, "must not have a colon"},
        {{"--json", "none/a.json", "sh"}, "none/a.json: No such file"},
        {{"--json", "/dev/null", "sh"}, "is not a regular file"},
    };
    for (const auto& [words, expected] : lines) {
        EXPECT_EQ(run(words), 2) << testing::PrintToString(words);
        EXPECT_FALSE(started_);
        EXPECT_THAT(said(), AllOf(StartsWith("lockcheck: "), HasSubstr(expected)));
        EXPECT_EQ(std::ranges::count(said(), '\n'), 1) << said();
        EXPECT_THAT(out_.str(), IsEmpty());
        EXPECT_TRUE(std::filesystem::is_empty(folder_.path("shm")));
    }
}

TEST_F(Lockcheck, AProgramThatIsNotThereIs127) {
    EXPECT_EQ(run({"no-such-program"}), 127);
    EXPECT_EQ(said(), "lockcheck: no-such-program: not found in PATH\n");
    EXPECT_EQ(run({"--json", "a.json", folder_.path("none")}), 127);
    EXPECT_FALSE(read_file(folder_.path("a.json"), 1)) << "checked before anything is made";
    EXPECT_EQ(run({folder_.path("shm")}), 126);
}

TEST_F(Lockcheck, HelpAndVersionGoToStandardOutput) {
    EXPECT_EQ(run({"--help"}), 0);
    EXPECT_THAT(out_.str(), AllOf(HasSubstr("Usage: lockcheck [OPTION]... [--] PROGRAM"),
                                  HasSubstr("--on-hang"), HasSubstr("Exit codes:")));
    EXPECT_EQ(run({"--version"}), 0);
    EXPECT_THAT(out_.str(), StartsWith("lockcheck "));
    EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Lockcheck, TheRuntimeIsLookedForBesideTheProgram) {
    const std::string self = folder_.path("bin/lockcheck");
    EXPECT_THAT(find_library(self, nullptr).error().message, HasSubstr("LOCKCHECK_LIBRARY"));
    std::filesystem::create_directory(folder_.path("bin"));
    folder_.file("bin/liblockcheck.so", "");
    EXPECT_EQ(*find_library(self, ""), folder_.path("bin/liblockcheck.so"));
    std::filesystem::create_directory(folder_.path("lib"));
    folder_.file("lib/liblockcheck.so", "");
    EXPECT_EQ(*find_library(self, nullptr), folder_.path("lib/liblockcheck.so"));
    EXPECT_EQ(find_library(self, "/nowhere").error().status, 2);
    const std::string blank = folder_.file("a b.so", "");
    EXPECT_THAT(find_library(self, blank.c_str()).error().message, HasSubstr("blank or colon"));
}

}  // namespace
}  // namespace braidway::lockcheck
