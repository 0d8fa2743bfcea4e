// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <sys/wait.h>

#include "path/file.h"
#include "path/temporary_file.h"
#include "support/devices.h"

namespace braidway::path {
namespace {

std::string refusal(const std::string& name, bool read_only = false) {
    FileStores stores;
    const auto opened = open_file(name, read_only, stores);
    EXPECT_FALSE(opened.has_value());
    return opened ? std::string() : opened.error().message;
}

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

TEST(OpenFile, SaysWhatIsWrongWithTheFile) {
    EXPECT_TRUE(says(refusal("/no/such/file"), "/no/such/file: No such file"));
    EXPECT_TRUE(says(refusal("/tmp"), "/tmp: "));
    EXPECT_TRUE(says(refusal("/tmp", true), "expected a regular file or a block device"));
    EXPECT_TRUE(says(refusal("/dev/null"), "expected a regular file or a block device"));
    const TemporaryFile empty(0);
    EXPECT_TRUE(says(refusal(empty.name()), "holds no whole block"));
    const TemporaryFile tiny(100);
    EXPECT_TRUE(says(refusal(tiny.name()), "holds no whole block"));
}

TEST(OpenFile, AFifoIsRefusedWithoutWaiting) {
    const std::string name = testing::TempDir() + "/braidway_fifo_" + std::to_string(getpid());
    ASSERT_EQ(mkfifo(name.c_str(), 0600), 0);
    EXPECT_TRUE(says(refusal(name), "expected a regular file"));
    EXPECT_TRUE(says(refusal(name, true), "expected a regular file"));
    unlink(name.c_str());
}

TEST(OpenFile, KnowsSizeAndIdentityAndLearnsHoles) {
    TemporaryFile file(1u << 20);
    file.fill(65536, 65536, 'x');
    FileStores stores;
    auto opened = open_file(file.name(), false, stores);
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    EXPECT_EQ(opened->geometry.size_bytes, 1u << 20);
    EXPECT_FALSE(opened->geometry.read_only);
    struct stat info{};
    ASSERT_EQ(stat(file.name().c_str(), &info), 0);
    EXPECT_EQ(opened->identity, (StoreIdentity{info.st_dev, info.st_ino}));
    EXPECT_TRUE(opened->store->holes.covers(0, 65536));
    EXPECT_FALSE(opened->store->holes.covers(65536, 1));
    EXPECT_FALSE(opened->store->holes.covers(131071, 1));
    EXPECT_TRUE(opened->store->holes.covers(131072, (1u << 20) - 131072));
}

TEST(OpenFile, RoundsAnOddSizeDownAndRemarksIt) {
    const TemporaryFile file((1u << 20) + 100);
    FileStores stores;
    auto opened = open_file(file.name(), false, stores);
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(opened->geometry.size_bytes, 1u << 20);
    EXPECT_TRUE(says(opened->remark, "its last 100 bytes are not used")) << opened->remark;
}

TEST(OpenFile, ARemarkSaysWhyAFileIsBuffered) {
    const TemporaryFile file(2000);
    FileStores stores;
    auto opened = open_file(file.name(), false, stores);
    ASSERT_TRUE(opened.has_value());
    if (opened->mode == FileMode::buffered) {
        EXPECT_TRUE(says(opened->remark, "buffered, because direct I/O")) << opened->remark;
        EXPECT_FALSE(says(opened->remark, "blocks of 0 bytes")) << opened->remark;
    }
    EXPECT_EQ(fcntl(opened->fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ((fcntl(opened->fd, F_GETFL) & O_DIRECT) != 0, opened->mode == FileMode::direct);
}

TEST(OpenFile, PathsOfOneProcessShareTheStore) {
    const TemporaryFile file(1u << 20);
    FileStores stores;
    auto first = open_file(file.name(), false, stores);
    auto second = open_file(file.name(), false, stores);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->store, second->store);
    const TemporaryFile other(1u << 20);
    auto third = open_file(other.name(), false, stores);
    ASSERT_TRUE(third.has_value());
    EXPECT_NE(first->store, third->store);
}

/// What a process of its own gets when it opens `name`: 0 = opened, 1 = locked, 2 = else.
int other_process_opens(const std::string& name, bool read_only) {
    const pid_t child = fork();
    if (child == 0) {
        FileStores stores;
        const auto opened = open_file(name, read_only, stores);
        _exit(opened ? 0 : says(opened.error().message, "its lock") ? 1 : 2);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(OpenFile, ASecondProcessIsKeptOutUntilTheLastPathIsClosed) {
    const TemporaryFile file(1u << 20);
    FileStores stores;
    {
        auto first = open_file(file.name(), false, stores);
        {
            auto second = open_file(file.name(), false, stores);
            ASSERT_TRUE(first && second);
        }
        EXPECT_EQ(other_process_opens(file.name(), false), 1);
        EXPECT_EQ(other_process_opens(file.name(), true), 1);
    }
    EXPECT_EQ(other_process_opens(file.name(), false), 0);
}

TEST(OpenFile, ReadersOfSeveralProcessesGetAlong) {
    const TemporaryFile file(1u << 20);
    FileStores stores;
    auto reader = open_file(file.name(), true, stores);
    ASSERT_TRUE(reader.has_value());
    EXPECT_TRUE(reader->geometry.read_only);
    EXPECT_EQ(other_process_opens(file.name(), true), 0);
    EXPECT_EQ(other_process_opens(file.name(), false), 1);
}

TEST(OpenFile, AWriterAfterAReaderLocksForItselfAlone) {
    const TemporaryFile file(1u << 20);
    FileStores stores;
    auto reader = open_file(file.name(), true, stores);
    auto writer = open_file(file.name(), false, stores);
    ASSERT_TRUE(reader && writer);
    EXPECT_EQ(other_process_opens(file.name(), true), 1);
}

}  // namespace
}  // namespace braidway::path
