// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/annotations.h"

#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

TEST(Annotations, NameFileAndLineWithinTheWorkspace) {
    Finding finding = made::order();
    EXPECT_EQ(annotation(finding, false, "/src"),
              "::error file=bank.c,line=11,title=lockcheck%3A order::two orders\n");
    EXPECT_EQ(annotation(finding, false, "/src/"),
              "::error file=bank.c,line=11,title=lockcheck%3A order::two orders\n");
    EXPECT_EQ(annotation(finding, true, "/sr"),
              "::notice file=/src/bank.c,line=11,title=lockcheck%3A order::two orders\n");
}

TEST(Annotations, TakeTheProgramsOwnLineNotTheLibrarys) {
    Finding finding = made::order();
    finding.chains[0].wants_stack.insert(finding.chains[0].wants_stack.begin(),
                                         made::library_frame("std::mutex::lock()"));
    EXPECT_EQ(annotation(finding, false, "/src"),
              "::error file=bank.c,line=11,title=lockcheck%3A order::two orders\n");
}

TEST(Annotations, EscapeWhatWouldEndAPropertyOrALine) {
    Finding finding = made::order();
    finding.message = "100%: a, b\r\nc";
    finding.chains[0].wants_stack[0].file = "/src/a,b:c%.c";
    EXPECT_EQ(annotation(finding, false, ""),
              "::error file=/src/a%2Cb%3Ac%25.c,line=11,title=lockcheck%3A order::"
              "100%25: a, b%0D%0Ac\n");
}

TEST(Annotations, DoWithoutAPlace) {
    Finding finding;
    finding.kind = "hang";
    finding.message = "stuck";
    EXPECT_EQ(annotation(finding, false, ""), "::error title=lockcheck%3A hang::stuck\n");
}

}  // namespace
}  // namespace braidway::lockcheck
