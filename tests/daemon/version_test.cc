// SPDX-License-Identifier: Apache-2.0
#include "daemon/version.h"

#include <gtest/gtest.h>

namespace braidway::daemon {
namespace {

TEST(Version, IsThreeNumbers) {
    EXPECT_NE(version().find('.'), version().rfind('.'));
}

}  // namespace
}  // namespace braidway::daemon
