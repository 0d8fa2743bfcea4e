// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/type_groups.h"

#include <gtest/gtest.h>

namespace braidway::lockcheck {
namespace {

constexpr const char* question = R"({"lockcheck_types":1,"origins":[
 {"place":"static","module":"/bin/x","address":"0x40a0","block_bytes":80,"offset_bytes":40,
  "lock_bytes":40,"initialised":false,"made":[]},
 {"place":"heap","block_bytes":56,"offset_bytes":8,"lock_bytes":40,"initialised":true,
  "made":[{"address":"0x7f001234","module":"/bin/x","offset":"0x1234"}]}]})";

TEST(TypeGroups, AQuestionIsReadAsTheRuntimeWritesIt) {
    const auto origins = read_origins(question);
    ASSERT_TRUE(origins.has_value());
    ASSERT_EQ(origins->size(), 2U);
    EXPECT_EQ((*origins)[0].place, "static");
    EXPECT_EQ((*origins)[0].module, "/bin/x");
    EXPECT_EQ((*origins)[0].address, 0x40a0U);
    EXPECT_EQ((*origins)[0].offset_bytes, 40U);
    EXPECT_EQ((*origins)[0].lock_bytes, 40U);
    EXPECT_FALSE((*origins)[0].initialised);
    EXPECT_TRUE((*origins)[1].initialised);
    ASSERT_EQ((*origins)[1].made.size(), 1U);
    EXPECT_EQ((*origins)[1].made[0].offset, 0x1234U);
}

TEST(TypeGroups, WhatIsNoQuestionIsRefusedInOneLine) {
    for (const char* text :
         {"", "{", "[]", "{}", R"({"lockcheck_types":2,"origins":[]})", R"({"lockcheck_types":1})",
          R"({"lockcheck_types":1,"origins":{}})", R"({"lockcheck_types":1,"origins":[3]})"}) {
        const auto origins = read_origins(text);
        ASSERT_FALSE(origins.has_value()) << text;
        EXPECT_EQ(origins.error().message.find('\n'), std::string::npos);
        EXPECT_TRUE(origins.error().message.starts_with("types: ")) << origins.error().message;
    }
}

TEST(TypeGroups, MembersOfTheWrongKindAreAsIfTheyWereMissing) {
    const auto origins = read_origins(
        R"({"lockcheck_types":1,"origins":[{"place":7,"address":"4","made":[1,{"offset":"0xg"}],
            "block_bytes":-1,"initialised":"yes"}]})");
    ASSERT_TRUE(origins.has_value());
    const LockOrigin& origin = origins->front();
    EXPECT_EQ(origin.place, "");
    EXPECT_EQ(origin.address, 0U);
    EXPECT_EQ(origin.block_bytes, 0U);
    EXPECT_FALSE(origin.initialised);
    ASSERT_EQ(origin.made.size(), 1U);
    EXPECT_FALSE(origin.made[0].offset.has_value());
}

TEST(TypeGroups, AreTheOriginsOfOneKnownType) {
    std::vector<LockOrigin> origins(6);
    for (size_t i = 0; i < origins.size(); ++i) origins[i].address = i;
    const auto type_of = [](const LockOrigin& origin) -> std::string {
        constexpr const char* types[] = {"a", "", "b", "a", "", "c"};
        return types[origin.address];
    };
    EXPECT_EQ(type_groups(origins, type_of), "0 3\n");
    EXPECT_EQ(type_groups({}, type_of), "");
}

}  // namespace
}  // namespace braidway::lockcheck
