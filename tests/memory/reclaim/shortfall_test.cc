// SPDX-License-Identifier: Apache-2.0
// Why less was freed than was asked for: each reason, and which is the main one of several.
#include "memory/reclaim/shortfall.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace braidway::memory {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t mib = 1 << 20;
constexpr uint64_t gib = 1 << 30;

/// A GiB was asked for and 100 MiB came; what is left on the node is set by each test.
struct ShortfallTest : testing::Test {
    Request request{.bytes = gib, .kinds = {Kind::page_cache}};
    NodeReport report{};
    Gate gate{.unmapped_min = 160 * mib};
    std::vector<Ending> endings{{Kind::page_cache, "node-reclaim", Shortfall::nothing_left, ""}};

    ShortfallTest() {
        report.node = 3;
        report.asked = report.goal = gib;
        report.freed[Kind::page_cache] = 100 * mib;
        report.after.total = 16 * gib;
    }
    void cache(uint64_t bytes) { report.after.file_inactive = report.after.file_pages = bytes; }
    Explanation explained() const { return explain(request, report, gate, endings); }
    void expect(Shortfall because, const char* text) const {
        const Explanation explanation = explained();
        EXPECT_EQ(name_of(explanation.shortfall), name_of(because));
        EXPECT_THAT(explanation.text, HasSubstr(text));
    }
};

TEST_F(ShortfallTest, IsNoneWhenTheGoalIsReached) {
    report.freed[Kind::page_cache] = gib - gib / 50;
    endings.push_back({Kind::page_cache, "", Shortfall::cancelled, "cancelled"});
    EXPECT_EQ(explained().shortfall, Shortfall::none);
    EXPECT_EQ(explained().text, "");
}

TEST_F(ShortfallTest, NamesDirtyPages) {
    cache(300 * mib);
    report.after.dirty = 200 * mib;
    report.after.writeback = 100 * mib;
    expect(Shortfall::dirty, "300M is dirty (--writeback writes it back first)");
    request.writeback = true;
    EXPECT_THAT(explained().text, Not(HasSubstr("--writeback")));
}

TEST_F(ShortfallTest, NamesMlockedPages) {
    report.after.file_pages = 300 * mib;
    report.after.mlocked = report.after.unevictable = 300 * mib;
    expect(Shortfall::mlocked, "300M is mlocked by processes");
    report.after.file_pages = 0;
    EXPECT_EQ(explained().shortfall, Shortfall::nothing_left)
        << "what is mlocked is anonymous memory";
}

TEST_F(ShortfallTest, NamesMappedPagesOnlyWhenTheyWereNotAskedFor) {
    cache(300 * mib);
    report.after.mapped = 300 * mib;
    expect(Shortfall::mapped, "300M is mapped by processes and was not asked for");
    request.kinds = {Kind::page_cache, Kind::mapped_page_cache};
    EXPECT_EQ(explained().shortfall, Shortfall::nothing_left);
}

TEST_F(ShortfallTest, NamesTmpfsButNeverBeforeWhatIsPageCache) {
    report.after.shmem = report.after.file_pages = 500 * mib;
    expect(Shortfall::shmem, "500M is tmpfs or shared memory, which is not page cache");
    report.after.file_pages += 30 * mib;
    report.after.file_inactive = report.after.dirty = 30 * mib;
    expect(Shortfall::dirty, "30M is dirty");
    expect(Shortfall::dirty, "500M is tmpfs");
}

TEST_F(ShortfallTest, NamesSwap) {
    request.kinds = {Kind::anonymous};
    report.after.anon_pages = 300 * mib;
    endings = {{Kind::anonymous, "node-reclaim", Shortfall::no_swap, "there is no swap: ..."}};
    expect(Shortfall::no_swap, "there is no swap");
}

TEST_F(ShortfallTest, NamesTheGateAndHowItIsOpened) {
    cache(150 * mib);
    endings = {{Kind::page_cache, "node-reclaim", Shortfall::gate, ""}};
    expect(Shortfall::gate, "150M is left to the kernel's minimum of unmapped page cache, 160M");
    expect(Shortfall::gate, "--allow-sysctl");
    request.allow_sysctl = true;
    EXPECT_THAT(explained().text, Not(HasSubstr("--allow-sysctl")));
}

TEST_F(ShortfallTest, NamesBusyActiveAndRefilledNodes) {
    cache(500 * mib);
    endings[0].because = Shortfall::busy;
    expect(Shortfall::busy, "500M could not be asked for: another reclaimer held the node");
    endings[0].because = Shortfall::active;
    expect(Shortfall::active, "500M is in use or protected (memory.min, memory.low)");
    endings[0].because = Shortfall::refilled;
    expect(Shortfall::refilled, "filled again meanwhile; 500M is there");
}

TEST_F(ShortfallTest, NamesTheSameForAnonymousMemory) {
    request.kinds = {Kind::anonymous};
    report.after.anon_pages = report.after.anon_lru = 500 * mib;
    for (const Shortfall because : {Shortfall::busy, Shortfall::active, Shortfall::refilled}) {
        endings = {{Kind::anonymous, "node-reclaim", because, ""}};
        expect(because, "500M");
    }
    endings = {{Kind::anonymous, "node-reclaim", Shortfall::gate, ""}};
    expect(Shortfall::gate, "min_unmapped_ratio");
}

TEST_F(ShortfallTest, NamesWhatWentToASlowerTier) {
    report.demoted = 300 * mib;
    endings[0].because = Shortfall::demoted;
    expect(Shortfall::demoted, "300M was moved to a slower tier of memory");
}

TEST_F(ShortfallTest, SaysThatNothingIsLeft) {
    expect(Shortfall::nothing_left, "nothing more of page-cache is left on node 3");
    request.kinds = {Kind::slab};
    expect(Shortfall::nothing_left, "nothing more of slab is left on node 3");
}

TEST_F(ShortfallTest, TakesCrumbsForNoReason) {
    cache(mib / 2);
    report.after.dirty = mib / 2;
    report.after.shmem = mib / 2;
    expect(Shortfall::nothing_left, "nothing more");
}

TEST_F(ShortfallTest, NamesThePrivilegeBeforeWhatIsNotBuilt) {
    cache(500 * mib);
    endings = {{Kind::page_cache, "lru-gen", Shortfall::no_mechanism, "lru-gen: not there"},
               {Kind::page_cache, "node-reclaim", Shortfall::privilege, "node-reclaim: root"},
               {Kind::page_cache, "drop-caches", Shortfall::consent, "drop-caches: consent"}};
    expect(Shortfall::privilege, "node-reclaim: root");
    EXPECT_THAT(explained().text, AllOf(HasSubstr("lru-gen: not there"), HasSubstr("consent")));
    endings.erase(endings.begin() + 1);
    expect(Shortfall::consent, "lru-gen: not there");
}

TEST_F(ShortfallTest, AddsTheConsentThatWouldHelpToWhatIsLeft) {
    cache(500 * mib);
    report.after.dirty = 500 * mib;
    endings.push_back({Kind::slab, "drop-caches", Shortfall::consent, "drop-caches: consent"});
    expect(Shortfall::dirty, "drop-caches: consent");
}

TEST_F(ShortfallTest, NamesTheFloor) {
    cache(500 * mib);
    endings = {{Kind::page_cache, "node-reclaim", Shortfall::floor, "keep-cache: 500M stays"}};
    expect(Shortfall::floor, "keep-cache: 500M stays");
}

TEST_F(ShortfallTest, PutsWhatEndedTheWholeRunFirst) {
    cache(500 * mib);
    report.after.dirty = 400 * mib;
    for (const Shortfall because : {Shortfall::budget, Shortfall::cancelled, Shortfall::pressure}) {
        endings = {{Kind::page_cache, "node-reclaim", Shortfall::busy, ""},
                   {Kind::anonymous, "", because, "it was ended"}};
        EXPECT_EQ(explained().shortfall, because);
        EXPECT_THAT(explained().text, testing::StartsWith("it was ended"));
    }
}

TEST_F(ShortfallTest, NamesTheLargestPartOfSeveral) {
    report.after.file_inactive = 600 * mib;
    report.after.file_pages = 650 * mib;
    report.after.mlocked = report.after.unevictable = 50 * mib;
    report.after.dirty = 200 * mib;
    report.after.mapped = 350 * mib;
    expect(Shortfall::mapped, "300M is mapped");
    expect(Shortfall::mapped, "200M is dirty");
    expect(Shortfall::mapped, "50M is mlocked");
    report.after.dirty = 400 * mib;
    expect(Shortfall::dirty, "400M is dirty");
}

TEST_F(ShortfallTest, SaysThatWritingBackFailed) {
    cache(500 * mib);
    report.after.dirty = 500 * mib;
    endings.push_back({Kind::page_cache, "writeback", Shortfall::failed, "writing back /x: no"});
    expect(Shortfall::dirty, "writing back /x: no");
}

TEST_F(ShortfallTest, CountsFreeMemoryWhereThatWasTheGoal) {
    request.goal = Goal::until_free;
    report.before.free = gib;
    report.after.free = gib + 300 * mib;
    EXPECT_EQ(reached(request, report), 300 * mib);
    report.after.free = gib / 2;
    EXPECT_EQ(reached(request, report), 0u) << "it shrank";
    request.goal = Goal::free_more;
    EXPECT_EQ(reached(request, report), 100 * mib);
}

TEST_F(ShortfallTest, SaysWhereTheFreedMemoryWentWhenItIsNotFree) {
    request.goal = Goal::until_free;
    report.freed[Kind::page_cache] = gib;
    report.before.free = gib;
    report.after.free = gib + 100 * mib;
    cache(5 * gib);
    endings.clear();
    expect(Shortfall::refilled, "1.0G was freed, but free memory grew by only 100M");
}

}  // namespace
}  // namespace braidway::memory
