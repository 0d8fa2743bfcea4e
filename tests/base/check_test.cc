// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <gtest/gtest.h>

namespace braidway {
namespace {

TEST(Check, SaysWhereWhatAndWhyAndAborts) {
    const int answer = 41;
    EXPECT_DEATH(CHECK(answer == 42, "the answer is known"),
                 "check_test\\.cc:[0-9]+: CHECK\\(answer == 42\\) failed: the answer is known");
}

TEST(Check, EvaluatesItsConditionOnce) {
    int evaluated = 0;
    CHECK(++evaluated == 1, "the condition has side effects only once");
    EXPECT_EQ(evaluated, 1);
}

TEST(Check, IsOneStatement) {
    // Does not compile when CHECK is more than one statement.
    if (true)
        CHECK(true, "holds");
    else
        CHECK(false, "never reached");
}

TEST(DebugCheck, IsOnInDebugBuildsOnly) {
    int evaluated = 0;
    const auto condition = [&] {
        ++evaluated;
        return true;
    };
    DEBUG_CHECK(condition(), "holds");
#ifdef NDEBUG
    EXPECT_EQ(evaluated, 0);
    static_cast<void>(condition);
#else
    EXPECT_EQ(evaluated, 1);
    EXPECT_DEATH(DEBUG_CHECK(!condition(), "stops debug builds"), "stops debug builds");
#endif
}

}  // namespace
}  // namespace braidway
