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

TEST(Explorer, ProvesNothingWhereAFailureCutExecutionsOff) {
    Options options;
    options.keep_going = true;
    const auto coverage_of = [&options](bool fails) {
        const Verdict verdict = explore(options, [fails](World& world) {
            auto& x = world.share<Atomic<int>>("x", 0);
            auto& y = world.share<Atomic<int>>("y", 0);
            world.thread("a", [&x, &y, fails] {
                check(x.load() == 1 || !fails, "x is written");
                y.store(1);
            });
            world.thread("b", [&x, &y] {
                x.store(1);
                y.store(2);
            });
        });
        EXPECT_EQ(verdict.failures > 0, fails);
        return verdict.coverage;
    };
    EXPECT_EQ(coverage_of(false), Coverage::exhaustive);
    EXPECT_EQ(coverage_of(true), Coverage::sampled);
    options.method = Method::bounded;
    EXPECT_EQ(coverage_of(true), Coverage::bounded);
    options.method = Method::every;
    options.steps_max = 3;
    EXPECT_EQ(explore(options,
                      [](World& world) {
                          auto& x = world.share<Atomic<int>>("x", 0);
                          for (const char* name : {"a", "b"}) {
                              world.thread(name, [&x] {
                                  x.fetch_add(1);
                                  x.fetch_add(1);
                              });
                          }
                      })
                  .coverage,
              Coverage::sampled);
}

TEST(Explorer, RefusesAReplayThatIsLongerThanTheExecution) {
    const auto message_of = [](const char* replay) {
        Options options;
        options.method = Method::replay;
        options.replay = replay;
        return explore(options,
                       [](World& world) {
                           world.thread("thread", [] {
                               yield();
                               yield();
                           });
                       })
            .message;
    };
    EXPECT_EQ(message_of("b1:a2"), "");
    EXPECT_EQ(message_of("b1:a3"),
              "the replay does not fit the program: its step 3 cannot be taken");
    EXPECT_EQ(message_of("b1:a2b9F30"),
              "the replay does not fit the program: its step 3 cannot be taken");
}

}  // namespace
}  // namespace braidway::explore
