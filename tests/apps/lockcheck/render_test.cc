// SPDX-License-Identifier: Apache-2.0
// The renderer as the runtime uses it, on documents made by hand.
#include "apps/lockcheck/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"
#include "apps/lockcheck/json_file.h"

namespace braidway::lockcheck {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class LockRender : public testing::Test {
  protected:
    LockRender() {
        settings_.root = 77;
        settings_.json = folder_.path("a.json");
    }
    int run(const Document& document) { return run(document_line(document)); }
    int run(const std::string& raw) {
        text_.clear();
        prints_ = 0;
        return render(
            raw,
            {.settings = settings_, .workspace = "/src", .print = [this](std::string_view text) {
                 text_ += text;
                 ++prints_;
             }});
    }
    /// The document that is in the file now.
    Document saved() const { return read_documents(settings_.json).at(0); }

    Folder folder_;
    Settings settings_;
    std::string text_;
    int prints_ = 0;
};

TEST_F(LockRender, EveryKindIsPrintedSavedAndCounted) {
    for (const char* kind :
         {"order", "recursive-read", "relock", "unlock-unheld", "destroy-held", "exit-held",
          "held-while-wait", "held-while-join", "signal", "hang", "held-while-sleep"}) {
        Finding finding = made::order();
        finding.kind = kind;
        EXPECT_EQ(run(made::document({finding})), render_something_left) << kind;
        EXPECT_THAT(text_, AllOf(StartsWith(std::string("lockcheck: ") + kind + ": "),
                                 HasSubstr("What to do:"),
                                 EndsWith(std::string("lockcheck: 1 finding (1 ") + kind + ")\n")));
        EXPECT_EQ(prints_, 1) << "at once, so that processes do not mix";
        const Finding after = saved().findings.at(0);
        EXPECT_EQ(after.kind, kind);
        EXPECT_TRUE(after.printed);
        EXPECT_THAT(after.message, HasSubstr("(bank.c:1"));
        EXPECT_EQ(after.locks[0].description, "static mutex");
    }
    EXPECT_EQ(read_documents(settings_.json).size(), 1u) << "each in place of the one before";
}

TEST_F(LockRender, WhatWasPrintedIsNotPrintedAgain) {
    Document document = made::document({made::order(1), made::order(2)});
    document.state = "running";
    document.findings[0].printed = true;
    document.findings[1].kind = "relock";
    EXPECT_EQ(run(document), render_something_left);
    EXPECT_THAT(text_, AllOf(HasSubstr("lockcheck: relock"), Not(HasSubstr("lockcheck: order")),
                             Not(HasSubstr("2 findings"))));
    document.findings[1].printed = true;
    EXPECT_EQ(run(document), render_something_left);
    EXPECT_THAT(text_, IsEmpty());
    EXPECT_EQ(prints_, 0);
}

TEST_F(LockRender, SuppressedFindingsAreSavedAndNotPrinted) {
    settings_.suppressions = {
        folder_.file("a.supp", "{\nknown\norder\nlock:account\n}\n{\nunused\n*\nfun:nobody\n}\n")};
    EXPECT_EQ(run(made::document({made::order()})), render_nothing_left);
    EXPECT_EQ(text_, "lockcheck: unused suppression: unused (" + settings_.suppressions[0] +
                         ":6)\nlockcheck: nothing found, 1 suppressed\n");
    EXPECT_EQ(saved().findings[0].suppressed_by, "known");
    EXPECT_THAT(saved().unused_suppressions,
                testing::ElementsAre("unused (" + settings_.suppressions[0] + ":6)"));
    EXPECT_FALSE(saved().findings[0].printed);
    Document both = made::document({made::order(), made::misuse("exit-held")});
    EXPECT_EQ(run(both), render_something_left);
}

TEST_F(LockRender, ASuppressionThatAChildUsedIsUsed) {
    settings_.suppressions = {folder_.file("a.supp", "{\nknown\norder\nlock:account\n}\n")};
    Document child = made::document({made::order()});
    child.process.pid = 78;
    child.process.id = "78-1";
    EXPECT_EQ(run(child), render_nothing_left);
    EXPECT_THAT(text_, IsEmpty()) << "only the first process has last words";
    EXPECT_EQ(run(made::document({})), render_nothing_left);
    EXPECT_EQ(text_, "lockcheck: nothing found\n");
}

TEST_F(LockRender, FindingsOfChildrenAreInTheSummary) {
    Document child = made::document({made::order()});
    child.process.pid = 78;
    child.process.id = "78-1";
    run(child);
    EXPECT_THAT(text_, Not(HasSubstr("lockcheck: 1 finding")));
    run(made::document({}));
    EXPECT_EQ(text_, "lockcheck: 1 finding in other processes\n");
}

TEST_F(LockRender, AThreadThatNobodyNamedHasNoName) {
    Finding finding = made::order();
    finding.chains[0].thread_name = "bank";
    finding.chains[1].thread_name = "teller";
    run(made::document({finding}));
    EXPECT_THAT(text_, AllOf(HasSubstr("Thread 2 \"teller\""), Not(HasSubstr("\"bank\""))));
    EXPECT_FALSE(saved().findings[0].chains[0].thread_name);
}

TEST_F(LockRender, QuietIsFindingsOnly) {
    settings_.quiet = true;
    Document document = made::document({made::order()});
    document.notes = {made::misuse("recursive-read")};
    EXPECT_EQ(run(document), render_something_left);
    EXPECT_THAT(text_, AllOf(HasSubstr("lockcheck: order"), Not(HasSubstr("note")),
                             Not(HasSubstr("1 finding"))));
    settings_.quiet = false;
    run(document);
    EXPECT_THAT(text_, HasSubstr("lockcheck: note: recursive-read"));
    document.findings.clear();
    EXPECT_EQ(run(document), render_nothing_left) << "a note is no finding";
}

TEST_F(LockRender, PicturesAndAnnotationsAreMade) {
    settings_.picture = folder_.path("a-%p.svg");
    settings_.github = true;
    settings_.generate_suppressions = true;
    run(made::document({made::order()}));
    EXPECT_THAT(*read_file(folder_.path("a-77.svg"), SIZE_MAX), StartsWith("<svg "));
    EXPECT_THAT(text_,
                AllOf(HasSubstr("\n::error file=bank.c,line=11,"), HasSubstr("\n   order-1\n")));
    settings_.picture = folder_.path("a.dot");
    run(made::document({made::order()}));
    EXPECT_THAT(*read_file(folder_.path("a.dot"), SIZE_MAX), StartsWith("digraph "));
    settings_.picture = folder_.path("b.dot");
    run(made::document({}));
    EXPECT_FALSE(read_file(folder_.path("b.dot"), SIZE_MAX)) << "there is nothing to draw";
}

TEST_F(LockRender, GarbageFailsWithOneLineAndTouchesNothing) {
    for (const char* raw : {"", "nonsense", "{\"lockcheck\":1}"}) {
        EXPECT_EQ(run(std::string(raw)), render_failed);
        EXPECT_THAT(text_, StartsWith("lockcheck: cannot say what was found: document: "));
        EXPECT_EQ(std::ranges::count(text_, '\n'), 1);
    }
    EXPECT_FALSE(read_file(settings_.json, 1));
}

TEST_F(LockRender, AFileThatCannotBeWrittenIsSaidAndTheFindingCounts) {
    settings_.json = folder_.path("none/a.json");
    settings_.picture = folder_.path("none/a.svg");
    settings_.suppressions = {folder_.path("none")};
    EXPECT_EQ(run(made::document({made::order()})), render_something_left);
    EXPECT_THAT(text_,
                AllOf(HasSubstr("lockcheck: order"), HasSubstr("none/a.json: No such file"),
                      HasSubstr("none/a.svg: No such file"), HasSubstr("none: No such file")));
}

}  // namespace
}  // namespace braidway::lockcheck
