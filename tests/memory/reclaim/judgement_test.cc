// SPDX-License-Identifier: Apache-2.0
// The classifier row by row: errno x progress x gate x duration x what is left x waits.
#include "memory/reclaim/judgement.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/limits.h"

namespace braidway::memory {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t mib = 1 << 20;
constexpr uint64_t gib = 1 << 30;

/// A node with a GiB of clean, unmapped page cache and its gate open.
NodeState rich() {
    return {.total = 16 * gib,
            .free = gib,
            .file_inactive = gib,
            .file_pages = gib,
            .anon_pages = gib,
            .anon_lru = gib};
}

/// 100 MiB were asked for; nothing came within ten milliseconds, and EAGAIN.
Evidence fruitless() {
    return {.asked = 100 * mib,
            .answer = {.error = EAGAIN},
            .length = 10ms,
            .state = rich(),
            .gate = {.unmapped_min = 160 * mib, .slab_min = 800 * mib},
            .gated = true};
}

void expect(const Evidence& evidence, Next next, Shortfall because, const char* row) {
    const Judgement judgement = judge(evidence);
    EXPECT_EQ(judgement.next, next) << row;
    EXPECT_EQ(name_of(judgement.because), name_of(because)) << row;
}

TEST(Judgement, NeedsNoReasonWhileSomethingComes) {
    for (const int error : {0, EAGAIN, EINTR}) {
        Evidence evidence = fruitless();
        evidence.answer.error = error;
        evidence.progress = 100 * mib;
        expect(evidence, Next::again, Shortfall::none, "all of it came");
        // A piece of the kernel's smallest batch is enough to go on.
        evidence.progress = 128 << 10;
        expect(evidence, Next::again, Shortfall::none, "a batch came");
        evidence.asked = 128 << 10;
        evidence.progress = 8 << 10;
        expect(evidence, Next::again, Shortfall::none, "a sixteenth of a batch came");
    }
}

TEST(Judgement, EndsAMechanismThatSaysThatItHasNoMore) {
    Evidence evidence = fruitless();
    evidence.answer = {.error = 0, .exhausted = true};
    evidence.progress = 50 * mib;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "exhausted");
}

TEST(Judgement, TellsErrnosThatAreNoShortfallApart) {
    Evidence evidence = fruitless();
    for (const int error : {EACCES, EPERM}) {
        evidence.answer.error = error;
        expect(evidence, Next::next_mechanism, Shortfall::privilege, "privilege");
    }
    for (const int error : {ENOENT, ENODEV, EOPNOTSUPP, ENOSYS}) {
        evidence.answer.error = error;
        expect(evidence, Next::next_mechanism, Shortfall::no_mechanism, "not there");
    }
    for (const int error : {EIO, EINVAL, ENOMEM, ENOSPC, 9999}) {
        evidence.answer.error = error;
        expect(evidence, Next::next_mechanism, Shortfall::failed, "something else");
    }
    evidence.answer.error = EBUSY;
    expect(evidence, Next::wait_others, Shortfall::busy, "said to be busy");
    evidence.busy_waited = 10s;
    expect(evidence, Next::next_mechanism, Shortfall::busy, "busy for too long");
}

TEST(Judgement, BelievesASuccessWithoutProgressThreeTimes) {
    Evidence evidence = fruitless();
    evidence.answer.error = 0;
    for (evidence.poor_calls = 0; evidence.poor_calls < 3; ++evidence.poor_calls)
        expect(evidence, Next::again, Shortfall::none, "may come yet");
    expect(evidence, Next::next_mechanism, Shortfall::refilled, "others take it");
}

TEST(Judgement, DoesNotTakeAnInterruptionForAShortfallButNotForEver) {
    Evidence evidence = fruitless();
    evidence.answer.error = EINTR;
    for (evidence.poor_calls = 0; evidence.poor_calls < 3; ++evidence.poor_calls)
        expect(evidence, Next::again, Shortfall::none, "a signal");
    expect(evidence, Next::wait_others, Shortfall::busy, "signals without end");
    evidence.busy_waited = 10s;
    expect(evidence, Next::next_mechanism, Shortfall::busy, "signals without end");
}

TEST(Judgement, KnowsTheClosedGate) {
    Evidence evidence = fruitless();
    evidence.state.file_inactive = evidence.state.file_pages = 160 * mib;
    for (const Duration length : {Duration(2us), Duration(10us), Duration(50ms)}) {
        evidence.length = length;
        for (const Kind kind : kinds_all) {
            evidence.kind = kind;
            expect(evidence, Next::open_gate, Shortfall::gate, "at the minimum");
        }
    }
    evidence.state.slab_reclaimable = 801 * mib;
    EXPECT_NE(judge(evidence).next, Next::open_gate) << "slab opens it, too";
    evidence.state.slab_reclaimable = 0;
    evidence.gated = false;
    EXPECT_NE(judge(evidence).next, Next::open_gate) << "the mechanism has no gate";
}

TEST(Judgement, CountsOurOwnBallastForTheGateOnly) {
    Evidence evidence = fruitless();
    evidence.spares_mapped = true;
    // 100 MiB unmapped, 500 MiB mapped and locked by the guard: off the list, still mapped.
    evidence.state.file_inactive = 100 * mib;
    evidence.state.file_pages = 600 * mib;
    evidence.state.mapped = 500 * mib;
    evidence.guarded = 500 * mib;
    expect(evidence, Next::open_gate, Shortfall::gate, "the guard closes it");
    evidence.ballast = 700 * mib;
    EXPECT_NE(judge(evidence).next, Next::open_gate) << "open";
    evidence.state.file_inactive = mib;
    evidence.state.file_pages = 501 * mib;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "ballast is not to be taken");
}

TEST(Judgement, StopsWhereNothingIsLeft) {
    Evidence evidence = fruitless();
    evidence.gate = {};
    evidence.state.file_inactive = 4 * mib;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "crumbs");
    evidence.state.file_inactive = 4 * mib + 4096;
    expect(evidence, Next::wait_statistics, Shortfall::active, "a page more");
    evidence.state.dirty = 4096;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "which is dirty");
    evidence = fruitless();
    evidence.kind = Kind::anonymous;
    evidence.state.anon_lru = 4 * mib;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "no anonymous memory");
    evidence = fruitless();
    evidence.kind = Kind::slab;
    evidence.state.slab_reclaimable = 0;
    expect(evidence, Next::next_mechanism, Shortfall::nothing_left, "no slab");
}

TEST(Judgement, WaitsForAnotherReclaimerForTenSeconds) {
    Evidence evidence = fruitless();
    evidence.length = 999us;
    expect(evidence, Next::wait_others, Shortfall::busy, "back at once");
    evidence.busy_waited = 10s - 1ns;
    expect(evidence, Next::wait_others, Shortfall::busy, "still patient");
    evidence.busy_waited = 10s;
    expect(evidence, Next::next_mechanism, Shortfall::busy, "out of patience");
    evidence.length = 1ms;
    evidence.busy_waited = {};
    expect(evidence, Next::wait_statistics, Shortfall::active, "it did scan");
}

TEST(Judgement, WaitsForStatisticsThreeTimes) {
    Evidence evidence = fruitless();
    for (evidence.stats_waits = 0; evidence.stats_waits < 3; ++evidence.stats_waits)
        expect(evidence, Next::wait_statistics, Shortfall::active, "stale");
    expect(evidence, Next::next_mechanism, Shortfall::active, "not stale: in use");
}

TEST(Judgement, TakesOnlyWhatIsCleanAndEvictable) {
    NodeState state{.file_active = 300 * mib,
                    .file_inactive = 200 * mib,
                    .file_pages = 900 * mib,
                    .mapped = 150 * mib,
                    .shmem = 100 * mib,
                    .dirty = 40 * mib,
                    .writeback = 10 * mib};
    // 300 MiB are on no list, more than are mapped: it may be those.
    EXPECT_EQ(takeable_cache(state, false, 0), 450 * mib);
    EXPECT_EQ(takeable_cache(state, true, 0), 450 * mib);
    state.file_pages = 620 * mib;
    EXPECT_EQ(takeable_cache(state, true, 0), (450 - 130) * mib);
    EXPECT_EQ(takeable_cache(state, true, 100 * mib), (450 - 50) * mib);
    EXPECT_EQ(takeable_cache(state, true, gib), 450 * mib);
    state.dirty = 10 * gib;
    EXPECT_EQ(takeable_cache(state, false, 0), 0u);
    EXPECT_EQ(takeable_cache(NodeState{}, true, 0), 0u);
}

TEST(Judgement, CallsTwoPercentOrTwoMebibytesDone) {
    EXPECT_TRUE(is_done(0, 0));
    EXPECT_TRUE(is_done(5, 0));
    EXPECT_TRUE(is_done(98 * gib, 100 * gib));
    EXPECT_FALSE(is_done(98 * gib - 1, 100 * gib));
    EXPECT_TRUE(is_done(8 * mib, 10 * mib));
    EXPECT_FALSE(is_done(8 * mib - 1, 10 * mib));
    // Of less than 4 MiB at least half.
    EXPECT_FALSE(is_done(0, 4096));
    EXPECT_FALSE(is_done(0, mib));
    EXPECT_FALSE(is_done(mib / 2 - 1, mib));
    EXPECT_TRUE(is_done(mib / 2, mib));
    EXPECT_TRUE(is_done(INT64_MAX, INT64_MAX));
    EXPECT_FALSE(is_done(0, INT64_MAX));
}

TEST(Judgement, StopsWhereGoingOnWouldMissByMore) {
    EXPECT_TRUE(close_enough(0, 100 * mib, 0));
    EXPECT_TRUE(close_enough(mib / 2, 100 * mib, 0));
    EXPECT_FALSE(close_enough(mib / 2 + 1, 100 * mib, 0));
    // Lumps of 2 MiB: with a MiB to go, one more would be as wrong as none.
    EXPECT_TRUE(close_enough(mib, 100 * mib, 2 * mib));
    EXPECT_FALSE(close_enough(mib + 1, 100 * mib, 2 * mib));
    // However large the lumps are: not done is not done.
    EXPECT_FALSE(close_enough(3 * mib, 100 * mib, 64 * mib));
    EXPECT_FALSE(close_enough(mib, mib, 4 * mib));
}

}  // namespace
}  // namespace braidway::memory
