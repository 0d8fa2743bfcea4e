// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/run_place.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "memory/reclaim/temporary_tree.h"

namespace braidway::memory {
namespace {

using testing::HasSubstr;

class RunPlaceTest : public testing::Test {
  protected:
    TemporaryTree tree{};
    std::string path() const { return tree.root() + "/run/braidway-node-memory"; }
    void SetUp() override {
        if (geteuid() != 0) ::setenv("XDG_RUNTIME_DIR", (tree.root() + "/run").c_str(), 1);
    }
    void expect_refused() const {
        const auto place = run_place(tree.root());
        ASSERT_FALSE(place.has_value());
        EXPECT_EQ(place.error().code, EPERM);
        EXPECT_THAT(place.error().message, HasSubstr(path()));
        EXPECT_THAT(place.error().message, HasSubstr("nobody else can write"));
    }
};

TEST_F(RunPlaceTest, IsMadeOnceAndUsedAgain) {
    for (int round = 0; round < 2; ++round) {
        const auto place = run_place(tree.root());
        ASSERT_TRUE(place.has_value()) << place.error().message;
        EXPECT_EQ(*place, path());
    }
    struct stat status{};
    ASSERT_EQ(lstat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 022, 0u);
    EXPECT_EQ(status.st_uid, geteuid());
}

TEST_F(RunPlaceTest, IsNotUsedWhenOthersCanWriteIt) {
    ASSERT_EQ(mkdir(path().c_str(), 0755), 0);
    for (const mode_t mode : {0777, 0775, 0757, 01777}) {
        ASSERT_EQ(chmod(path().c_str(), mode), 0);
        expect_refused();
    }
    ASSERT_EQ(chmod(path().c_str(), 0700), 0);
    EXPECT_TRUE(run_place(tree.root()).has_value());
}

TEST_F(RunPlaceTest, IsNotUsedWhenItIsALinkOrAFile) {
    const std::string elsewhere = tree.root() + "/elsewhere";
    ASSERT_EQ(mkdir(elsewhere.c_str(), 0755), 0);
    ASSERT_EQ(symlink(elsewhere.c_str(), path().c_str()), 0);
    expect_refused();
    ASSERT_EQ(unlink(path().c_str()), 0);
    tree.put("/run/braidway-node-memory", "");
    expect_refused();
}

TEST_F(RunPlaceTest, IsNotUsedWhenItBelongsToSomebodyElse) {
    if (geteuid() != 0) GTEST_SKIP() << "giving a directory to somebody else takes root";
    ASSERT_EQ(mkdir(path().c_str(), 0755), 0);
    ASSERT_EQ(chown(path().c_str(), 65534, 65534), 0);
    expect_refused();
}

TEST_F(RunPlaceTest, SaysWhyItCannotBeMade) {
    if (geteuid() != 0) GTEST_SKIP() << "the directory of an ordinary user is not below the root";
    const auto place = run_place("/proc/no-such-root");
    ASSERT_FALSE(place.has_value());
    EXPECT_THAT(place.error().message,
                HasSubstr("cannot make /proc/no-such-root/run/braidway-node-memory"));
}

TEST_F(RunPlaceTest, ALockIsTakenOnce) {
    const std::string file = tree.root() + "/lock";
    auto first = FileLock::try_take(file);
    ASSERT_TRUE(first.has_value());
    const auto second = FileLock::try_take(file);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, EWOULDBLOCK);
    FileLock kept = std::move(*first);
    EXPECT_FALSE(FileLock::try_take(file).has_value()) << "moved is not released";
    kept = FileLock();
    EXPECT_TRUE(FileLock::try_take(file).has_value());
}

TEST_F(RunPlaceTest, AnOverwrittenLockIsReleased) {
    auto first = FileLock::try_take(tree.root() + "/one");
    auto second = FileLock::try_take(tree.root() + "/two");
    ASSERT_TRUE(first && second);
    *first = std::move(*second);
    EXPECT_FALSE(FileLock::try_take(tree.root() + "/two").has_value());
}

TEST_F(RunPlaceTest, ALockDoesNotFollowLinks) {
    tree.put("/target", "precious");
    ASSERT_EQ(symlink((tree.root() + "/target").c_str(), (tree.root() + "/lock").c_str()), 0);
    const auto lock = FileLock::try_take(tree.root() + "/lock");
    ASSERT_FALSE(lock.has_value());
    EXPECT_EQ(lock.error().code, ELOOP);
    EXPECT_THAT(lock.error().message, HasSubstr("cannot open the lock"));
}

TEST_F(RunPlaceTest, ALockIsGoneWhenItsHolderIsKilled) {
    const std::string file = tree.root() + "/lock";
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
        const auto lock = FileLock::try_take(file);
        (void)!::write(ends[1], lock ? "y" : "n", 1);
        while (true) pause();
    }
    char answer = 0;
    ASSERT_EQ(::read(ends[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    EXPECT_FALSE(FileLock::try_take(file).has_value());
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(FileLock::try_take(file).has_value());
    ::close(ends[0]);
    ::close(ends[1]);
}

}  // namespace
}  // namespace braidway::memory
