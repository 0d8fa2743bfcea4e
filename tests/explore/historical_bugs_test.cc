// SPDX-License-Identifier: Apache-2.0
// Bugs of locks in the world, made again: the explorer finds each, and nothing once it is mended.
#include <gtest/gtest.h>

#include "braidway/sync/mutex.h"
#include "explore/old_locks.h"
#include "explore/phase_lock.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

/// Every interleaving with at most so many preemptions.
Options in_bounds(unsigned preemptions) {
    return {.method = Method::bounded, .preemptions_max = preemptions};
}

/// A writer that comes again by try_lock(), beside a reader.
template <PhaseBugs bugs>
void writer_tries_again(World& world) {
    auto& lock = world.share<PhaseLock<Policy, bugs>>("lock");
    auto& data = world.share<Guarded>("data");
    world.thread("writer", [&] {
        lock.lock();
        data.write();
        lock.unlock();
        if (lock.try_lock()) {
            data.write();
            lock.unlock();
        }
    });
    world.thread("reader", [&] {
        lock.lock_shared();
        data.read();
        lock.unlock_shared();
    });
}

/// A writer leaves while one reader waits and another tries.
template <PhaseBugs bugs>
void reader_tries(World& world) {
    auto& lock = world.share<PhaseLock<Policy, bugs>>("lock");
    auto& data = world.share<Guarded>("data");
    world.thread("writer", [&] {
        lock.lock();
        data.write();
        lock.unlock();
    });
    world.thread("reader", [&] {
        lock.lock_shared();
        data.read();
        lock.unlock_shared();
    });
    world.thread("trying reader", [&] {
        if (!lock.try_lock_shared()) return;
        data.read();
        lock.unlock_shared();
    });
}

/// Two readers and a writer that goes first.
template <PhaseBugs bugs>
void writer_goes_first(World& world) {
    auto& lock = world.share<PhaseLock<Policy, bugs, true>>("lock");
    auto& data = world.share<Guarded>("data");
    for (const char* const name : {"reader 1", "reader 2"}) {
        world.thread(name, [&] {
            lock.lock_shared();
            data.read();
            lock.unlock_shared();
        });
    }
    world.thread("writer", [&] {
        lock.lock();
        data.write();
        lock.unlock();
    });
}

TEST(HistoricalBugs, FindsTheStallOfGlibcsTryWriteLock) {
    constexpr PhaseBugs bug{.try_write_forgets_sleepers = true};
    const Verdict found = told("trywrlock stall", {}, writer_tries_again<bug>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
    const Verdict mended = told("mended", {}, writer_tries_again<PhaseBugs{}>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::exhaustive);
}

TEST(HistoricalBugs, FindsTheStallOfGlibcsTryReadLock) {
    constexpr PhaseBugs bug{.try_read_forgets_sleepers = true};
    const Verdict found = told("tryrdlock stall", {}, reader_tries<bug>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
    const Verdict mended = told("mended", {}, reader_tries<PhaseBugs{}>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::exhaustive);
}

TEST(HistoricalBugs, FindsTheReaderOfGlibcThatWaitsByAStaleState) {
    constexpr PhaseBugs bug{.stale_state = true};
    const Verdict found = told("rwlock-pwn", {}, writer_goes_first<bug>);
    EXPECT_TRUE(found.finding == Finding::livelock || found.finding == Finding::deadlock)
        << found.summary();
    // Complete it has 1.8 million executions.
    const Verdict mended = told("mended", in_bounds(3), writer_goes_first<PhaseBugs{}>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_NE(mended.coverage, Coverage::sampled);
}

/// So many threads take a mutex once each.
template <typename Mutex, unsigned threads>
void each_once(World& world) {
    static constexpr const char* names[] = {"one", "two", "three", "four"};
    auto& mutex = world.share<Mutex>("mutex");
    auto& data = world.share<Guarded>("data");
    for (unsigned thread = 0; thread < threads; ++thread) {
        world.thread(names[thread], [&] {
            mutex.lock();
            data.write();
            mutex.unlock();
        });
    }
    world.finally([&] { data.expect_writes(threads); });
}

TEST(HistoricalBugs, FindsTheOverflowOfDreppersFirstMutex) {
    // Two are inside at once; in some executions that shows first as a wait without end.
    const Verdict found = told("mutex1", {}, each_once<CountingMutex<Policy>, 3>);
    EXPECT_TRUE(found.finding == Finding::failed_check || found.finding == Finding::deadlock)
        << found.summary();
    const Verdict mended = told("mutex3", {}, each_once<sync::BasicMutex<Policy>, 3>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::exhaustive);
}

TEST(HistoricalBugs, FindsTheMutexOfMuslThatForgetsWhoElseSleeps) {
    const Verdict found = told("waiters flag", {}, each_once<WaitersFlagMutex<Policy, true>, 3>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
    const Verdict mended = told("mended", {}, each_once<WaitersFlagMutex<Policy, false>, 3>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::exhaustive);
}

/// Two readers, one of them after or beside a writer.
template <RwMistakes mistakes>
void two_readers_and_a_writer(World& world) {
    auto& lock = world.share<CountedRwLock<Policy, mistakes>>("lock");
    auto& data = world.share<Guarded>("data");
    for (const char* const name : {"reader 1", "reader 2"}) {
        world.thread(name, [&] {
            lock.lock_shared();
            data.read();
            lock.unlock_shared();
        });
    }
    world.thread("writer", [&] {
        lock.lock();
        data.write();
        lock.unlock();
    });
}

TEST(HistoricalBugs, FindsTheWriterOfTinygoThatWaitsForTheReadersBehindIt) {
    constexpr RwMistakes mistake{.queued_readers_count = true};
    const Verdict found = told("readers count", {}, two_readers_and_a_writer<mistake>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
    const Verdict mended = told("mended", {}, two_readers_and_a_writer<RwMistakes{}>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::exhaustive);
}

TEST(HistoricalBugs, FindsTheReaderOfTinygoThatIsNotResumed) {
    constexpr RwMistakes mistake{.wakes_one_reader = true};
    const Verdict found = told("wakes one", {}, two_readers_and_a_writer<mistake>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
}

/// One holder, one waiter that may give up, and somebody who comes later.
template <HandoffMistakes mistakes>
void a_waiter_gives_up(World& world) {
    auto& lock = world.share<HandoffLock<Policy, mistakes>>("lock");
    auto& data = world.share<Guarded>("data");
    const auto once = [&](const sync::Deadline& deadline) {
        if (!lock.lock(deadline)) return;
        data.write();
        lock.unlock();
    };
    world.thread("holder", [=] { once(sync::Deadline::never()); });
    world.thread("waiter", [=] { once(some_time()); });
    world.thread("later", [=] { once(sync::Deadline::never()); });
}

TEST(HistoricalBugs, FindsTheHandOffToAWaiterThatGaveUp) {
    constexpr HandoffMistakes mistake{.ignores_late_grant = true};
    const Verdict found = told("late grant", in_bounds(3), a_waiter_gives_up<mistake>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
    const Verdict mended = told("mended", in_bounds(3), a_waiter_gives_up<HandoffMistakes{}>);
    EXPECT_TRUE(mended.clean()) << mended.message;
    EXPECT_EQ(mended.coverage, Coverage::bounded);
}

TEST(HistoricalBugs, FindsTheMarkThatOutlivesTheQueueOfRwsem) {
    constexpr HandoffMistakes mistake{.leaves_mark = true};
    const Verdict found = told("mark", in_bounds(3), a_waiter_gives_up<mistake>);
    EXPECT_EQ(found.finding, Finding::deadlock) << found.summary();
}

}  // namespace
}  // namespace braidway::explore
