// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

constexpr size_t page = 4096;

/// Four pages, in which a lock lives at the start of the third.
class Mappings : public testing::Test {
  protected:
    Mappings() {
        pages_ = static_cast<char*>(
            mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        lock_ = pages_ + 2 * page;
        stub_watch(lock_, lock_ + 40);
    }
    ~Mappings() override { stub_stop(); }

    char* pages_ = nullptr;
    char* lock_ = nullptr;
};

TEST_F(Mappings, ForgetLocksInWhatIsUnmapped) {
    ASSERT_EQ(munmap(pages_, page), 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "the lock is not in it";
    ASSERT_EQ(munmap(pages_ + page, 2 * page), 0);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(lock_));
    EXPECT_TRUE(stub_gone(0).quiet) << "other processes may have the memory, too";
    munmap(pages_ + 3 * page, page);
}

TEST_F(Mappings, KeepLocksWhenUnmappingIsRefused) {
    EXPECT_EQ(munmap(pages_ + 1, 4 * page), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(munmap(pages_, 0), -1);
    EXPECT_EQ(stub_gone_count(), 0u);
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksUnderANewMapping) {
    void* const hint = mmap(pages_, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "an address alone is a hint";
    munmap(hint, 4 * page);
    ASSERT_EQ(mmap(pages_, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
              pages_);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(lock_));
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, KeepLocksWhenMappingOverThemFails) {
    EXPECT_EQ(mmap(pages_, 4 * page, PROT_READ, MAP_PRIVATE | MAP_FIXED, -1, 0), MAP_FAILED);
    EXPECT_EQ(errno, EBADF);
    EXPECT_EQ(stub_gone_count(), 0u);
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksInWhatIsCutOffOrMoved) {
    ASSERT_EQ(mremap(pages_, 4 * page, 3 * page, 0), pages_);
    EXPECT_EQ(stub_gone_count(), 0u);
    ASSERT_EQ(mremap(pages_, 3 * page, 2 * page, 0), pages_);
    EXPECT_EQ(stub_gone_count(), 1u);
    void* const place = mmap(nullptr, 8 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stub_watch(pages_, pages_ + 40);
    ASSERT_EQ(mremap(pages_, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(pages_));
    munmap(place, 8 * page);
}

TEST_F(Mappings, ForgetLocksOfMemoryThatWentUnseenWhenItIsMappedAgain) {
    ASSERT_EQ(syscall(SYS_munmap, pages_, 4 * page), 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "a system call cannot be wrapped";
    void* const again = mmap(pages_, 4 * page, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ASSERT_EQ(again, pages_);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(lock_));
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksOfABlockThatIsMappedWhereMemoryWentUnseen) {
    stub_stop();
    constexpr size_t large = 1 << 20;
    // Blocks of that size stay mappings of their own, also after one was given back.
    mallopt(M_MMAP_THRESHOLD, large / 2);
    void* const block = malloc(large);
    ASSERT_NE(block, nullptr);
    char* const lock = static_cast<char*>(block) + 2 * page;
    free(block);
    // As if it had been the program's own mapping, whose going nobody saw.
    stub_watch(lock, lock + 40);
    void* const again = malloc(large);
    if (again == block) {
        ASSERT_EQ(stub_gone_count(), 1u);
        EXPECT_TRUE(stub_gone(0).covers(lock));
    }
    free(again);
    EXPECT_EQ(again, block) << "not tried: the allocator chose other addresses";
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksInPagesWhoseContentsAreDropped) {
    pages_[0] = 1;
    lock_[0] = 1;
    ASSERT_EQ(madvise(pages_, 2 * page, MADV_DONTNEED), 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "the lock is not in it";
    ASSERT_EQ(madvise(pages_, 4 * page, MADV_WILLNEED), 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "that drops nothing";
    ASSERT_EQ(madvise(pages_ + page, 2 * page, MADV_DONTNEED), 0);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(lock_));
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, KeepLocksInSharedPagesWhoseContentsStay) {
    auto* const shared = static_cast<char*>(
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    shared[page] = 7;
    stub_watch(shared + page, shared + page + 40);
    ASSERT_EQ(madvise(shared, 2 * page, MADV_DONTNEED), 0);
    EXPECT_EQ(shared[page], 7);
    EXPECT_EQ(stub_gone_count(), 0u);
    ASSERT_EQ(madvise(shared, 2 * page, MADV_REMOVE), 0);
    EXPECT_EQ(shared[page], 0);
    EXPECT_EQ(stub_gone_count(), 1u);
    munmap(shared, 2 * page);
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksInSharedMemoryThatIsDetached) {
    const int segment = shmget(IPC_PRIVATE, 3 * page, IPC_CREAT | 0600);
    if (segment < 0) GTEST_SKIP() << "no System V shared memory here";
    auto* const shared = static_cast<char*>(shmat(segment, nullptr, 0));
    ASSERT_NE(shared, MAP_FAILED);
    shmctl(segment, IPC_RMID, nullptr);
    stub_watch(shared + 2 * page, shared + 2 * page + 40);
    EXPECT_EQ(shmdt(shared + page), -1) << "nothing begins there";
    EXPECT_EQ(stub_gone_count(), 0u);
    ASSERT_EQ(shmdt(shared), 0);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(shared + 2 * page));
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksBehindTheEndOfTheDataSegment) {
    auto* const more = static_cast<char*>(sbrk(2 * page));
    if (more == MAP_FAILED) GTEST_SKIP() << "the data segment cannot grow here";
    stub_watch(more + page, more + page + 40);
    ASSERT_EQ(sbrk(0), more + 2 * page);
    EXPECT_EQ(stub_gone_count(), 0u);
    ASSERT_EQ(sbrk(-static_cast<intptr_t>(page)), more + 2 * page);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(more + page));
    stub_watch(more, more + 40);
    ASSERT_EQ(brk(more), 0);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(more));
    munmap(pages_, 4 * page);
}

TEST_F(Mappings, ForgetLocksOfALibraryThatIsUnloaded) {
    void* const library = dlopen(BRAIDWAY_LIBRARY_WITH_LOCK, RTLD_NOW);
    ASSERT_NE(library, nullptr) << dlerror();
    void* const lock = dlsym(library, "lock_of_library");
    ASSERT_NE(lock, nullptr);
    const lockdep::Making making = making_of(stub_thread(), lock, 40, false);
    EXPECT_STREQ(making.name, "lock_of_library");
    stub_watch(lock, static_cast<char*>(lock) + 40);
    void* const again = dlopen(BRAIDWAY_LIBRARY_WITH_LOCK, RTLD_NOW);
    ASSERT_EQ(dlclose(again), 0);
    EXPECT_EQ(stub_gone_count(), 0u) << "it is still loaded";
    ASSERT_EQ(dlclose(library), 0);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(lock));
    EXPECT_STREQ(making.name, "lock_of_library") << "names stay, for reports";
}

}  // namespace
}  // namespace braidway::lockcheck
