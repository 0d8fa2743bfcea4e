// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/permissions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace braidway::apps {
namespace {

using testing::HasSubstr;

TEST(Mode, IsOctal) {
    EXPECT_EQ(*parse_mode("0600"), mode_t{0600});
    EXPECT_EQ(*parse_mode("620"), mode_t{0620});
    EXPECT_EQ(*parse_mode("0"), mode_t{0});
    for (const char* text :
         {"", "8", "0x1f", "u+w", "1777", "4755", "-1", " 600", "600 ", "77777777777777"}) {
        const auto mode = parse_mode(text);
        ASSERT_FALSE(mode.has_value()) << text;
        EXPECT_THAT(mode.error().message, HasSubstr("'" + std::string(text) + "'"));
    }
}

TEST(Owner, IsAUserAGroupOrBoth) {
    const Owner root = *parse_owner("root");
    EXPECT_EQ(root.user, uid_t{0});
    EXPECT_FALSE(root.group.has_value());
    const Owner both = *parse_owner("65534:0");
    EXPECT_EQ(both.user, uid_t{65534});
    EXPECT_EQ(both.group, gid_t{0});
    const Owner group = *parse_owner(":root");
    EXPECT_FALSE(group.user.has_value());
    EXPECT_EQ(group.group, gid_t{0});
}

TEST(Owner, NamesWhoIsNotKnown) {
    EXPECT_EQ(parse_owner("no-such-user-here").error().message,
              "there is no user 'no-such-user-here'");
    EXPECT_EQ(parse_owner("root:no-such-group").error().message,
              "there is no group 'no-such-group'");
    EXPECT_FALSE(parse_owner("4294967295").has_value()) << "means nobody to chown";
    EXPECT_THAT(parse_owner("").error().message, HasSubstr("USER:GROUP"));
    EXPECT_FALSE(parse_owner(":").has_value());
    EXPECT_THAT(parse_owner("root:").error().message, HasSubstr("no group"));
}

}  // namespace
}  // namespace braidway::apps
