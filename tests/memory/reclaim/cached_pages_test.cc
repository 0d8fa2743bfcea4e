// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cached_pages.h"

#include <gtest/gtest.h>

#include "memory/reclaim/scratch_files.h"

namespace braidway::memory {
namespace {

using Ranges = std::vector<PageRange>;

TEST(CachedPages, TakesRunsOfResidentPages) {
    Ranges ranges{{5, 10}};
    take_residency({1, 1, 0, 0, 3, 1}, 6, 10, ranges);
    EXPECT_EQ(ranges, (Ranges{{5, 12}, {14, 16}}));
    take_residency({1, 1}, 1, 20, ranges);
    EXPECT_EQ(ranges.back(), (PageRange{20, 21}));
}

TEST(CachedPages, SpreadsSamplesOverAllRanges) {
    EXPECT_EQ(sample_pages({{0, 4}, {10, 14}}, 4), (std::vector<uint64_t>{0, 2, 10, 12}));
    EXPECT_EQ(sample_pages({{3, 5}, {9, 10}}, 100), (std::vector<uint64_t>{3, 4, 9}));
    EXPECT_TRUE(sample_pages({}, 4).empty());
    const uint64_t large = uint64_t{1} << 40;
    EXPECT_EQ(sample_pages({{0, large}}, 2), (std::vector<uint64_t>{0, large / 2}));
}

TEST(CachedPages, FindsWhatIsCachedAndWhereItLies) {
    const ScratchFiles scratch;
    const std::string path = scratch.make("file", 8 << 20);
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    CachedPages cached;
    Ranges ranges;
    ASSERT_EQ(cached.find(file, ranges), 0);
    ASSERT_EQ(ranges, (Ranges{{0, 2048}}));
    // Whole folios only: half a mebibyte at the start of the second half.
    ASSERT_EQ(::posix_fadvise(file, 4 << 20, 2 << 20, POSIX_FADV_DONTNEED), 0);
    ASSERT_EQ(cached.find(file, ranges), 0);
    uint64_t pages = 0;
    for (const PageRange& range : ranges) pages += range.pages();
    EXPECT_LT(pages, 2048u);

    std::vector<NodeRange> located;
    if (const int error = cached.locate(file, ranges, located); error == EPERM || error == ENOSYS)
        GTEST_SKIP() << "move_pages may not be used here";
    uint64_t on_nodes = 0;
    for (const NodeRange& range : located) on_nodes += range.pages.pages();
    EXPECT_EQ(on_nodes, pages);
    NodeShares shares;
    ASSERT_EQ(cached.sample(file, ranges, 16, shares), 0);
    uint64_t shared = 0;
    for (const auto& [node, share] : shares) shared += share;
    EXPECT_LE(shared, pages);
    EXPECT_GE(shared + 16, pages);
    // Looking changed nothing: the same is cached, and nothing keeps it.
    Ranges again;
    ASSERT_EQ(cached.find(file, again), 0);
    EXPECT_EQ(again, ranges);
    drop(path);
    EXPECT_EQ(cached_pages_of(path), 0u);
    ::close(file);
}

TEST(CachedPages, CountsDirtyPages) {
    const ScratchFiles scratch;
    const std::string path = scratch.make("file", 1 << 20);
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(::pwrite(file, "dirty", 5, 0), 5);
    CacheCounts counts;
    const int error = CachedPages().count(file, {0, 256}, counts);
    if (error == ENOSYS) GTEST_SKIP() << "needs cachestat (kernel 6.5)";
    ASSERT_EQ(error, 0);
    EXPECT_EQ(counts.cached, 256u);
    EXPECT_GE(counts.dirty + counts.writeback, 1u);
    ::close(file);
}

TEST(CachedPages, AnEmptyFileHasNone) {
    const ScratchFiles scratch;
    const int file = ::open(scratch.make("empty", 0).c_str(), O_RDONLY | O_CLOEXEC);
    Ranges ranges{{1, 2}};
    EXPECT_EQ(CachedPages().find(file, ranges), 0);
    EXPECT_TRUE(ranges.empty());
    ::close(file);
}

}  // namespace
}  // namespace braidway::memory
