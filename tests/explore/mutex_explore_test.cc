// SPDX-License-Identifier: Apache-2.0
// sync::Mutex and sync::CondVar as they ship, under every interleaving.
#include <gtest/gtest.h>

#include "braidway/sync/mutex.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

using Mutex = sync::BasicMutex<Policy>;
using CondVar = sync::BasicCondVar<Policy>;

constexpr const char* names[] = {"one", "two", "three", "four", "five"};

/// So many threads take the mutex so many times each.
std::function<void(World&)> takers(unsigned threads, unsigned times) {
    return [=](World& world) {
        auto& mutex = world.share<Mutex>("mutex");
        auto& data = world.share<Guarded>("data");
        for (unsigned thread = 0; thread < threads; ++thread) {
            world.thread(names[thread], [&mutex, &data, times] {
                for (unsigned time = 0; time < times; ++time) {
                    mutex.lock();
                    data.write();
                    mutex.unlock();
                }
            });
        }
        world.finally([&data, threads, times] { data.expect_writes(threads * times); });
    };
}

void expect_proof(const char* what, const Options& options,
                  const std::function<void(World&)>& setup) {
    const Verdict verdict = told(what, options, setup);
    EXPECT_TRUE(verdict.clean()) << verdict.summary() << ": " << verdict.message;
    EXPECT_EQ(verdict.coverage, options.method == Method::every     ? Coverage::exhaustive
                                : options.method == Method::bounded ? Coverage::bounded
                                                                    : Coverage::sampled);
}

TEST(MutexExplored, KeepsTwoThreadsApart) {
    expect_proof("two threads, twice each", {}, takers(2, 2));
}

TEST(MutexExplored, KeepsThreeThreadsApartAndLosesNoWake) {
    expect_proof("three threads", {}, takers(3, 1));
}

TEST(MutexExplored, BearsASpuriousWake) {
    expect_proof("two threads, one spurious wake", {.spurious_wakes_max = 1}, takers(2, 1));
    expect_proof("three threads, one spurious wake",
                 {.method = Method::bounded, .preemptions_max = 2, .spurious_wakes_max = 1},
                 takers(3, 1));
}

TEST(MutexExplored, KeepsFiveThreadsApartInSamples) {
    for (const Method method : {Method::pct, Method::random}) {
        expect_proof("five threads, twice each",
                     {.method = method, .seed = 7, .executions_max = 5000}, takers(5, 2));
    }
}

TEST(MutexExplored, HoldsItsWordUnderStoreBuffers) {
    expect_proof("two threads, store buffers", {.memory = Memory::tso}, takers(2, 1));
}

/// One who may give up, beside `others` who do not.
std::function<void(World&)> one_gives_up(unsigned others) {
    return [=](World& world) {
        auto& mutex = world.share<Mutex>("mutex");
        auto& data = world.share<Guarded>("data");
        auto& gave_up = world.share<Policy::Atomic<uint32_t>>("gave up", 0U);
        for (unsigned thread = 0; thread < others; ++thread) {
            world.thread(names[thread], [&] {
                mutex.lock();
                data.write();
                mutex.unlock();
            });
        }
        world.thread("impatient", [&] {
            if (!mutex.try_lock_until(some_time())) {
                gave_up.store(1);
                return;
            }
            data.write();
            mutex.unlock();
        });
        world.finally([&, others] { data.expect_writes(others + 1 - gave_up.load()); });
    };
}

TEST(MutexExplored, LosesNoWakeWhenAWaiterGivesUp) {
    expect_proof("one holder, one gives up", {}, one_gives_up(1));
    expect_proof("two others, one gives up", {}, one_gives_up(2));
}

/// A consumer waits for what a producer brings.
std::function<void(World&)> consumers(unsigned count, bool all) {
    return [=](World& world) {
        auto& mutex = world.share<Mutex>("mutex");
        auto& changed = world.share<CondVar>("changed");
        auto& items = world.share<Policy::Atomic<uint32_t>>("items", 0U);
        for (unsigned thread = 0; thread < count; ++thread) {
            world.thread(names[thread], [&] {
                mutex.lock();
                while (items.load() == 0) changed.wait(mutex);
                items.fetch_sub(1);
                mutex.unlock();
            });
        }
        world.thread("producer", [&, count, all] {
            mutex.lock();
            items.store(count);
            mutex.unlock();
            if (all) {
                changed.notify_all();
            } else {
                for (unsigned one = 0; one < count; ++one) changed.notify_one();
            }
        });
        world.finally([&] { check(items.load() == 0, "every item is taken once"); });
    };
}

TEST(CondVarExplored, WakesWhoWaitsForTheState) {
    expect_proof("one waits, notify_one", {}, consumers(1, false));
    expect_proof("one waits, notify_all", {}, consumers(1, true));
    expect_proof("one waits, one spurious wake", {.spurious_wakes_max = 1}, consumers(1, false));
}

TEST(CondVarExplored, WakesEveryoneWhoWaits) {
    expect_proof("two wait, notify_all", {.method = Method::bounded, .preemptions_max = 3},
                 consumers(2, true));
    expect_proof("two wait, notify_one twice", {.method = Method::bounded, .preemptions_max = 3},
                 consumers(2, false));
    if (!long_explorations()) return;
    expect_proof("two wait, notify_all", {}, consumers(2, true));
    expect_proof("two wait, notify_one twice", {}, consumers(2, false));
}

TEST(CondVarExplored, ReturnsWithTheMutexAfterATimeOut) {
    expect_proof("one waits until a deadline", {}, [](World& world) {
        auto& mutex = world.share<Mutex>("mutex");
        auto& changed = world.share<CondVar>("changed");
        auto& data = world.share<Guarded>("data");
        world.thread("waiter", [&] {
            mutex.lock();
            changed.wait_until(mutex, some_time());
            data.write();
            mutex.unlock();
        });
        world.thread("notifier", [&] {
            mutex.lock();
            data.write();
            mutex.unlock();
            changed.notify_one();
        });
        world.finally([&] { data.expect_writes(2); });
    });
}

}  // namespace
}  // namespace braidway::explore
