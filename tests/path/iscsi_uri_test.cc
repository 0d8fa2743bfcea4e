// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace braidway::path {
namespace {

using testing::HasSubstr;
using testing::Not;

IscsiUri parsed(std::string_view text) {
    const Result<IscsiUri> uri = IscsiUri::parse(text);
    EXPECT_TRUE(uri.has_value()) << text << ": " << (uri ? "" : uri.error().message);
    return uri.value_or(IscsiUri{});
}

std::string problem_of(std::string_view text) {
    const Result<IscsiUri> uri = IscsiUri::parse(text);
    return uri ? "none" : uri.error().message;
}

TEST(IscsiUri, TakesApartWhatLibiscsiTakes) {
    const IscsiUri plain = parsed("iscsi://array1.example.com/iqn.2026-11.org.example:disks/3");
    EXPECT_EQ(plain.host, "array1.example.com");
    EXPECT_EQ(plain.port, 3260);
    EXPECT_EQ(plain.target, "iqn.2026-11.org.example:disks");
    EXPECT_EQ(plain.lun, 3);
    EXPECT_EQ(plain.portal(), "array1.example.com:3260");
    const IscsiUri full = parsed(
        "iscsi://joe%a/b?c%20:d@[fe80::1%25eth0]:3261/iqn.x%3Ay/0?header_digest=crc32c&"
        "target_user=array");
    EXPECT_EQ(full.user, "joe");
    EXPECT_EQ(full.secret, "a/b?c%20:d") << "as it is written";
    EXPECT_EQ(full.portal(), "[fe80::1%eth0]:3261");
    EXPECT_EQ(full.target, "iqn.x:y");
    EXPECT_EQ(full.header_digest, true);
    EXPECT_EQ(full.target_user, "array");
    EXPECT_EQ(parsed("iscsi://h/eui.02004567A425678D/16383").lun, 16383);
    EXPECT_EQ(parsed("iscsi://h/iqn.a/1?header_digest=none").header_digest, false);
}

TEST(IscsiUri, WrittenAndReadAgainIsTheSameButForTheSecret) {
    for (const std::string text :
         {"iscsi://h/iqn.2026-11.org.example:a/1", "iscsi://joe@[::1]:99/naa.5/0",
          "iscsi://joe@h/iqn.a/1?header_digest=none&target_user=x%20y"})
        EXPECT_EQ(parsed(text).text(), text);
    IscsiUri uri = parsed("iscsi://joe%hidden@h/iqn.a/1");
    EXPECT_EQ(uri.text(), "iscsi://joe@h/iqn.a/1");
    uri.secret.clear();
    EXPECT_EQ(parsed(uri.text()), uri);
}

TEST(IscsiUri, SaysWhatIsWrongInOneLine) {
    const std::vector<std::pair<std::string, std::string>> rows = {
        {"nbd://h/x", "expected iscsi://[USER@]HOST[:PORT]/TARGET/LUN"},
        {"iscsi://", "no host is named"},
        {"iscsi:///iqn.a/1", "no host is named"},
        {"iscsi://h", "no target is named"},
        {"iscsi://h/iqn.a", "no LUN is named"},
        {"iscsi://h/iqn.a/", "'' is not a LUN"},
        {"iscsi://h/iqn.a/16384", "expected 0 to 16383"},
        {"iscsi://h/iqn.a/-1", "is not a LUN"},
        {"iscsi://h/disk/1", "does not begin with iqn."},
        {"iscsi://h/iqn.a/b/1", "letters, digits"},
        {"iscsi://h/iqn.%4/1", "two hexadecimal digits"},
        {"iscsi://h/iqn.%00/1", "NUL"},
        {"iscsi://h:0/iqn.a/1", "is not a port"},
        {"iscsi://h:99999/iqn.a/1", "is not a port"},
        {"iscsi://::1/iqn.a/1", "in brackets"},
        {"iscsi://[::1/iqn.a/1", "']' is missing"},
        {"iscsi://[h]/iqn.a/1", "no IPv6 address"},
        {"iscsi://[::1]x/iqn.a/1", "expected ':PORT'"},
        {"iscsi://a_b!/iqn.a/1", "is no host name"},
        {"iscsi://@h/iqn.a/1", "user in front of '@' is empty"},
        {"iscsi://joe%@h/iqn.a/1", "secret behind '%' is empty"},
        {"iscsi://h/iqn.a/1?x=y", "'x' is unknown"},
        {"iscsi://h/iqn.a/1?header_digest=md5", "crc32c or none"},
        {"iscsi://h/iqn.a/1?target_user=a", "needs a user of ours"},
        {"iscsi://j@h/iqn.a/1?target_password=a", "chap_mutual_secret_file"},
        {"iscsi://h/iqn.a /1", "blanks"},
    };
    for (const auto& [text, wanted] : rows) {
        EXPECT_THAT(problem_of(text), HasSubstr(wanted)) << text;
        EXPECT_THAT(problem_of(text), Not(HasSubstr("\n")));
    }
}

TEST(IscsiUri, NoMessageShowsASecret) {
    for (const std::string text :
         {"iscsi://joe%hidden@h/iqn.a/x", "iscsi://joe:hidden@h/iqn.a/1", "iscsi://joe%hidden@",
          "iscsi://joe%a@hidden@h/iqn/1", "iscsi://joe/x%hidden@h/iqn.a/1"}) {
        EXPECT_NE(problem_of(text), "none") << text;
        EXPECT_THAT(problem_of(text), Not(HasSubstr("hidden"))) << text;
    }
}

TEST(IscsiUri, KnowsItsScheme) {
    EXPECT_TRUE(looks_like_iscsi_uri("iscsi://"));
    EXPECT_TRUE(looks_like_iscsi_uri("iscsi:x"));
    EXPECT_FALSE(looks_like_iscsi_uri("/dev/iscsi"));
    EXPECT_FALSE(looks_like_iscsi_uri("iscsi"));
}

}  // namespace
}  // namespace braidway::path
