// SPDX-License-Identifier: Apache-2.0
#include "explore/sampling.h"

#include <gtest/gtest.h>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {
namespace {

/// A bug of two ordering constraints: the reader sees the flag of the second store only.
void torn_publication(World& world) {
    auto& data = world.share<Atomic<int>>("data", 0);
    auto& flag = world.share<Atomic<int>>("flag", 0);
    world.thread("writer", [&] {
        flag.store(1);
        data.store(1);
    });
    world.thread("reader", [&] {
        if (flag.load() == 1) check(data.load() == 1, "the data is there before the flag");
    });
}

TEST(RandomWalk, FindsABugAndItsSeedFindsItAgain) {
    Options options;
    options.method = Method::random;
    options.executions_max = 1000;
    const Verdict first = explore(options, torn_publication);
    ASSERT_EQ(first.finding, Finding::failed_check);
    EXPECT_EQ(first.coverage, Coverage::sampled);
    const Verdict again = explore(options, torn_publication);
    EXPECT_EQ(again.first_failure, first.first_failure);
    EXPECT_EQ(again.replay, first.replay);
}

TEST(Pct, FindsABugOfDepthTwoAsOftenAsItPromises) {
    Options options;
    options.method = Method::pct;
    options.pct_depth = 2;
    options.executions_max = 20'000;
    options.keep_going = true;
    const Verdict verdict = explore(options, torn_publication);
    EXPECT_EQ(verdict.executions, 20'000u);
    // 1 / (n * k) is an eighth: two threads, four steps. Less a little for chance.
    EXPECT_GE(verdict.failures, verdict.executions / 9);
    EXPECT_LT(verdict.failures, verdict.executions / 2);
}

TEST(Sampling, StopsAtItsBoundWithNothingFound) {
    for (const Method method : {Method::pct, Method::random}) {
        Options options;
        options.method = method;
        options.executions_max = 500;
        const Verdict verdict = explore(options, [](World& world) {
            auto& mutex = world.share<sync::BasicMutex<Policy>>("mutex");
            for (const char* name : {"a", "b", "c"}) {
                world.thread(name, [&mutex] {
                    mutex.lock();
                    mutex.unlock();
                });
            }
        });
        EXPECT_TRUE(verdict.clean()) << verdict.message;
        EXPECT_EQ(verdict.executions, 500u);
        EXPECT_EQ(verdict.coverage, Coverage::sampled);
    }
}

}  // namespace
}  // namespace braidway::explore
