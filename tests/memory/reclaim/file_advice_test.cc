// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/file_advice.h"

#include <gtest/gtest.h>

#include "memory/reclaim/scratch_files.h"
#include "memory/reclaim/tree_machine.h"

namespace braidway::memory {
namespace {

constexpr size_t mib = 1 << 20;

uint64_t cached_mib(const std::string& path) {
    return cached_pages_of(path) * 4096 / mib;
}

struct World {
    explicit World(const std::string& nodes) { machine.set_nodes(nodes); }
    TreeMachine machine;
    ScratchFiles scratch;
};

TEST(FileAdvice, TakesFromTheFrontOfARange) {
    PageRange range{10, 20};
    EXPECT_EQ(take_front(range, 4), (PageRange{10, 14}));
    EXPECT_EQ(range, (PageRange{14, 20}));
    EXPECT_EQ(take_front(range, 100), (PageRange{14, 20}));
    EXPECT_EQ(range.pages(), 0u);
}

TEST(FileAdvice, DropsAboutWhatIsAskedAndGoesOnInTheNextCall) {
    World world("0");
    const std::string path = world.scratch.make("a", 64 * mib);
    FileAdvice advice(world.machine, {world.scratch.path()});
    ASSERT_TRUE(advice.probe().has_value());
    const Answer first = advice.reclaim({0, Kind::page_cache, 16 * mib});
    EXPECT_EQ(first.error, 0);
    EXPECT_FALSE(first.exhausted);
    // The kernel drops whole folios.
    EXPECT_LE(cached_mib(path), 48u);
    EXPECT_GE(cached_mib(path), 44u);
    EXPECT_EQ(advice.reclaim({0, Kind::page_cache, 16 * mib}).error, 0);
    EXPECT_LE(cached_mib(path), 32u);
    const Answer rest = advice.reclaim({0, Kind::page_cache, 512 * mib});
    EXPECT_EQ(rest.error, EAGAIN);
    EXPECT_TRUE(rest.exhausted);
    EXPECT_EQ(cached_mib(path), 0u);
}

TEST(FileAdvice, LeavesOtherFilesAndMappedPagesAlone) {
    World world("0");
    const std::string mapped = world.scratch.make("tree/mapped", 8 * mib);
    const std::string other = world.scratch.make("other", 8 * mib);
    const MappingChild child(mapped, 0, 8 * mib);
    FileAdvice advice(world.machine, {world.scratch.path("tree")});
    EXPECT_FALSE(advice.takes_mapped());
    EXPECT_TRUE(advice.reclaim({0, Kind::page_cache, 64 * mib}).exhausted);
    EXPECT_EQ(cached_mib(mapped), 8u);
    EXPECT_EQ(cached_mib(other), 8u);
}

TEST(FileAdvice, StartsNoWriteback) {
    World world("0");
    const std::string path = world.scratch.make("dirty", 8 * mib);
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(::pwrite(file, "dirty", 5, 0), 5);
    const CachedPages cached;
    CacheCounts counts;
    if (cached.count(file, {0, 1}, counts) == ENOSYS) GTEST_SKIP() << "needs cachestat (6.5)";
    FileAdvice advice(world.machine, {path});
    EXPECT_TRUE(advice.reclaim({0, Kind::page_cache, 64 * mib}).exhausted);
    ASSERT_EQ(cached.count(file, {0, 2048}, counts), 0);
    EXPECT_GE(counts.dirty, 1u);
    EXPECT_EQ(counts.writeback, 0u);
    EXPECT_LE(counts.cached, 1024u) << "the clean part was to go";
    ::close(file);
}

TEST(FileAdvice, OnSeveralNodesDropsOnlyWhatLiesOnTheAskedOne) {
    // This machine's pages lie on node 0 or 1, never on 9.
    World world("0-1,9");
    const std::string path = world.scratch.make("file", 8 * mib);
    FileAdvice other(world.machine, {path});
    EXPECT_TRUE(other.reclaim({9, Kind::page_cache, 64 * mib}).exhausted);
    EXPECT_EQ(cached_mib(path), 8u);
    for (uint32_t node = 0; node < 2; ++node) {
        FileAdvice right(world.machine, {path});
        right.reclaim({node, Kind::page_cache, 64 * mib});
    }
    EXPECT_EQ(cached_mib(path), 0u);
}

TEST(FileAdvice, StopsWhenCancelled) {
    World world("0");
    const std::string path = world.scratch.make("file", 1 * mib);
    FileAdvice advice(world.machine, {path});
    world.machine.stop = true;
    EXPECT_EQ(advice.reclaim({0, Kind::page_cache, mib}).error, EINTR);
    EXPECT_EQ(cached_mib(path), 1u);
}

TEST(FileAdvice, SaysWhatIsMissing) {
    const TreeMachine machine;
    EXPECT_FALSE(FileAdvice(machine, {}).probe().has_value());
    FileAdvice advice(machine, {"/nowhere/at-all"});
    const Answer answer = advice.reclaim({0, Kind::page_cache, mib});
    EXPECT_TRUE(answer.exhausted);
    EXPECT_NE(answer.note.find("could not be opened: 1 (No such file"), std::string::npos)
        << answer.note;
}

}  // namespace
}  // namespace braidway::memory
