// SPDX-License-Identifier: Apache-2.0
// The wrapped allocator, as this program itself uses it: the library under test stands in front of
// the C library.
#include "apps/lockcheck/preload/heap.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "apps/lockcheck/preload/heap_map.h"
#include "apps/lockcheck/preload/making.h"
#include "apps/lockcheck/preload/stub_runtime.h"

namespace braidway::lockcheck {
namespace {

HeapBlock block_of(const void* address) {
    HeapBlock block;
    return heap_map.find(address, block) ? block : HeapBlock{};
}

/// A lock is found at `place`, as its first use would.
void enlist(void* place, size_t bytes = 40) {
    making_of(stub_thread(), place, bytes, false);
}

/// Hides from the compiler what a pointer is, so that no call is optimised away.
template <typename T>
T* hidden(T* pointer) {
    asm volatile("" : "+r"(pointer));
    return pointer;
}

class Heap : public testing::Test {
  protected:
    ~Heap() override { stub_stop(); }
};

TEST_F(Heap, NotesTheBlocksOfEveryAllocatingFunction) {
    void* aligned = nullptr;
    ASSERT_EQ(posix_memalign(&aligned, 64, 200), 0);
    void* const blocks[] = {hidden(std::malloc(200)),
                            hidden(std::calloc(2, 100)),
                            hidden(std::realloc(nullptr, 200)),
                            hidden(reallocarray(nullptr, 10, 20)),
                            aligned,
                            hidden(std::aligned_alloc(32, 200)),
                            hidden(memalign(128, 200)),
                            hidden(valloc(200))};
    uintptr_t last_site = 0;
    for (void* const block : blocks) {
        const HeapBlock known = block_of(static_cast<char*>(block) + 150);
        EXPECT_EQ(known.begin, reinterpret_cast<uintptr_t>(block));
        EXPECT_EQ(known.bytes, 200u);
        EXPECT_NE(known.made_at, last_site) << "each call has a place of its own";
        last_site = known.made_at;
        std::free(block);
        EXPECT_EQ(block_of(block).begin, 0u) << "given back";
    }
}

TEST_F(Heap, KnowsWhoAsked) {
    std::vector<void*> blocks;
    for (int i = 0; i < 3; ++i) blocks.push_back(hidden(std::malloc(48)));
    void* const other = hidden(std::malloc(48));
    EXPECT_EQ(block_of(blocks[0]).made_at, block_of(blocks[2]).made_at);
    EXPECT_NE(block_of(blocks[0]).made_at, block_of(other).made_at);
    std::free(other);
    for (void* const block : blocks) std::free(block);
}

TEST_F(Heap, TellsOfLocksInABlockBeforeItIsGivenBack) {
    char* const block = static_cast<char*>(hidden(std::malloc(100)));
    char* const other = static_cast<char*>(hidden(std::malloc(100)));
    enlist(block + 24);
    stub_watch(block + 24, block + 64);
    std::free(other);
    EXPECT_EQ(stub_gone_count(), 0u);
    std::free(block);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(block + 24));
    EXPECT_FALSE(stub_gone(0).covers(block + 104));
    EXPECT_FALSE(stub_gone(0).quiet) << "a held lock in it is a finding";
}

TEST_F(Heap, EntersTheValidatorOnlyForBlocksWithLocks) {
    stub_watch(nullptr, nullptr);
    const size_t before = stub_entries();
    for (size_t bytes : {8, 100, 5000, 5'000'000}) std::free(hidden(std::malloc(bytes)));
    EXPECT_EQ(stub_entries(), before);
}

TEST_F(Heap, TellsOfALockInASmallBlock) {
    char* const block = static_cast<char*>(hidden(std::malloc(16)));
    enlist(block + 8, 4);
    stub_watch(block + 8, block + 12);
    std::free(block);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(block + 8));
}

TEST_F(Heap, TellsOfALockDeepInALargeBlock) {
    constexpr size_t bytes = 3 << 20;
    char* const block = static_cast<char*>(hidden(std::malloc(bytes)));
    enlist(block + bytes - 64);
    stub_watch(block + bytes - 64, block + bytes - 24);
    std::free(block);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(block + bytes - 64));
}

TEST_F(Heap, TellsLaterWhatAnUnwatchedThreadGaveBack) {
    char* const block = static_cast<char*>(hidden(std::malloc(160)));
    enlist(block);
    std::free(block);  // Nobody is watched: the lock stays known.
    stub_watch(block, block + 40);
    void* const again = hidden(std::malloc(160));
    ASSERT_EQ(again, block) << "the allocator gives the same block";
    EXPECT_EQ(stub_gone_count(), 1u);
    EXPECT_EQ(block_of(again).bytes, 160u);
    std::free(again);
}

TEST_F(Heap, KeepsLocksInABlockThatGrowsWhereItIs) {
    char* const block = static_cast<char*>(hidden(std::malloc(100)));
    enlist(block);
    stub_watch(block, block + 40);
    ASSERT_GE(malloc_usable_size(block), 104u);
    char* const grown = static_cast<char*>(hidden(std::realloc(block, 104)));
    ASSERT_EQ(grown, block);
    EXPECT_EQ(stub_gone_count(), 0u);
    std::free(grown);
    EXPECT_EQ(stub_gone_count(), 1u) << "the block still says that it has locks";
}

TEST_F(Heap, ForgetsOnlyLocksBeyondTheEndOfABlockThatShrinks) {
    char* const block = static_cast<char*>(hidden(std::malloc(1000)));
    enlist(block);
    enlist(block + 800);
    stub_watch(block, block + 840);
    char* const shrunk = static_cast<char*>(hidden(std::realloc(block, 400)));
    ASSERT_EQ(shrunk, block);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(block + 800));
    EXPECT_FALSE(stub_gone(0).covers(block + 399));
    std::free(shrunk);
    EXPECT_EQ(stub_gone_count(), 2u);
}

TEST_F(Heap, ForgetsLocksInABlockThatMovesAndKeepsItsBytes) {
    char* const block = static_cast<char*>(hidden(std::malloc(100)));
    std::memset(block, 7, 100);
    enlist(block);
    stub_watch(block, block + 40);
    char* const moved = static_cast<char*>(hidden(std::realloc(block, 100'000)));
    ASSERT_NE(moved, block);
    ASSERT_EQ(stub_gone_count(), 1u);
    EXPECT_TRUE(stub_gone(0).covers(block));
    EXPECT_EQ(moved[0], 7);
    EXPECT_EQ(moved[99], 7);
    EXPECT_EQ(block_of(moved + 500).bytes, 100'000u);
    std::free(moved);
    EXPECT_EQ(stub_gone_count(), 1u);
}

TEST_F(Heap, LeavesABlockKnownThatCouldNotGrow) {
    void* const block = hidden(std::malloc(100));
    volatile size_t too_much = PTRDIFF_MAX;
    void* const volatile same = block;
    errno = 0;
    EXPECT_EQ(hidden(std::realloc(block, too_much)), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    EXPECT_EQ(block_of(block).bytes, 104u);
    errno = 0;
    EXPECT_EQ(reallocarray(same, too_much, too_much), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    std::free(same);
}

TEST_F(Heap, KeepsErrno) {
    errno = 77;
    for (size_t bytes = 8; bytes < 100'000'000; bytes *= 3) std::free(hidden(std::malloc(bytes)));
    EXPECT_EQ(errno, 77);
}

TEST_F(Heap, ServesManyThreadsAndTheChildOfAFork) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([] {
            std::vector<void*> blocks(100);
            for (size_t i = 0; i < 100'000; ++i) {
                void*& block = blocks[i * 7919 % blocks.size()];
                std::free(block);
                block = hidden(std::malloc(16 + i * 31 % 500));
            }
            for (void* const block : blocks) std::free(block);
        });
    }
    const pid_t child = fork();
    if (child == 0) {
        void* const block = hidden(std::malloc(300));
        const bool known = block_of(block).bytes == 304;
        std::free(block);
        _exit(known ? 0 : 1);
    }
    for (std::thread& thread : threads) thread.join();
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_F(Heap, WritesNothingDownWhereTheAddressSpaceIsLimited) {
    const pid_t child = fork();
    if (child == 0) {
        const rlimit limit{.rlim_cur = size_t{4} << 30, .rlim_max = size_t{4} << 30};
        setrlimit(RLIMIT_AS, &limit);
        prepare_heap();
        const size_t before = heap_map.mapped_bytes();
        void* const block = hidden(std::malloc(size_t{1} << 30));
        _exit(block != nullptr && heap_map.mapped_bytes() == before && !heap_map.complete() ? 0
                                                                                            : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace braidway::lockcheck
