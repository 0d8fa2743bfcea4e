// SPDX-License-Identifier: Apache-2.0
#include "path/iscsi_options.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace braidway::path {
namespace {

using testing::HasSubstr;

IscsiOptions options_of(const std::string& uri) {
    IscsiOptions options;
    options.uri = IscsiUri::parse(uri).value();
    options.initiator = "iqn.a:us";
    return options;
}

std::string problem_of(const IscsiOptions& options) {
    const auto checked = check_iscsi_options(options);
    return checked ? "none" : checked.error().message;
}

TEST(IscsiOptions, AreCheckedBeforeAnythingIsCalled) {
    IscsiOptions options = options_of("iscsi://h/iqn.a/1");
    EXPECT_EQ(problem_of(options), "none");
    options.data_digest = true;
    EXPECT_THAT(problem_of(options), HasSubstr("data_digest is not offered"));
    options = options_of("iscsi://h/iqn.a/1");
    options.initiator = "us";
    EXPECT_THAT(problem_of(options), HasSubstr("initiator's name 'us'"));
}

TEST(IscsiOptions, ChapNeedsUserAndSecretOfEachSide) {
    IscsiOptions options = options_of("iscsi://joe@h/iqn.a/1");
    EXPECT_THAT(problem_of(options), HasSubstr("name a chap_secret_file"));
    options.secret = "one";
    EXPECT_EQ(problem_of(options), "none");
    options.target_secret = "two";
    EXPECT_THAT(problem_of(options), HasSubstr("no ?target_user= in the URI"));
    options.uri.target_user = "array";
    EXPECT_EQ(problem_of(options), "none");
    options.target_secret = "one";
    EXPECT_THAT(problem_of(options), HasSubstr("must differ"));
    options.target_secret.clear();
    EXPECT_THAT(problem_of(options), HasSubstr("chap_mutual_secret_file"));
    options = options_of("iscsi://h/iqn.a/1");
    options.secret = "one";
    EXPECT_THAT(problem_of(options), HasSubstr("no user"));
    EXPECT_EQ(problem_of(options_of("iscsi://joe%secret@h/iqn.a/1")), "none");
}

TEST(IscsiOptions, SecretsComeFromFiles) {
    const std::string file = testing::TempDir() + "/iscsi-options-" + std::to_string(getpid());
    std::ofstream(file) << "secret\n";
    std::ofstream(file + "2") << "another\n";
    ASSERT_EQ(chmod(file.c_str(), 0600), 0);
    ASSERT_EQ(chmod((file + "2").c_str(), 0600), 0);
    IscsiOptions options = options_of("iscsi://joe@h/iqn.a/1");
    options.secret_file = file;
    EXPECT_EQ(problem_of(options), "none") << "a file will do, before it is read";
    ASSERT_TRUE(read_iscsi_secrets(options));
    EXPECT_EQ(options.secret, "secret");
    EXPECT_EQ(options.target_secret, "");
    options = options_of("iscsi://joe@h/iqn.a/1?target_user=array");
    options.secret_file = options.target_secret_file = file;
    const auto same = read_iscsi_secrets(options);
    ASSERT_FALSE(same);
    EXPECT_THAT(same.error().message, HasSubstr("must differ"));
    options.target_secret_file = file + "2";
    ASSERT_TRUE(read_iscsi_secrets(options));
    EXPECT_EQ(options.target_secret, "another");
    ASSERT_EQ(chmod(file.c_str(), 0644), 0);
    const auto open = read_iscsi_secrets(options);
    ASSERT_FALSE(open);
    EXPECT_THAT(open.error().message, HasSubstr("run: chmod o= "));
    unlink(file.c_str());
    unlink((file + "2").c_str());
}

TEST(IscsiOptions, AnInitiatorHasAnIscsiName) {
    EXPECT_TRUE(check_initiator_name("iqn.2026-11.org.example:host"));
    EXPECT_TRUE(check_initiator_name("eui.02004567A425678D"));
    EXPECT_FALSE(check_initiator_name(""));
    EXPECT_FALSE(check_initiator_name("host"));
    EXPECT_FALSE(check_initiator_name("iqn.2026-11.org.example:a host"));
    EXPECT_FALSE(check_initiator_name("iqn." + std::string(220, 'a')));
    EXPECT_TRUE(check_initiator_name(default_initiator("a")));
    EXPECT_NE(default_initiator("a"), default_initiator("b"));
    // Written down: targets let initiators in by their names.
    EXPECT_EQ(default_initiator("host"), "iqn.2026-11.org.braidway:70d93923b3384822");
}

TEST(IscsiOptions, EachPathHasAPortOfItsOwnThatStays) {
    const auto port = [](std::string_view host, std::string_view map, std::string_view path) {
        IscsiOptions options;
        iscsi_port_id(options, host, map, path);
        EXPECT_LT(options.isid, 1u << 24);
        return std::pair(options.isid, options.isid_qualifier);
    };
    EXPECT_EQ(port("h", "m", "p"), port("h", "m", "p"));
    EXPECT_NE(port("h", "m", "p"), port("h", "m", "q"));
    EXPECT_NE(port("h", "m", "p"), port("g", "m", "p"));
    EXPECT_NE(port("h", "mp", "q"), port("h", "m", "pq"));
    // Written down: a new release must not take another port, which would end no old session.
    EXPECT_EQ(port("h", "m", "p"), std::pair(uint32_t{0x37018d}, uint16_t{0xad6b}));
}

}  // namespace
}  // namespace braidway::path
