// SPDX-License-Identifier: Apache-2.0
#include "lockdep/words.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace braidway::lockdep {
namespace {

TEST(Words, EveryKindOfFindingHasAWordOfItsOwn) {
    std::set<std::string> seen;
    for (size_t kind = 0; kind < finding_kinds; ++kind)
        seen.insert(word(static_cast<FindingKind>(kind)));
    EXPECT_EQ(seen.size(), finding_kinds);
    EXPECT_EQ(seen.count("?"), 0u);
    EXPECT_STREQ(word(FindingKind::held_while_join), "held-while-join");
}

}  // namespace
}  // namespace braidway::lockdep
