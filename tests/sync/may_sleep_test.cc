// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/may_sleep.h"

#include <string>

#include <gtest/gtest.h>

namespace braidway::sync {
namespace {

std::string heard;
void hear(const char* where) {
    heard += where;
}

TEST(MaySleep, CallsTheHookAndNothingWithoutOne) {
    heard.clear();
    may_sleep_here("nowhere");
    const MaySleepHook former = set_may_sleep_hook(hear);
    may_sleep_here("here");
    EXPECT_EQ(heard, "here");
    EXPECT_EQ(set_may_sleep_hook(nullptr), hear);
    may_sleep_here("nowhere");
    EXPECT_EQ(heard, "here");
    set_may_sleep_hook(former);
}

}  // namespace
}  // namespace braidway::sync
