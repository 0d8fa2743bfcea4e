// SPDX-License-Identifier: Apache-2.0
#include "explore/bounded.h"

#include <gtest/gtest.h>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"

namespace braidway::explore {
namespace {

/// Two threads of two steps each.
void two_by_two(World& world) {
    auto& word = world.share<Atomic<int>>("word", 0);
    for (const char* name : {"a", "b"}) {
        world.thread(name, [&word] {
            word.fetch_add(1);
            word.fetch_add(1);
        });
    }
}

uint64_t count(unsigned preemptions_max, void (*program)(World&)) {
    Options options;
    options.method = Method::bounded;
    options.preemptions_max = preemptions_max;
    const Verdict verdict = explore(options, program);
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::bounded);
    return verdict.executions;
}

// aabb bbaa; abba baab with one preemption; abab baba with two.
TEST(BoundedSearch, CountsPreemptions) {
    EXPECT_EQ(count(0, two_by_two), 2u);
    EXPECT_EQ(count(1, two_by_two), 4u);
    EXPECT_EQ(count(2, two_by_two), 6u);
    EXPECT_EQ(count(9, two_by_two), 6u);
}

TEST(BoundedSearch, SwitchesFreelyWhereAThreadYields) {
    EXPECT_GT(count(0,
                    [](World& world) {
                        for (const char* name : {"a", "b"}) {
                            world.thread(name, [] {
                                yield();
                                yield();
                            });
                        }
                    }),
              2u);
}

TEST(BoundedSearch, FindsABugWithinItsBoundOnly) {
    const auto program = [](World& world) {
        auto& word = world.share<Atomic<int>>("word", 0);
        world.thread("a", [&word] {
            const int before = word.load();
            word.store(before + 1);
        });
        world.thread("b", [&word] { word.fetch_add(1); });
        world.finally([&word] { check(word.load() == 2, "both have counted"); });
    };
    Options options;
    options.method = Method::bounded;
    options.preemptions_max = 0;
    EXPECT_TRUE(explore(options, program).clean());
    options.preemptions_max = 1;
    EXPECT_EQ(explore(options, program).finding, Finding::failed_check);
}

}  // namespace
}  // namespace braidway::explore
