// SPDX-License-Identifier: Apache-2.0
#include "braidway/explore/world.h"

#include <gtest/gtest.h>

#include <set>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"

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

}  // namespace
}  // namespace braidway::explore
