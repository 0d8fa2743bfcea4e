// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/lockcheck/documents.h"

namespace braidway::lockcheck {
namespace {

using testing::HasSubstr;

// As the design has it.
constexpr const char* raw = R"({"lockcheck":1,"state":"running",
 "process":{"id":"12-1","pid":12,"parent":1,"program":"/bin/x","arguments":["x","a\nb"]},
 "findings":[{"number":1,"kind":"order","printed":false,"message":"m",
  "locks":[{"index":0,"address":"0x7f10","type":"mutex","name":null,"place":"heap","class":3,
    "created":{"thread":1,"stack":[{"address":"0x55","module":"/bin/x","offset":"0x11"}]},
    "offset":40,"size":80}],
  "chains":[{"thread":2,"thread_name":"worker","holds":0,"holds_mode":"exclusive",
    "holds_stack":[{"address":"0x56","module":"/bin/x","offset":"0x12"}],
    "wants":null,"wants_mode":null,"wants_stack":[]}],
  "suppressed_by":null}],"notes":[]})";

TEST(LockDocument, RawOnesAreRead) {
    const auto document = read_document(raw);
    ASSERT_TRUE(document) << document.error().message;
    EXPECT_EQ(document->process.id, "12-1");
    EXPECT_EQ(document->process.arguments[1], "a\nb");
    ASSERT_EQ(document->findings.size(), 1u);
    const Finding& finding = document->findings[0];
    const Lock* lock = finding.lock(0);
    ASSERT_NE(lock, nullptr);
    EXPECT_EQ(lock->address, 0x7f10u);
    EXPECT_FALSE(lock->name);
    EXPECT_EQ(lock->size, 80u);
    EXPECT_EQ(lock->created->stack[0].offset, 0x11u);
    EXPECT_EQ(finding.lock(1), nullptr);
    EXPECT_EQ(finding.lock(std::nullopt), nullptr);
    EXPECT_EQ(finding.chains[0].thread_name, "worker");
    EXPECT_EQ(finding.chains[0].holds, 0u);
    EXPECT_FALSE(finding.chains[0].wants);
}

TEST(LockDocument, WhatIsWrittenIsReadBackTheSame) {
    Document document = made::document({made::order()});
    document.notes = {made::misuse("relock")};
    document.findings[0].suppressed_by = "known";
    document.findings[0].chains[0].holds_stack[0].inlined = true;
    document.findings[0].locks[0].created = Creation{3, {made::library_frame("std::f")}};
    const std::string line = document_line(document);
    EXPECT_EQ(std::ranges::count(line, '\n'), 1);
    EXPECT_EQ(line.back(), '\n');
    const auto again = read_document(line);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(document_line(*again), line);
    EXPECT_EQ(again->findings[0].suppressed_by, "known");
    EXPECT_TRUE(again->findings[0].locks[0].created->stack[0].library);
}

TEST(LockDocument, GarbageIsRefusedWithOneLine) {
    for (const char* text :
         {"", "{", "[]", "null", "{\"lockcheck\":2}", "{\"lockcheck\":\"1\"}", "{\"lockcheck\":1}",
          R"({"lockcheck":1,"process":{"id":"1-1"}})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":{}})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[7]})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[{"kind":7}]})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[{"kind":"order","locks":[7]}]})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[
              {"kind":"order","locks":[{"address":"12"}]}]})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[
              {"kind":"order","chains":[{"holds":"x"}]}]})",
          R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[
              {"kind":"order","chains":[{"holds":-1}]}]})"}) {
        const auto document = read_document(text);
        ASSERT_FALSE(document) << text;
        EXPECT_THAT(document.error().message, HasSubstr("document: ")) << text;
        EXPECT_EQ(document.error().message.find('\n'), std::string::npos);
    }
}

TEST(LockDocument, BytesThatAreNoUtf8AreReplaced) {
    EXPECT_EQ(clean_text("a\xff"
                         "b"),
              "a\xef\xbf\xbd"
              "b");
    EXPECT_EQ(clean_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92"),
              "\xc3\xa4\xe2\x82\xac\xf0\x9f\x94\x92");
    EXPECT_EQ(clean_text("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd") << "surrogates";
    EXPECT_EQ(clean_text("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd") << "longer than needed";
    EXPECT_EQ(clean_text("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd") << "cut off";
    const auto document = read_document(
        "{\"lockcheck\":1,\"process\":{\"id\":\"1-1\",\"arguments\":[\"\xff\"]},\"findings\":[]}");
    ASSERT_TRUE(document);
    EXPECT_EQ(document->process.arguments[0], "\xef\xbf\xbd");
}

TEST(LockDocument, NamesHaveNoEscapeSequencesForTerminals) {
    const auto document = read_document(
        R"({"lockcheck":1,"process":{"id":"1-1"},"findings":[{"kind":"order",
            "chains":[{"thread_name":"\u001b[2J"}]}]})");
    ASSERT_TRUE(document);
    EXPECT_EQ(document->findings[0].chains[0].thread_name, " [2J");
}

TEST(LockDocument, KeepsUnusedSuppressions) {
    Document document = made::document({made::order()});
    document.unused_suppressions = {"nobody (a.supp:6)"};
    const auto again = read_document(document_line(document));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->unused_suppressions, document.unused_suppressions);
    // The runtime adds to its end.
    EXPECT_THAT(document_line(document), testing::EndsWith("],\"notes\":[]}\n"));
}

}  // namespace
}  // namespace braidway::lockcheck
