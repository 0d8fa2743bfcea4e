// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "explore/traces.h"

namespace braidway::explore {
namespace {

TEST(NameOf, SaysTheObjectAndHowFarIntoIt) {
    Trace trace;
    trace.objects = {{"lock", made::memory.data(), 8}, {"flag", made::memory.data() + 2, 4}};
    EXPECT_EQ(name_of(trace, made::memory.data()), "lock");
    EXPECT_EQ(name_of(trace, made::memory.data() + 1), "lock+4");
    EXPECT_EQ(name_of(trace, made::memory.data() + 2), "flag");
}

TEST(NameOf, SaysTheAddressOfWhatHasNoName) {
    Trace trace;
    trace.objects = {{"lock", made::memory.data(), 8}};
    EXPECT_THAT(name_of(trace, made::memory.data() + 2), testing::StartsWith("0x"));
    EXPECT_EQ(name_of(trace, nullptr), "0x0");
}

TEST(NameOf, KnowsAnEmptyObjectByItsAddress) {
    Trace trace;
    trace.objects = {{"tag", made::memory.data(), 0}};
    EXPECT_EQ(name_of(trace, made::memory.data()), "tag");
    EXPECT_NE(name_of(trace, made::memory.data() + 1), "tag+4");
}

}  // namespace
}  // namespace braidway::explore
