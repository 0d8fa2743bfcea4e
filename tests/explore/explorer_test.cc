// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/explorer.h"

#include <gtest/gtest.h>

#include <set>

#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {
namespace {

using Mutex = sync::BasicMutex<Policy>;

/// Lets everybody in.
struct NoMutex {
    void lock() {}
    void unlock() {}
};

template <typename Lock>
void two_threads_with_a_mutex(World& world) {
    Lock& mutex = world.share<Lock>("mutex");
    auto& value = world.share<Atomic<int>>("value", 0);
    for (const char* name : {"a", "b"}) {
        world.thread(name, [&mutex, &value] {
            mutex.lock();
            // Two steps: with a lock that lets both in, a count is lost.
            value.store(value.load() + 1);
            mutex.unlock();
        });
    }
    world.finally([&value] { check(value.load() == 2, "both have counted"); });
}

TEST(Explorer, ProvesAMutexOfTwoThreads) {
    const Verdict verdict = explore({}, two_threads_with_a_mutex<Mutex>);
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    EXPECT_EQ(verdict.executions, 14u);
    EXPECT_EQ(verdict.blocked, 0u);
}

TEST(Explorer, FindsTheCountThatALockOfNothingLoses) {
    const Verdict verdict = explore({}, two_threads_with_a_mutex<NoMutex>);
    EXPECT_EQ(verdict.finding, Finding::failed_check);
    EXPECT_EQ(verdict.message, "both have counted");
}

TEST(Explorer, FindsTheThreeOutcomesOfStoreBuffering) {
    std::set<std::pair<int, int>> seen;
    const Verdict verdict = explore({}, [&seen](World& world) {
        auto& x = world.share<Atomic<int>>("x", 0);
        auto& y = world.share<Atomic<int>>("y", 0);
        auto& read = world.share<std::pair<int, int>>("read");
        world.thread("a", [&] {
            x.store(1, std::memory_order_relaxed);
            read.first = y.load();
        });
        world.thread("b", [&] {
            y.store(1, std::memory_order_relaxed);
            read.second = x.load();
        });
        world.finally([&] { seen.insert(read); });
    });
    EXPECT_EQ(verdict.executions, 3u);
    EXPECT_EQ(seen.size(), 3u);
}

}  // namespace
}  // namespace braidway::explore
