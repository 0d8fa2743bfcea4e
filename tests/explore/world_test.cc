// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/world.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {
namespace {

TEST(World, ExploresEachChoiceOnce) {
    std::multiset<unsigned> seen;
    const Verdict verdict = explore({}, [&seen](World& world) {
        auto& sum = world.share<unsigned>("sum", 0u);
        world.thread("thread", [&sum] { sum = choose(3) * 10 + choose(2); });
        world.finally([&] { seen.insert(sum); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(seen, (std::multiset<unsigned>{0, 1, 10, 11, 20, 21}));
}

TEST(World, RunsFinallyAfterAllThreads) {
    unsigned runs = 0;
    const Verdict verdict = explore({}, [&runs](World& world) {
        auto& done = world.share<Atomic<int>>("done", 0);
        for (const char* name : {"a", "b"}) world.thread(name, [&done] { done.fetch_add(1); });
        world.finally([&] {
            check(done.load() == 2, "both have ended");
            ++runs;
        });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(runs, verdict.executions);
    EXPECT_EQ(runs, 2u);
}

TEST(World, MayBeEmpty) {
    const Verdict verdict = explore({}, [](World&) {});
    EXPECT_TRUE(verdict.clean());
    EXPECT_EQ(verdict.executions, 1u);
}

TEST(World, LeavesAtomicsPlainOutsideOfThreads) {
    Atomic<int> word = 3;
    int expected = 3;
    EXPECT_TRUE(word.compare_exchange_strong(expected, 4));
    EXPECT_EQ(word.fetch_sub(1), 4);
    EXPECT_EQ(++word, 4);
    word |= 3;
    EXPECT_EQ(word, 7);
    Atomic<void*> pointer = nullptr;
    pointer = &word;
    EXPECT_EQ(pointer.exchange(nullptr), &word);
    Atomic<bool> flag;
    EXPECT_FALSE(flag.exchange(true));
    EXPECT_TRUE(flag);
    Atomic<int8_t> small = -128;
    EXPECT_EQ(small.fetch_sub(1), -128);
    EXPECT_EQ(small, 127);
}

/// What an exploration of `setup` says went wrong.
std::string failure_of(const std::function<void(World&)>& setup, const Options& options = {}) {
    const Verdict verdict = explore(options, setup);
    EXPECT_EQ(verdict.finding, Finding::failed_check);
    EXPECT_NE(verdict.coverage, Coverage::exhaustive);
    return verdict.message;
}

TEST(World, RefusesAChoiceOfNothingOrOfMoreThanItCounts) {
    for (const unsigned count : {0u, 65'536u, 65'537u, 131'072u}) {
        const auto choosing = [count](World& world) {
            world.thread("thread", [count] { choose(count); });
        };
        EXPECT_EQ(failure_of(choosing), "choose() takes a count from 1 to 65535") << count;
    }
    bool has_seen_last = false;
    Options options;
    options.method = Method::bounded;
    const Verdict verdict = explore(options, [&has_seen_last](World& world) {
        world.thread("thread", [&] { has_seen_last |= choose(65'535) == 65'534; });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.executions, 65'535u);
    EXPECT_TRUE(has_seen_last);
}

TEST(World, RefusesAChoiceOutsideOfThreads) {
    EXPECT_EQ(failure_of([](World&) { choose(2); }), "choose() is called outside of a thread");
    EXPECT_EQ(failure_of([](World& world) { world.finally([] { choose(2); }); }),
              "choose() is called outside of a thread");
}

TEST(World, EndsAnExecutionWhoseSetupFails) {
    EXPECT_EQ(failure_of([](World& world) {
                  world.thread("thread", [] { check(false, "no thread begins"); });
                  check(false, "set up well");
              }),
              "set up well");
    EXPECT_EQ(failure_of([](World& world) {
                  for (int i = 0; i < 33; ++i) world.thread("thread", [] {});
              }),
              "an exploration has at most 32 threads");
    Options options;
    options.memory = Memory::tso;
    const auto threads = [](int count) {
        return [count](World& world) {
            for (int i = 0; i < count; ++i) world.thread("thread", [] {});
        };
    };
    EXPECT_NE(failure_of(threads(17), options).find("store buffers"), std::string::npos);
    EXPECT_TRUE(explore(options, threads(16)).clean());
    options.memory = Memory::sequential;
    options.kills_max = 1;
    EXPECT_NE(failure_of(
                  [](World& world) {
                      for (unsigned i = 1; i <= 17; ++i) world.killable_thread("it", i, [] {});
                  },
                  options)
                  .find("killable processes"),
              std::string::npos);
}

TEST(World, DestroysWhatASetupSharedThatThrows) {
    struct Counted {
        explicit Counted(int& count) : count_(count) { ++count_; }
        ~Counted() { --count_; }
        int& count_;
    };
    int alive = 0;
    const auto throwing = [&alive](World& world) {
        world.share<Counted>("counted", alive);
        throw std::runtime_error("too bad");
    };
    EXPECT_THROW(explore({}, throwing), std::runtime_error);
    EXPECT_EQ(alive, 0);
    EXPECT_TRUE(explore({}, [](World&) {}).clean()) << "the next one is not inside of it";
}

TEST(World, EndsAFinallyThatWaits) {
    constexpr auto scope = sync::FutexScope::process_private;
    const auto in_finally = [](void (*body)(Policy::FutexWord&)) {
        return [body](World& world) {
            auto& word = world.share<Policy::FutexWord>("word", 0u);
            world.thread("thread", [] {});
            world.finally([&word, body] { body(word); });
        };
    };
    const std::string waits = "setup or finally() waits, and nobody is there to wake it";
    EXPECT_EQ(failure_of(in_finally([](Policy::FutexWord& word) {
                  while (word.load() == 0) Policy::futex_wait(word, 0, scope);
              })),
              waits);
    EXPECT_EQ(failure_of(in_finally([](Policy::FutexWord& word) {
                  while (word.load() == 0) Policy::spin_wait();
              })),
              waits);
    EXPECT_EQ(failure_of([](World& world) {
                  auto& mutex = world.share<sync::BasicMutex<Policy>>("mutex");
                  world.thread("thread", [&mutex] { mutex.lock(); });
                  world.finally([&mutex] { mutex.lock(); });
              }),
              waits);
    const Verdict polling = explore({}, in_finally([](Policy::FutexWord& word) {
                                        while (word.load() == 0) {}
                                    }));
    EXPECT_EQ(polling.finding, Finding::endless);
    const Verdict fine =
        explore({}, in_finally([](Policy::FutexWord& word) {
                    const sync::Deadline soon(std::chrono::steady_clock::time_point{});
                    check(Policy::futex_wait(word, 1, scope) == sync::FutexOutcome::changed,
                          "the word is not 1");
                    check(Policy::futex_wait(word, 0, scope, soon) == sync::FutexOutcome::timed_out,
                          "nobody wakes");
                }));
    EXPECT_TRUE(fine.clean()) << fine.message;
}

TEST(World, KeepsTheNamesOfThreads) {
    const Verdict verdict = explore({}, [](World& world) {
        for (const int number : {1, 2}) {
            const std::string name = "a name too long to be inside: " + std::to_string(number);
            world.thread(name, [] { check(false, "always"); });
        }
    });
    ASSERT_EQ(verdict.trace.threads.size(), 2u);
    EXPECT_EQ(verdict.trace.threads[1], "a name too long to be inside: 2");
}

TEST(World, SharesAtTheSameAddressesAlsoWhereAFailureIsExplained) {
    std::set<const void*> addresses;
    const Verdict verdict = explore({}, [&addresses](World& world) {
        auto& word = world.share<Policy::FutexWord>("word", 0u);
        addresses.insert(&word);
        world.thread("sleeper",
                     [&word] { Policy::futex_wait(word, 0, sync::FutexScope::process_private); });
    });
    EXPECT_EQ(verdict.finding, Finding::deadlock);
    EXPECT_EQ(addresses.size(), 1u);
}

TEST(World, SharesWhatIsConst) {
    const Verdict verdict = explore({}, [](World& world) {
        const int& seven = world.share<const int>("seven", 7);
        world.thread("thread", [&seven] { check(seven == 7, "seven"); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
}

TEST(World, CountsPointersByElements) {
    std::array<int, 4> numbers{};
    Atomic<int*> at = numbers.data();
    EXPECT_EQ(at.fetch_add(2), &numbers[0]);
    EXPECT_EQ(at.fetch_sub(1), &numbers[2]);
    EXPECT_EQ(++at, &numbers[2]);
    EXPECT_EQ(at--, &numbers[2]);
    EXPECT_EQ(at += 2, &numbers[3]);
    EXPECT_EQ(at -= 3, &numbers[0]);
    EXPECT_EQ(at++, &numbers[0]);
    EXPECT_EQ(--at, &numbers[0]);
}

}  // namespace
}  // namespace braidway::explore
