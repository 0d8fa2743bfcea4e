// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "explore/traces.h"

namespace braidway::explore {
namespace {

using testing::HasSubstr;
using testing::Not;

size_t lines_in(std::string_view text) {
    return static_cast<size_t>(std::ranges::count(text, '\n'));
}

size_t widest_line(std::string_view text) {
    size_t widest = 0;
    size_t width = 0;
    for (const char each : text) {
        width = each == '\n' ? 0 : width + 1;
        widest = std::max(widest, width);
    }
    return widest;
}

TEST(ReportText, OfACleanVerdictIsItsSummary) {
    Verdict verdict;
    verdict.executions = 123;
    verdict.coverage = Coverage::exhaustive;
    EXPECT_EQ(report_text(verdict), "clean (exhaustive): 123 executions\n");
}

TEST(ReportText, TellsADeadlockStepByStep) {
    EXPECT_EQ(report_text(made::recursive_read()),
              R"(DEADLOCK after 7 executions (sampled)
no thread can go on

step  reader                   writer
   1  starts
   2  lock: exchange 0 -> 256
   3  acquires lock (shared)
   4                           starts
   5                           lock: compare-exchange fails, it is 256
   6                           wants lock (exclusive)
   7                           lock: load 256
   8                           lock: exchange 256 -> 258
   9                           lock+4: sleeps while 2
  10  lock: load 258
  11  wants lock (shared)
  12  lock+4: sleeps while 2

at the end:
thread  state             holds          waits for
reader  asleep on lock+4  lock (shared)  lock (shared)
writer  asleep on lock+4  -              lock (exclusive)

why nobody goes on:
  reader waits behind writer for lock (shared)
  writer waits for reader, which holds lock (shared)
  the ring: reader -> writer -> reader

again: .method = Method::replay, .replay = "r1:0.0.1.1.0"
)");
}

TEST(ReportText, FoldsTheStepsInsideALockOnDemand) {
    const std::string text = report_text(made::recursive_read(), {.detail = false});
    EXPECT_THAT(text, HasSubstr("... 2 steps"));
    EXPECT_THAT(text, Not(HasSubstr("256 -> 258")));
}

TEST(ReportText, BlamesNobodyWhileOthersCanGoOn) {
    Verdict verdict = made::recursive_read();
    verdict.finding = Finding::failed_check;
    const std::string text = report_text(verdict);
    EXPECT_THAT(text, HasSubstr("at the end:"));
    EXPECT_THAT(text, Not(HasSubstr("why nobody")));
}

TEST(ReportText, ListsTheStepsOfManyThreadsBelowEachOther) {
    Verdict verdict;
    verdict.finding = Finding::endless;
    verdict.trace = made::long_trace(40, 120);
    const std::string text = report_text(verdict);
    EXPECT_LE(widest_line(text), 120U);
    EXPECT_THAT(text, HasSubstr("\n   2  t1      0x"));
}

TEST(ReportText, OfALongTraceStaysShort) {
    Verdict verdict;
    verdict.finding = Finding::endless;
    verdict.trace = made::long_trace(2, 10'000);
    const std::string text = report_text(verdict);
    EXPECT_LT(lines_in(text), 220U);
    EXPECT_THAT(text, HasSubstr("... 9801 steps"));
    EXPECT_THAT(text, HasSubstr("\n10000  "));
}

TEST(ReportText, OfATraceWithoutStepsSaysSo) {
    Verdict verdict;
    verdict.finding = Finding::failed_check;
    verdict.executions = 1;
    verdict.message = "no";
    EXPECT_EQ(report_text(verdict), "FAILED CHECK after 1 execution (sampled)\nno\n\nno steps\n");
}

TEST(ReportText, EscapesHostileNames) {
    Verdict verdict = made::recursive_read();
    verdict.trace.threads = {"a\x1b[2J\nfake", "µ\xff"};
    verdict.trace.objects[0].name = "lo\rck";
    verdict.message = "one\ntwo";
    verdict.trace.steps.push_back(made::step(1, StepKind::note));
    verdict.trace.steps.back().note = "beep\a";
    const std::string text = report_text(verdict);
    for (const char each : text)
        EXPECT_TRUE(each == '\n' || static_cast<signed char>(each) >= 0x20 ||
                    static_cast<signed char>(each) < 0);
    EXPECT_EQ(lines_in(text), lines_in(report_text(made::recursive_read())) + 1);
    EXPECT_THAT(text, HasSubstr("a\\x1b[2J\\x0afake"));
    EXPECT_THAT(text, HasSubstr("note: beep\\x07"));
    EXPECT_THAT(text, HasSubstr("lo\\x0dck+4: sleeps while 2"));
}

}  // namespace
}  // namespace braidway::explore
