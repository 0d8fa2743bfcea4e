// SPDX-License-Identifier: Apache-2.0
#include "tls/psk_file.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "support/certificates.h"

namespace braidway::tls {
namespace {

constexpr std::string_view key = "00112233445566778899aabbccddeeff";

std::string line_of(std::string_view user) {
    return std::string(user) + ":" + std::string(key) + "\n";
}

std::string problem_with(const std::string& text) {
    const auto parsed = PskFile::parse(text, "keys.psk");
    return parsed ? "none" : parsed.error().message;
}

TEST(PskFile, KnowsTheKeysOfItsUsers) {
    const auto parsed = PskFile::parse(
        line_of("alice") + "# a remark\r\n\n" + "bob:ffFF0000000000000000000000000001\r\n",
        "keys.psk");
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    ASSERT_EQ(parsed->users().size(), 2u);
    ASSERT_EQ(parsed->find("alice").size(), 16u);
    EXPECT_EQ(parsed->find("alice")[1], 0x11);
    EXPECT_EQ(parsed->find("bob")[0], 0xff);
    EXPECT_EQ(parsed->find("bob")[15], 1);
    EXPECT_TRUE(parsed->find("carol").empty());
    EXPECT_TRUE(parsed->find("").empty());
}

TEST(PskFile, AUserMayHaveColonsInItsName) {
    const auto parsed = PskFile::parse(line_of("host:7"), "keys.psk");
    ASSERT_TRUE(parsed.has_value());
    EXPECT_FALSE(parsed->find("host:7").empty());
}

TEST(PskFile, SaysWhichLineIsWrongAndNeverQuotesIt) {
    const std::string good = line_of("alice");
    EXPECT_EQ(problem_with(good), "none");
    const std::string expected = "expected 'user:key', the key in hexadecimal (psktool)";
    EXPECT_EQ(problem_with(good + "no colon\n"), "keys.psk:2: " + expected);
    EXPECT_EQ(problem_with(":" + std::string(key)), "keys.psk:1: " + expected);
    EXPECT_EQ(problem_with("bob:" + std::string(key) + "0"), "keys.psk:1: " + expected);
    EXPECT_EQ(problem_with("bob:" + std::string(key) + "zz"), "keys.psk:1: " + expected);
    EXPECT_EQ(problem_with("\nbob:0011"),
              "keys.psk:2: the key is not 16 to 64 bytes long; make one with psktool");
    EXPECT_EQ(problem_with("bob:" + std::string(130, '0')),
              "keys.psk:1: the key is not 16 to 64 bytes long; make one with psktool");
    EXPECT_EQ(problem_with(good + good), "keys.psk:2: this user is listed twice");
    EXPECT_EQ(problem_with(line_of(std::string(129, 'u'))),
              "keys.psk:1: the user's name is longer than 128 bytes");
}

TEST(PskFile, RefusesAFileWithoutKeysAndOneWithTooMany) {
    EXPECT_EQ(problem_with("# nothing\n"),
              "keys.psk has no key in it; run: psktool -u NAME -p keys.psk");
    std::string many;
    for (size_t user = 0; user <= limits::tls_psk_users_max; ++user)
        many += line_of("user" + std::to_string(user));
    EXPECT_EQ(problem_with(many), "keys.psk:4097: too many users");
}

TEST(PskFile, IsNotReadWhereEveryUserMayReadIt) {
    const TemporaryFolder folder;
    EXPECT_TRUE(PskFile::read(folder.write("keys", line_of("alice"), 0600)).has_value());
    const auto read = PskFile::read(folder.write("keys", line_of("alice"), 0644));
    ASSERT_FALSE(read.has_value());
    EXPECT_NE(read.error().message.find("chmod o="), std::string::npos);
}

}  // namespace
}  // namespace braidway::tls
