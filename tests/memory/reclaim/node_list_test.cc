// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/node_list.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(NodeList, IsReadAsTheKernelPrintsIt) {
    EXPECT_THAT(*parse_node_list("0"), ElementsAre(0));
    EXPECT_THAT(*parse_node_list("1,3,9-12"), ElementsAre(1, 3, 9, 10, 11, 12));
    EXPECT_THAT(*parse_node_list("5-5"), ElementsAre(5));
    EXPECT_THAT(*parse_node_list("1023"), ElementsAre(1023));
}

TEST(NodeList, SortsAndCountsEachNodeOnce) {
    EXPECT_THAT(*parse_node_list("3,0-1,1,3"), ElementsAre(0, 1, 3));
}

TEST(NodeList, NamesThePartThatIsWrong) {
    for (const char* text :
         {"",   ",",   "0,",   ",0",     "-", "-1",   "1-",    "3-1",        "+1",  " 1",
          "1 ", "0x1", "1024", "0-1024", "a", "1--2", "1-2-3", "4294967296", "1.0", "all"})
        EXPECT_FALSE(parse_node_list(text).has_value()) << text;
    EXPECT_THAT(parse_node_list("0,7-3,9").error().message, HasSubstr("'7-3'"));
    EXPECT_THAT(parse_node_list("1024").error().message,
                HasSubstr(fmt::format("(0 to {})", limits::node_max)));
}

TEST(NodeList, IsWrittenWithRanges) {
    EXPECT_EQ(format_node_list({}), "");
    EXPECT_EQ(format_node_list({4}), "4");
    EXPECT_EQ(format_node_list({0, 1}), "0-1");
    EXPECT_EQ(format_node_list({0, 2, 3, 5}), "0,2-3,5");
    EXPECT_EQ(format_node_list(*parse_node_list("12,9,11,10,3,1")), "1,3,9-12");
}

}  // namespace
}  // namespace braidway::memory
