// SPDX-License-Identifier: Apache-2.0
#include "multipath/selector.h"

#include <gmock/gmock.h>

namespace braidway::multipath {
namespace {

TEST(Selector, IsMadeByItsName) {
    for (const char* name : {"round-robin", "service-time"}) {
        const auto selector = make_selector(name, {}, {{}, {}});
        ASSERT_TRUE(selector.has_value()) << name;
        EXPECT_EQ((*selector)->name(), name);
    }
}

TEST(Selector, OfAnUnknownNameIsRefusedWithTheNamesThereAre) {
    for (const char* name : {"", "Round-Robin", "queue-depth"})
        EXPECT_EQ(
            make_selector(name, {}, {{}}).error().message,
            std::string("unknown selector '") + name + "'; there are: round-robin, service-time");
}

TEST(Selector, PicksNothingWhenEveryPathIsDown) {
    for (const char* name : {"round-robin", "service-time"}) {
        const auto selector = std::move(make_selector(name, {}, {{}, {}}).value());
        selector->fail_path(1);
        EXPECT_EQ(selector->pick({}, {}), 0u);
        selector->fail_path(0);
        EXPECT_EQ(selector->pick({}, {}), std::nullopt);
        selector->reinstate_path(1);
        EXPECT_EQ(selector->pick({}, {}), 1u);
    }
}

}  // namespace
}  // namespace braidway::multipath
