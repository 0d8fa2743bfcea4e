// SPDX-License-Identifier: Apache-2.0
#include "explore/objects.h"

#include <gtest/gtest.h>

#include <array>

namespace braidway::explore {
namespace {

TEST(ObjectTable, KeepsAHistoryForEachAddressUntilCleared) {
    ObjectTable table;
    std::array<char, 1000> memory{};
    for (int turn = 0; turn < 3; ++turn) {
        for (size_t i = 0; i < memory.size(); ++i) {
            EXPECT_EQ(table.at(&memory[i]).last_write, -1);
            table.at(&memory[i]).last_write = static_cast<int>(i);
        }
        for (size_t i = 0; i < memory.size(); ++i)
            EXPECT_EQ(table.at(&memory[i]).last_write, static_cast<int>(i));
        table.clear();
    }
}

}  // namespace
}  // namespace braidway::explore
