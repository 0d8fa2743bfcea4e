// SPDX-License-Identifier: Apache-2.0
#include "path/chap_secret.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace braidway::path {
namespace {

using testing::HasSubstr;
using testing::Not;

class ChapSecretTest : public testing::Test {
  protected:
    Result<std::string> read(const std::string& text, mode_t mode = 0600) {
        std::ofstream(file_) << text;
        EXPECT_EQ(chmod(file_.c_str(), mode), 0);
        auto secret = read_chap_secret(file_);
        unlink(file_.c_str());
        return secret;
    }
    std::string problem(const std::string& text, mode_t mode = 0600) {
        const auto secret = read(text, mode);
        return secret ? "none" : secret.error().message;
    }

    std::string file_ = testing::TempDir() + "/chap-secret-" + std::to_string(getpid());
};

TEST_F(ChapSecretTest, IsTheOneLineOfTheFile) {
    EXPECT_EQ(read("secret1234567").value(), "secret1234567");
    EXPECT_EQ(read("a b\tc \n").value(), "a b\tc ");
    EXPECT_EQ(read("x\r\n\n").value(), "x");
    EXPECT_EQ(read(std::string(255, 's') + "\n").value().size(), 255u);
}

TEST_F(ChapSecretTest, IsRefusedWhenOthersCanReadIt) {
    EXPECT_EQ(read("secret", 0640).value(), "secret");
    EXPECT_THAT(problem("secret", 0644), HasSubstr("run: chmod o= " + file_));
    EXPECT_THAT(problem("secret", 0602), HasSubstr("run: chmod o= " + file_));
}

TEST_F(ChapSecretTest, RefusesWhatIsNoSecretAndNeverShowsIt) {
    EXPECT_THAT(problem(""), HasSubstr("is empty"));
    EXPECT_THAT(problem("\n"), HasSubstr("is empty"));
    EXPECT_THAT(problem(std::string(256, 's')), HasSubstr("at most 255 bytes"));
    EXPECT_THAT(problem("first\nsecond\n"), HasSubstr("one line"));
    EXPECT_THAT(problem(std::string("a\0b", 3)), HasSubstr("no NUL"));
    EXPECT_THAT(problem("first\nsecond\n"), Not(HasSubstr("first")));
}

TEST_F(ChapSecretTest, NamesTheFileThatIsMissing) {
    const auto secret = read_chap_secret("/nowhere/secret");
    ASSERT_FALSE(secret);
    EXPECT_EQ(secret.error().message,
              "the CHAP secret: cannot read /nowhere/secret: No such file or directory");
}

}  // namespace
}  // namespace braidway::path
