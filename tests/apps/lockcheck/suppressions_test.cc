// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/suppressions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

using testing::StartsWith;

/// The one block in `lines` of kind order.
Suppression block(const std::string& lines) {
    auto blocks = parse_suppressions("{\nname\norder\n" + lines + "\n}\n", "x.supp");
    EXPECT_TRUE(blocks) << blocks.error().message;
    return blocks && !blocks->empty() ? blocks->front() : Suppression{};
}

bool suppresses(const std::string& lines, const Finding& finding = made::order()) {
    return matches(block(lines), finding);
}

TEST(Suppressions, AFileIsReadWithItsComments) {
    const auto blocks = parse_suppressions(
        "# known\n\n{\n   two orders\n   order\n   # where\n   fun:take_*\n   ...\n   "
        "src:*/bank.c\r\n   obj:*\n   lock:account\n}\n{\n b\n *\n fun:x\n}",
        "x.supp");
    ASSERT_TRUE(blocks) << blocks.error().message;
    ASSERT_EQ(blocks->size(), 2u);
    const Suppression& first = blocks->front();
    EXPECT_EQ(first.name, "two orders");
    EXPECT_EQ(first.kind, "order");
    EXPECT_EQ(first.line, 3u);
    ASSERT_EQ(first.frames.size(), 4u);
    EXPECT_EQ(first.frames[2].glob, "*/bank.c");
    EXPECT_EQ(first.locks, std::vector<std::string>{"account"});
}

TEST(Suppressions, MistakesAreNamedByTheirLine) {
    const auto said = [](std::string_view text) {
        const auto blocks = parse_suppressions(text, "x.supp");
        return blocks ? "" : blocks.error().message;
    };
    EXPECT_EQ(said("\nfun:x\n"), "x.supp:2: expected { and a block on the lines that follow");
    EXPECT_THAT(said("{\nname\nordre\n}\n"), StartsWith("x.supp:3: expected a kind (order, "));
    EXPECT_EQ(said("{\nname\norder\nfoo:x\n}\n"),
              "x.supp:4: expected fun:GLOB, obj:GLOB, src:GLOB, lock:GLOB, ... or }");
    EXPECT_THAT(said("{\nname\norder\nfun:\n}\n"), StartsWith("x.supp:4: expected fun:GLOB"));
    EXPECT_EQ(said("{\n}\n"), "x.supp:2: expected a name for the block");
    EXPECT_EQ(said("{\nname\n}\n"), "x.supp:3: expected a kind, or *");
    EXPECT_EQ(said("{\nname\norder\n"), "x.supp:3: expected } of the block in line 1");
    EXPECT_THAT(said("{\nname\n*\n}\n"), StartsWith("x.supp:4: expected fun:, obj:, src:"));
}

TEST(Suppressions, FramesAreComparedFromTheInnermostOn) {
    EXPECT_TRUE(suppresses("fun:take_0"));
    EXPECT_TRUE(suppresses("fun:take_0\nfun:main"));
    EXPECT_FALSE(suppresses("fun:main")) << "the innermost frame is another one";
    EXPECT_TRUE(suppresses("...\nfun:main"));
    EXPECT_TRUE(suppresses("fun:take_0\n...\nfun:main"));
    EXPECT_FALSE(suppresses("fun:take_0\nfun:main\nfun:main"));
    EXPECT_FALSE(suppresses("fun:main\n...\nfun:take_0"));
    EXPECT_FALSE(suppresses("fun:take_0\nfun:take_1")) << "of two stacks";
    EXPECT_TRUE(suppresses("obj:bank\nobj:/usr/bin/*"));
    EXPECT_TRUE(suppresses("src:bank.c"));
    EXPECT_TRUE(suppresses("src:/src/bank.?"));
    EXPECT_FALSE(suppresses("src:bank.cc"));
}

TEST(Suppressions, LibraryFramesNeedNotBeWritten) {
    Finding finding = made::order();
    finding.chains[0].wants_stack.insert(finding.chains[0].wants_stack.begin(),
                                         made::library_frame("std::mutex::lock()"));
    EXPECT_TRUE(suppresses("fun:take_1\nfun:main", finding));
    EXPECT_TRUE(suppresses("fun:std::mutex::lock\nfun:take_1", finding));
}

TEST(Suppressions, LocksMustAllBeThere) {
    EXPECT_TRUE(suppresses("lock:account"));
    EXPECT_TRUE(suppresses("lock:acc*\nlock:journal\nfun:take_?"));
    EXPECT_FALSE(suppresses("lock:account\nlock:index"));
    EXPECT_FALSE(suppresses("lock:account\nfun:other"));
}

TEST(Suppressions, TheKindMustBeTheSame) {
    Finding finding = made::order();
    finding.kind = "relock";
    EXPECT_FALSE(suppresses("lock:account", finding));
    Suppression any = block("lock:account");
    any.kind = "*";
    EXPECT_TRUE(matches(any, finding));
}

TEST(Suppressions, GlobsKnowStarsAndQuestionMarksOnly) {
    EXPECT_TRUE(glob_matches("*", ""));
    EXPECT_TRUE(glob_matches("a*b*c", "a-b-b-c"));
    EXPECT_FALSE(glob_matches("a*b", "a-b-c"));
    EXPECT_TRUE(glob_matches("a?c", "abc"));
    EXPECT_FALSE(glob_matches("a?c", "ac"));
    EXPECT_TRUE(glob_matches("operator[]", "operator[]"));
    EXPECT_FALSE(glob_matches("", "a"));
    EXPECT_TRUE(glob_matches("", ""));
    // Exponential, were every star tried again.
    EXPECT_FALSE(glob_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST(Suppressions, AGeneratedBlockSuppressesItsFindingAndNoOther) {
    for (const Finding& finding : {made::order(), made::misuse("exit-held")}) {
        const auto blocks = parse_suppressions(suppression_for(finding), "generated");
        ASSERT_TRUE(blocks) << blocks.error().message;
        EXPECT_TRUE(matches(blocks->front(), finding));
        Finding other = finding;
        for (Lock& lock : other.locks) lock.name = "other";
        EXPECT_FALSE(matches(blocks->front(), other));
        other = finding;
        for (Chain& chain : other.chains) chain.wants_stack = chain.holds_stack = {};
        EXPECT_FALSE(matches(blocks->front(), other));
    }
    Finding bare;
    bare.kind = "hang";
    EXPECT_TRUE(parse_suppressions(suppression_for(bare), "generated"));
}

TEST(Suppressions, ADocumentNamesWhatSuppressesIt) {
    Document document = made::document({made::order(), made::misuse("relock")});
    document.findings[1].suppressed_by = "of an earlier time";
    const std::vector<Suppression> blocks{block("lock:account")};
    suppress(document, blocks);
    EXPECT_EQ(document.findings[0].suppressed_by, "name");
    EXPECT_FALSE(document.findings[1].suppressed_by);
}

TEST(LockSuppressions, AskOnlyForLocksThatAFindingIsAbout) {
    Finding finding = made::order();
    finding.locks.push_back(made::lock(2, "gate"));
    finding.chains[0].also_held = {2};
    const auto blocks = parse_suppressions("{\nx\n*\nlock:gate\n}\n", "a");
    ASSERT_TRUE(blocks);
    EXPECT_FALSE(matches(blocks->front(), finding));
    EXPECT_EQ(suppression_for(finding).find("gate"), std::string::npos);
}

}  // namespace
}  // namespace braidway::lockcheck
