// SPDX-License-Identifier: Apache-2.0
// Small programs whose executions others have counted, and what store buffers let happen.
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"

namespace braidway::explore {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

uint64_t executions(void (*program)(World&)) {
    const Verdict verdict = explore({}, program);
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    EXPECT_EQ(verdict.blocked, 0u);
    return verdict.executions;
}

TEST(StoreBuffers, StoreBufferingAndMessagePassingHaveThreeExecutions) {
    EXPECT_EQ(executions([](World& world) {
                  auto& x = world.share<Atomic<int>>("x", 0);
                  auto& y = world.share<Atomic<int>>("y", 0);
                  world.thread("a", [&] { x.store(1), y.load(); });
                  world.thread("b", [&] { y.store(1), x.load(); });
              }),
              3u);
    EXPECT_EQ(executions([](World& world) {
                  auto& x = world.share<Atomic<int>>("x", 0);
                  auto& y = world.share<Atomic<int>>("y", 0);
                  world.thread("a", [&] { x.store(1), y.store(1); });
                  world.thread("b", [&] { y.load(), x.load(); });
              }),
              3u);
}

/// What both threads of the store-buffering test read.
std::set<std::pair<int, int>> store_buffering(Memory memory, bool has_fences) {
    std::set<std::pair<int, int>> seen;
    Options options;
    options.memory = memory;
    const Verdict verdict = explore(options, [&](World& world) {
        auto& x = world.share<Atomic<int>>("x", 0);
        auto& y = world.share<Atomic<int>>("y", 0);
        auto& read = world.share<std::pair<int, int>>("read");
        world.thread("a", [&, has_fences] {
            x.store(1, relaxed);
            if (has_fences) fence();
            read.first = y.load();
        });
        world.thread("b", [&, has_fences] {
            y.store(1, relaxed);
            if (has_fences) fence();
            read.second = x.load();
        });
        world.finally([&] { seen.insert(read); });
    });
    EXPECT_TRUE(verdict.clean()) << verdict.message;
    return seen;
}

TEST(StoreBuffers, StoreBuffersShowThemselvesUnlessThereAreFences) {
    EXPECT_EQ(store_buffering(Memory::sequential, false).size(), 3u);
    EXPECT_EQ(store_buffering(Memory::tso, false).size(), 4u);
    EXPECT_EQ(store_buffering(Memory::tso, true).size(), 3u);
}

/// Peterson's algorithm, once for each of two threads.
Verdict peterson(Memory memory, std::memory_order order) {
    Options options;
    options.memory = memory;
    return explore(options, [order](World& world) {
        struct State {
            Atomic<int> wants[2];
            Atomic<int> turn;
            Atomic<int> inside;
        };
        auto& state = world.share<State>("state");
        for (int me = 0; me < 2; ++me) {
            world.thread("thread", [&state, me, order] {
                const int other = 1 - me;
                state.wants[me].store(1, order);
                state.turn.store(other, order);
                while (state.wants[other].load() == 1 && state.turn.load() == other)
                    Policy::spin_wait();
                check(++state.inside == 1, "one thread at a time");
                --state.inside;
                state.wants[me].store(0, order);
            });
        }
    });
}

TEST(StoreBuffers, PetersonsAlgorithmNeedsFencesUnderTso) {
    const Verdict sequential = peterson(Memory::sequential, relaxed);
    EXPECT_TRUE(sequential.clean()) << sequential.message;
    EXPECT_EQ(peterson(Memory::tso, relaxed).finding, Finding::failed_check);
    const Verdict strong = peterson(Memory::tso, std::memory_order_seq_cst);
    EXPECT_TRUE(strong.clean()) << strong.message;
    EXPECT_EQ(strong.coverage, Coverage::exhaustive);
}

}  // namespace
}  // namespace braidway::explore
