// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace braidway::memory {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr uint64_t mib = 1 << 20;
constexpr uint64_t gib = 1 << 30;

/// 1,000 MiB of page cache: 100 dirty, 50 under writeback, 200 mapped; 300 MiB anonymous.
NodeState state() {
    return {.total = 16 * gib,
            .free = 2 * gib,
            .file_active = 600 * mib,
            .file_inactive = 400 * mib,
            .file_pages = 1070 * mib,
            .mapped = 200 * mib,
            .anon_pages = 300 * mib,
            .anon_lru = 350 * mib,
            .shmem = 70 * mib,
            .dirty = 100 * mib,
            .writeback = 50 * mib,
            .slab_reclaimable = 80 * mib};
}

SwapState much_swap() {
    return {.total = 4 * gib, .free = 4 * gib};
}

Request request(std::vector<Kind> kinds, uint64_t bytes) {
    return {.bytes = bytes, .kinds = std::move(kinds)};
}

Plan plan_of(const Request& wish, const SwapState& swap = much_swap()) {
    return make_plan(wish, state(), swap, Gate{});
}

TEST(Plan, LeavesSwapForTheMachine) {
    EXPECT_EQ(swap_margin({}), 16 * mib);
    EXPECT_EQ(swap_margin({.total = 100 * gib, .free = gib}), 5 * gib);
    EXPECT_EQ(swap_room({.total = gib, .free = 100 * mib}), 100 * mib - gib / 20);
    EXPECT_EQ(swap_room({.total = gib, .free = 10 * mib}), 0u);
    EXPECT_EQ(swap_room({}), 0u);
}

TEST(Plan, EstimatesWhatThereIsOfEachKind) {
    const Plan plan = plan_of(request({Kind::page_cache}, 10 * mib));
    EXPECT_EQ(plan.available[Kind::page_cache], 650 * mib);
    EXPECT_EQ(plan.available[Kind::mapped_page_cache], 200 * mib);
    EXPECT_EQ(plan.available[Kind::anonymous], 300 * mib);
    EXPECT_EQ(plan.available[Kind::slab], 80 * mib);
    EXPECT_EQ(plan.clean, 850 * mib);
    EXPECT_EQ(plan.dirty, 100 * mib);
    EXPECT_EQ(plan.writeback, 50 * mib);
    EXPECT_EQ(plan.mapped, 200 * mib);
    EXPECT_EQ(plan.shmem, 70 * mib);
    EXPECT_EQ(plan.swap_free, 4 * gib);
}

TEST(Plan, BoundsAnonymousMemoryByTheRoomInSwap) {
    EXPECT_EQ(plan_of(request({Kind::anonymous}, gib), {}).available[Kind::anonymous], 0u);
    const SwapState little{.total = 200 * mib, .free = 120 * mib};
    EXPECT_EQ(plan_of(request({Kind::anonymous}, gib), little).available[Kind::anonymous],
              104 * mib);
    NodeState locked = state();
    locked.anon_lru = 20 * mib;
    EXPECT_EQ(make_plan(request({Kind::anonymous}, gib), locked, much_swap(), {})
                  .available[Kind::anonymous],
              20 * mib)
        << "what is on no list cannot go";
}

TEST(Plan, SharesTheGoalOutInTheCallersOrder) {
    Plan plan = plan_of(request({Kind::slab, Kind::anonymous, Kind::page_cache}, 500 * mib));
    EXPECT_EQ(plan.share[Kind::slab], 80 * mib);
    EXPECT_EQ(plan.share[Kind::anonymous], 300 * mib);
    EXPECT_EQ(plan.share[Kind::page_cache], 120 * mib);
    EXPECT_EQ(plan.share[Kind::mapped_page_cache], 0u);
    plan = plan_of(request({Kind::page_cache, Kind::slab, Kind::anonymous}, 500 * mib));
    EXPECT_EQ(plan.share[Kind::page_cache], 500 * mib);
    EXPECT_EQ(plan.share[Kind::slab], 0u);
    EXPECT_EQ(plan.share[Kind::anonymous], 0u);
}

TEST(Plan, AsksTheFirstKindForWhatNobodySeemsToHave) {
    Plan plan = plan_of(request({Kind::anonymous, Kind::slab, Kind::page_cache}, 2 * gib));
    EXPECT_EQ(plan.share.total(), 2 * gib);
    EXPECT_EQ(plan.share[Kind::anonymous], 300 * mib) << "it is never asked for more than it has";
    EXPECT_EQ(plan.share[Kind::slab], 2 * gib - 950 * mib);
    plan = plan_of(request({Kind::anonymous}, 2 * gib));
    EXPECT_EQ(plan.share[Kind::anonymous], 2 * gib);
}

TEST(Plan, ReadsUntilFreeAsWhatIsMissing) {
    Request wish = request({Kind::page_cache}, 3 * gib);
    wish.goal = Goal::until_free;
    EXPECT_EQ(plan_of(wish).goal, gib);
    wish.bytes = 2 * gib;
    EXPECT_EQ(plan_of(wish).goal, 0u);
    EXPECT_EQ(plan_of(wish).share.total(), 0u);
    wish.bytes = 0;
    EXPECT_EQ(plan_of(wish).goal, 0u);
}

TEST(Plan, KeepsCacheThatIsToBeKept) {
    Request wish = request({Kind::page_cache}, gib);
    // 150 MiB stay anyway: they are dirty or being written.
    wish.keep_cache = 150 * mib;
    EXPECT_EQ(plan_of(wish).available[Kind::page_cache], 650 * mib);
    wish.keep_cache = 250 * mib;
    EXPECT_EQ(plan_of(wish).available[Kind::page_cache], 550 * mib);
    wish.keep_cache = UINT64_MAX;
    EXPECT_EQ(plan_of(wish).available[Kind::page_cache], 0u);
}

TEST(Plan, CountsDirtyPagesWhenTheyAreWrittenFirst) {
    Request wish = request({Kind::page_cache}, gib);
    wish.writeback = true;
    const Plan plan = plan_of(wish);
    EXPECT_EQ(plan.available[Kind::page_cache], 800 * mib);
    EXPECT_THAT(plan.blockers, Not(Contains(HasSubstr("dirty"))));
}

TEST(Plan, SaysWhatBlocks) {
    NodeState now = state();
    now.mlocked = 33 * mib;
    const Gate gate{.unmapped_min = 160 * mib};
    const auto blockers =
        make_plan(request({Kind::page_cache}, gib), now, much_swap(), gate).blockers;
    EXPECT_THAT(blockers, Contains(HasSubstr("100M dirty")));
    EXPECT_THAT(blockers, Contains(HasSubstr("50M under writeback")));
    EXPECT_THAT(blockers, Contains(HasSubstr("200M mapped")));
    EXPECT_THAT(blockers, Contains(HasSubstr("33M mlocked")));
    EXPECT_THAT(blockers, Contains(HasSubstr("70M tmpfs")));
    EXPECT_THAT(blockers, Contains(HasSubstr("160M of unmapped page cache")));
    EXPECT_THAT(blockers, SizeIs(6));
    const Request both = request({Kind::page_cache, Kind::mapped_page_cache}, gib);
    EXPECT_THAT(make_plan(both, now, much_swap(), gate).blockers,
                Not(Contains(HasSubstr("mapped by processes"))));
}

TEST(Plan, SaysWhenSwapIsTooSmallOrMissing) {
    const Request wish = request({Kind::anonymous}, gib);
    EXPECT_THAT(plan_of(wish, {}).blockers, Contains(HasSubstr("no swap")));
    EXPECT_THAT(plan_of(wish, {.total = 100 * mib, .free = 100 * mib}).blockers,
                Contains(HasSubstr("84M of swap may be used for 300M")));
    EXPECT_THAT(plan_of(wish).blockers, IsEmpty());
}

TEST(Plan, OfAnEmptyNodeIsEmpty) {
    const Plan plan = make_plan(request({Kind::slab}, 0), {}, {}, {});
    EXPECT_EQ(plan.goal, 0u);
    EXPECT_EQ(plan.available.total(), 0u);
    EXPECT_EQ(plan.share.total(), 0u);
    EXPECT_THAT(plan.blockers, IsEmpty());
}

}  // namespace
}  // namespace braidway::memory
