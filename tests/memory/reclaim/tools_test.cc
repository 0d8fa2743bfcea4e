// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/settings.h"

namespace braidway::memory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> names(const Mechanisms& mechanisms) {
    std::vector<std::string> all;
    for (const auto& each : mechanisms) all.emplace_back(each->name());
    return all;
}

TEST(Tools, PreferTheNodesOwnFile) {
    FakeKernel kernel;
    const auto all = names(make_mechanisms(kernel, 0, {}));
    ASSERT_FALSE(all.empty());
    EXPECT_EQ(all[0], "node-reclaim");
    auto once = all;
    std::ranges::sort(once);
    EXPECT_EQ(std::ranges::adjacent_find(once), once.end()) << "names are unique";
}

TEST(Tools, AreThoseThatWereNamed) {
    FakeKernel kernel;
    Request request;
    request.mechanisms = {"node-reclaim"};
    EXPECT_THAT(names(make_mechanisms(kernel, 0, request)), ElementsAre("node-reclaim"));
    request.mechanisms = {"no-such"};
    EXPECT_THAT(names(make_mechanisms(kernel, 0, request)), IsEmpty());
}

TEST(Tools, SayWhatWorksOnWhichNodeAndWhyNot) {
    FakeKernel kernel(2);
    kernel.node(1).reclaim_file = false;
    const auto found = find_capabilities(kernel, {0, 1});
    const auto of = [&](uint32_t node) {
        return std::ranges::find_if(found, [&](const Capability& each) {
            return each.node == node && each.mechanism == "node-reclaim";
        });
    };
    ASSERT_NE(of(0), found.end());
    ASSERT_NE(of(1), found.end());
    EXPECT_TRUE(of(0)->usable);
    EXPECT_EQ(of(0)->why_not, "");
    EXPECT_FALSE(of(0)->global);
    EXPECT_TRUE(of(0)->kinds.has(Kind::page_cache));
    EXPECT_FALSE(of(1)->usable);
    EXPECT_THAT(of(1)->why_not, HasSubstr("Linux 6.17"));
    for (const Capability& each : found) EXPECT_EQ(each.usable, each.why_not.empty());
    EXPECT_THAT(kernel.writes(), IsEmpty()) << "looking changes nothing";
    EXPECT_THAT(find_capabilities(kernel, {}), IsEmpty());
}

}  // namespace
}  // namespace braidway::memory
