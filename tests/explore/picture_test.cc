// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "braidway/explore/report.h"
#include "explore/traces.h"

namespace braidway::explore {
namespace {

using testing::HasSubstr;
using testing::Not;

size_t count_of(const std::string& text, std::string_view part) {
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

/// Every element that is opened is closed, in order, and text has no bare markup.
void expect_well_formed(const std::string& svg) {
    std::vector<std::string> open;
    const std::regex element(R"(<(/?)([a-z]+)([^<>]*?)(/?)>)");
    size_t end = 0;
    for (std::sregex_iterator at(svg.begin(), svg.end(), element), none; at != none; ++at) {
        const std::string between = svg.substr(end, static_cast<size_t>(at->position()) - end);
        EXPECT_EQ(between.find_first_of("<>"), std::string::npos) << between;
        end = static_cast<size_t>(at->position() + at->length());
        if ((*at)[1] == "/") {
            ASSERT_FALSE(open.empty());
            EXPECT_EQ(open.back(), (*at)[2]);
            open.pop_back();
        } else if ((*at)[4] != "/") {
            open.push_back((*at)[2]);
        }
    }
    EXPECT_TRUE(open.empty());
    EXPECT_EQ(end + 1, svg.size()) << "nothing but a line's end comes after the last element";
}

TEST(TraceSvg, DrawsLanesStepsAndWhoWaitsForWhom) {
    const std::string svg = trace_svg(made::recursive_read(), "A reader twice");
    expect_well_formed(svg);
    EXPECT_THAT(svg, HasSubstr(">A reader twice<"));
    EXPECT_THAT(svg, HasSubstr(">wants lock (exclusive)<"));
    EXPECT_THAT(svg, HasSubstr(">... 2 steps<"));
    EXPECT_THAT(svg, HasSubstr(">reader waits behind writer for lock (shared)<"));
    EXPECT_THAT(svg, HasSubstr(">the ring: reader -&gt; writer -&gt; reader<"));
    EXPECT_EQ(count_of(svg, "url(#waits)"), 2U);
    EXPECT_EQ(count_of(svg, "url(#wakes)"), 0U);
}

TEST(TraceSvg, DrawsAnArrowFromAWakeToWhomItWoke) {
    Verdict verdict = made::recursive_read();
    verdict.finding = Finding::failed_check;
    const void* const word = made::memory.data() + 1;
    verdict.trace.steps.push_back(made::step(0, StepKind::futex_wake, word, 0, 1));
    verdict.trace.steps.push_back(made::futex_return(1, word, sync::FutexOutcome::woken));
    const std::string svg = trace_svg(verdict, "Woken");
    expect_well_formed(svg);
    EXPECT_EQ(count_of(svg, "url(#wakes)"), 1U);
    EXPECT_EQ(count_of(svg, "url(#waits)"), 0U);
}

TEST(TraceSvg, EscapesHostileNames) {
    Verdict verdict = made::recursive_read();
    verdict.trace.threads = {"</text><script>alert(1)</script>", "\"'&\x01\xff"};
    verdict.trace.objects[0].name = "<!--";
    verdict.message = "<b>";
    const std::string svg = trace_svg(verdict, "]]><svg onload=\"x\">");
    expect_well_formed(svg);
    EXPECT_THAT(svg, Not(HasSubstr("<script")));
    EXPECT_THAT(svg, HasSubstr("&quot;&#39;&amp;\\x01\\xff"));
}

TEST(TraceSvg, NeedsNothingFromElsewhere) {
    const std::string svg = trace_svg(made::recursive_read(), "Alone");
    EXPECT_EQ(count_of(svg, "http"), 1U) << "the name space only";
    EXPECT_THAT(svg, Not(HasSubstr("href")));
    EXPECT_THAT(svg, Not(HasSubstr("@import")));
}

TEST(TraceSvg, OfALongTraceStaysShort) {
    Verdict verdict;
    verdict.trace = made::long_trace(3, 10'000);
    const std::string svg = trace_svg(verdict, "Long");
    expect_well_formed(svg);
    EXPECT_THAT(svg, HasSubstr("... 9941 steps"));
    EXPECT_LT(svg.size(), 40'000U);
}

TEST(TraceSvg, TakesATraceOfNothing) {
    expect_well_formed(trace_svg(Verdict{}, ""));
}

}  // namespace
}  // namespace braidway::explore
