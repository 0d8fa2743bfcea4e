// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/page_lock.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "memory/reclaim/scratch_files.h"

namespace braidway::memory {
namespace {

constexpr size_t page = 4096;

int open_file(const std::string& path) {
    return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

TEST(PageLock, KeepsRangesUntilItIsUnlocked) {
    const ScratchFiles scratch;
    const std::string path = scratch.make("file", 16 << 20);
    const int file = open_file(path);
    PageLock lock;
    ASSERT_EQ(lock.lock(file, {{0, 512}, {2048, 2560}}), 0);
    EXPECT_EQ(lock.bytes(), 1024 * page);
    ::close(file);
    drop(path);
    EXPECT_GE(cached_pages_of(path), 1024u);
    EXPECT_LT(cached_pages_of(path), 4096u);
    PageLock moved = std::move(lock);
    drop(path);
    EXPECT_GE(cached_pages_of(path), 1024u);
    moved.unlock_all();
    EXPECT_EQ(moved.bytes(), 0u);
    drop(path);
    EXPECT_EQ(cached_pages_of(path), 0u);
}

TEST(PageLock, DoesNotCountWhatLiesBehindTheEnd) {
    const ScratchFiles scratch;
    const int file = open_file(scratch.make("file", 1 << 20));
    PageLock lock;
    EXPECT_EQ(lock.lock(file, {{0, 256}, {300, 400}}), 0);
    EXPECT_EQ(lock.bytes(), 256 * page);
    EXPECT_EQ(lock.lock(file, {}), 0);
    ::close(file);
}

TEST(PageLock, SaysThatTheLimitOnLockedMemoryForbidsIt) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
    const ScratchFiles scratch;
    const int file = open_file(scratch.make("file", 1 << 20));
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) ::_exit(2);
        if (::setresuid(65534, 65534, 65534) != 0) ::_exit(3);
        PageLock lock;
        const int error = lock.lock(file, {{0, 256}});
        ::_exit((error == EPERM || error == ENOMEM) && lock.bytes() == 0 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ::close(file);
}

}  // namespace
}  // namespace braidway::memory
