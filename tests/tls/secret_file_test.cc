// SPDX-License-Identifier: Apache-2.0
#include "tls/secret_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/limits.h"
#include "support/certificates.h"

namespace braidway::tls {
namespace {

std::string message_of(const Result<SecretText>& read) {
    return read ? "it was read" : read.error().message;
}

TEST(SecretFile, ReadsWhatOwnerAndGroupMayRead) {
    const TemporaryFolder folder;
    for (const unsigned mode : {0400u, 0600u, 0640u, 0660u}) {
        const auto read =
            read_secret_file(folder.write("key", "secret", mode), FileSecrecy::secret);
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(read->text(), "secret");
    }
}

TEST(SecretFile, RefusesAKeyThatEveryUserMayReadOrChange) {
    const TemporaryFolder folder;
    for (const unsigned mode : {0644u, 0602u, 0601u}) {
        const std::string file = folder.write("key", "secret", mode);
        const auto read = read_secret_file(file, FileSecrecy::secret);
        ASSERT_FALSE(read.has_value()) << mode;
        EXPECT_EQ(read.error().code, EACCES);
        EXPECT_NE(read.error().message.find("run: chmod o= " + file), std::string::npos)
            << read.error().message;
        EXPECT_TRUE(read_secret_file(file, FileSecrecy::open).has_value()) << "not a key";
    }
}

TEST(SecretFile, SaysWhichFileIsMissing) {
    const TemporaryFolder folder;
    const auto read = read_secret_file(folder.file("none"), FileSecrecy::open);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, ENOENT);
    EXPECT_EQ(read.error().message,
              "cannot read " + folder.file("none") + ": " + errno_text(ENOENT));
}

TEST(SecretFile, RefusesWhatIsNoFileAndDoesNotWaitForIt) {
    const TemporaryFolder folder;
    EXPECT_EQ(message_of(read_secret_file(folder.path(), FileSecrecy::open)),
              folder.path() + " is no file");
    const std::string pipe = folder.file("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_EQ(message_of(read_secret_file(pipe, FileSecrecy::secret)), pipe + " is no file");
}

TEST(SecretFile, RefusesAFileThatIsFarTooLarge) {
    const TemporaryFolder folder;
    const auto read = read_secret_file(
        folder.write("key", std::string(limits::tls_file_bytes_max + 1, 'x'), 0600),
        FileSecrecy::secret);
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, EFBIG);
}

TEST(SecretFile, MovesTakeTheTextAway) {
    SecretText from("short");
    SecretText to(std::move(from));
    EXPECT_EQ(to.text(), "short");
    EXPECT_EQ(from.text(), "");  // NOLINT(bugprone-use-after-move): that is the promise
    SecretText third;
    third = std::move(to);
    EXPECT_EQ(third.text(), "short");
}

}  // namespace
}  // namespace braidway::tls
