// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_walk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "memory/reclaim/scratch_files.h"

namespace braidway::memory {
namespace {

std::vector<std::string> walk(std::vector<std::string> paths) {
    FileWalk walk(std::move(paths));
    std::vector<std::string> found;
    while (const auto entry = walk.next()) found.push_back(entry->path);
    std::ranges::sort(found);
    EXPECT_EQ(walk.files(), found.size());
    return found;
}

TEST(FileWalk, GivesEachFileOfATreeOnce) {
    const ScratchFiles scratch;
    const std::string one = scratch.make("one", 5);
    const std::string two = scratch.make("a/b/two", 5);
    std::filesystem::create_hard_link(one, scratch.path("a/one-again"));
    std::filesystem::create_directory_symlink(scratch.path("a"), scratch.path("link"));
    std::filesystem::create_symlink(two, scratch.path("two-link"));
    ASSERT_EQ(::mkfifo(scratch.path("fifo").c_str(), 0600), 0);
    const auto found = walk({scratch.path(), scratch.path("a"), scratch.path() + "/"});
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(std::ranges::count(found, two), 1);
    EXPECT_EQ(walk({scratch.path(), two}).size(), 2u);
    EXPECT_EQ(walk({two}), std::vector<std::string>{two});
}

TEST(FileWalk, LeavesOutFilesystemsInMemory) {
    std::string name = "/dev/shm/braidway-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) GTEST_SKIP() << "no /dev/shm";
    {
        const int file = ::open((name + "/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        ::close(file);
    }
    FileWalk walk({name, name + "/file"});
    EXPECT_FALSE(walk.next().has_value());
    EXPECT_EQ(walk.in_memory(), 2u);
    std::filesystem::remove_all(name);
}

TEST(FileWalk, CountsWhatCannotBeOpened) {
    const ScratchFiles scratch;
    const std::string one = scratch.make("one", 5);
    FileWalk walk({scratch.path("none"), one});
    const auto entry = walk.next();
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->bytes, 5u);
    EXPECT_FALSE(walk.next().has_value());
    EXPECT_FALSE(walk.next().has_value());
    EXPECT_EQ(walk.missed(), 1u);
    EXPECT_EQ(walk.missed_error(), ENOENT);
}

}  // namespace
}  // namespace braidway::memory
