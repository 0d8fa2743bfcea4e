// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/state_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstring>

#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"

namespace braidway::lockcheck {
namespace {

using namespace std::chrono_literals;

/// A pid that nobody has any more.
pid_t gone() {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
    return child;
}

TEST(StateFile, IsEmptyPrivateAndNew) {
    const Folder folder;
    const auto path = make_state_file(folder.path(""), getpid(), Instant{7});
    ASSERT_TRUE(path) << path.error().message;
    struct stat status{};
    ASSERT_EQ(stat(path->c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    const std::string bytes = *read_file(*path, 100);
    ASSERT_EQ(bytes.size(), 64u);
    EXPECT_EQ(bytes.substr(0, 4), "LKCK");
    StateLayout layout;
    std::memcpy(&layout, bytes.data(), sizeof layout);
    EXPECT_EQ(layout.version, 1u);
    EXPECT_EQ(layout.findings, 0u);
    EXPECT_FALSE(make_state_file(folder.path(""), getpid(), Instant{7})) << "never one of another";
    EXPECT_TRUE(make_state_file(folder.path(""), getpid(), Instant{8}));
}

TEST(StateFile, OldOnesOfDeadProcessesAreRemoved) {
    const Folder folder;
    const Duration now(std::chrono::seconds(time_t{2'000'000'000}));
    const pid_t dead = gone();
    const auto old_dead = make_state_file(folder.path(""), dead, Instant{1});
    const auto old_living = make_state_file(folder.path(""), getpid(), Instant{1});
    const std::string other = folder.file("another-file", "x");
    const std::string odd = folder.file("lockcheck-state-12x-1", "x");
    struct stat status{};
    ASSERT_EQ(stat(old_dead->c_str(), &status), 0);
    remove_stale_state_files(folder.path(""), std::chrono::seconds(status.st_mtime) + 59min);
    EXPECT_EQ(access(old_dead->c_str(), F_OK), 0) << "its children may still start programs";
    remove_stale_state_files(folder.path(""), now);
    EXPECT_NE(access(old_dead->c_str(), F_OK), 0);
    EXPECT_EQ(access(old_living->c_str(), F_OK), 0);
    EXPECT_EQ(access(other.c_str(), F_OK), 0);
    EXPECT_EQ(access(odd.c_str(), F_OK), 0);
    remove_stale_state_files(folder.path("none"), now);
}

}  // namespace
}  // namespace braidway::lockcheck
