// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

size_t count(std::string_view text, std::string_view what) {
    size_t found = 0;
    for (size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
        ++found;
    return found;
}

TEST(LockPicture, DotHasANodeForEachLockAndAnEdgeForEachThread) {
    const std::vector<Finding> findings{made::order()};
    EXPECT_EQ(dot_picture(findings), R"~(digraph lockcheck {
    node [shape=box, style=rounded];
    subgraph cluster_1 {
        label="order: two orders";
        lock_1_0 [label="account\nstatic mutex"];
        lock_1_1 [label="journal\nstatic mutex"];
        lock_1_0 -> lock_1_1 [label="thread 1 wants it\nin take_1 (bank.c:11)"];
        lock_1_1 -> lock_1_0 [label="thread 2 wants it\nin take_0 (bank.c:21)"];
    }
}
)~");
}

TEST(LockPicture, NamesCannotLeaveTheirQuotes) {
    Finding finding = made::order();
    finding.locks[0].name = "a\"b\\";
    finding.locks[1].name = "Map<a&b>";
    EXPECT_THAT(dot_picture(std::vector{finding}), HasSubstr(R"(label="a\"b\\\nstatic)"));
    EXPECT_THAT(svg_picture(std::vector{finding}),
                AllOf(HasSubstr("Map&lt;a&amp;b&gt;"), Not(HasSubstr("Map<a"))));
}

TEST(LockPicture, SvgHasABoxForEachLockAndAnArrowForEachThread) {
    Finding ring = made::order();
    ring.locks.push_back(made::lock(2, "index"));
    ring.chains[1].wants = 2;
    ring.chains.push_back(made::chain(3, 2, 0, 30));
    for (const Finding& finding : {made::order(), ring}) {
        const std::string svg = svg_picture(std::vector{finding});
        EXPECT_EQ(count(svg, "rx=\"6\""), finding.locks.size());
        EXPECT_EQ(count(svg, "marker-end"), finding.chains.size());
        EXPECT_THAT(svg, AllOf(HasSubstr("thread 1 wants it"), HasSubstr("in take_1 (bank.c:11)"),
                               Not(HasSubstr("nan"))));
        EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
    }
}

TEST(LockPicture, OneLockHasALoop) {
    Finding finding = made::misuse("relock");
    finding.chains[0].wants = 0;
    EXPECT_THAT(svg_picture(std::vector{finding}), AllOf(HasSubstr(" C"), Not(HasSubstr("nan"))));
}

TEST(LockPicture, ARingOfClassesIsClosedByLinesBetweenTheirLocks) {
    Finding ring = made::order();
    ring.locks = {made::lock(0, ""), made::lock(1, ""), made::lock(2, ""), made::lock(3, "")};
    for (Lock& lock : ring.locks) lock.lock_class = lock.index == 0 || lock.index == 3 ? 1 : 2;
    ring.chains = {made::chain(1, 0, 1, 10), made::chain(2, 2, 3, 20)};
    const std::string svg = svg_picture(std::vector{ring});
    EXPECT_EQ(count(svg, "stroke-dasharray"), 2u);
    EXPECT_EQ(count(svg, ">one class<"), 2u);
    EXPECT_THAT(dot_picture(std::vector{ring}), AllOf(HasSubstr("lock_1_1 -> lock_1_2 [dir=none"),
                                                      HasSubstr("lock_1_3 -> lock_1_0 [dir=none"),
                                                      Not(HasSubstr("lock_1_0 -> lock_1_3"))));
    EXPECT_EQ(count(svg_picture(std::vector{made::order()}), "stroke-dasharray"), 0u);
}

TEST(LockPicture, SuppressedFindingsAndArrowsToNowhereAreLeftOut) {
    Finding known = made::order();
    known.suppressed_by = "known";
    Finding broken = made::order(2);
    broken.chains[0].wants = 7;
    const std::vector<Finding> findings{known, broken};
    EXPECT_EQ(count(svg_picture(findings), "marker-end"), 1u);
    EXPECT_THAT(dot_picture(findings), Not(HasSubstr("cluster_1")));
}

TEST(LockPicture, DrawsNoLocksThatAreOnlyHeldBesides) {
    Finding finding = made::order();
    finding.locks.push_back(made::lock(2, "gate"));
    finding.chains[0].also_held = {2};
    const std::vector<Finding> findings{finding};
    const std::vector<Finding> without{made::order()};
    EXPECT_EQ(svg_picture(findings), svg_picture(without));
    EXPECT_EQ(dot_picture(findings), dot_picture(without));
}

}  // namespace
}  // namespace braidway::lockcheck
