// SPDX-License-Identifier: Apache-2.0
#include "daemon/table.h"

#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

TEST(Table, ColumnsAreAsWideAsTheyAreShown) {
    Table table({{"A", Table::Align::left}, {"B", Table::Align::right}});
    table.add({"\xc3\xa4\xc3\xb6\xc3\xbc", "1"});
    table.add({"xx", "22"});
    table.add_note("note");
    EXPECT_EQ(table.text(), "A     B\n\xc3\xa4\xc3\xb6\xc3\xbc   1\nxx   22\nnote\n");
}

}  // namespace
}  // namespace braidway::daemon
