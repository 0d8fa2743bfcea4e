// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace braidway {
namespace {

Result<int> half(int number) {
    if (number % 2 != 0) return fail("odd", EINVAL);
    return number / 2;
}

TEST(Result, IsAValueOrAReason) {
    EXPECT_EQ(half(4), 2);
    const auto none = half(3);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().message, "odd");
    EXPECT_EQ(none.error().code, EINVAL);
}

TEST(Result, HasNoCodeWhereNoneIsKnown) {
    const Result<int> none = fail("because");
    EXPECT_EQ(none.error().code, 0);
}

TEST(ErrnoText, IsTheSystemsOwn) {
    EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
    EXPECT_FALSE(errno_text(123456).empty());
}

}  // namespace
}  // namespace braidway
