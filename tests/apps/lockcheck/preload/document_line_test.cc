// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/preload/document_line.h"

#include <gtest/gtest.h>

#include <string>

namespace braidway::lockcheck {
namespace {

std::string updated(std::string_view line, std::string_view state, std::string_view findings,
                    std::string_view notes) {
    Text text;
    add_updated_line(text, line, state, findings, notes);
    std::string copy(text.view());
    text.clear_and_free();
    return copy;
}

TEST(DocumentLine, AddsToItsListsAndKeepsWhatIsThere) {
    const std::string empty =
        R"({"lockcheck":1,"state":"running","process":{},"findings":[],"notes":[]})";
    EXPECT_EQ(updated(empty + "\n", "exited", "", ""),
              R"({"lockcheck":1,"state":"exited","process":{},"findings":[],"notes":[]})"
              "\n");
    EXPECT_EQ(updated(empty, "ended", R"({"a":1})", R"({"b":2},{"b":3})"),
              R"({"lockcheck":1,"state":"ended","process":{},"findings":[{"a":1}],)"
              R"("notes":[{"b":2},{"b":3}]})"
              "\n");
    const std::string full =
        R"({"state":"running","findings":[{"m":"x],\"notes\":[y"}],"notes":[{"n":1}]})";
    EXPECT_EQ(updated(full + "   \n", "exited", R"({"a":1})", R"({"b":2})"),
              R"({"state":"exited","findings":[{"m":"x],\"notes\":[y"},{"a":1}],)"
              R"("notes":[{"n":1},{"b":2}]})"
              "\n");
}

TEST(DocumentLine, LeavesALineAloneThatIsNoDocument) {
    EXPECT_EQ(updated("{\"state\":\"running\"}\n", "exited", "{}", ""),
              "{\"state\":\"running\"}\n");
    EXPECT_EQ(updated("", "exited", "{}", ""), "\n");
}

TEST(DocumentLine, FillsAPlaceWithALineOrLeavesIt) {
    std::string place = "0123456789";
    EXPECT_TRUE(fill_line(place.data(), place.size(), "{\"a\":1}\n"));
    EXPECT_EQ(place, "{\"a\":1}   ");
    EXPECT_FALSE(fill_line(place.data(), place.size(), "{\"longer\":1}\n"));
    EXPECT_EQ(place, "{\"a\":1}   ");
}

}  // namespace
}  // namespace braidway::lockcheck
