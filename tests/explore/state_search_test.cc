// SPDX-License-Identifier: Apache-2.0
// That it misses no end and no finding, dpor_test.cc compares with all interleavings.
#include "explore/state_search.h"

#include <gtest/gtest.h>

#include <array>

#include "braidway/explore/proven_mutex.h"
#include "explore/told.h"

namespace braidway::explore {
namespace {

/// Three threads, each of which adds to a word of its own.
void three_words(World& world) {
    auto& words = world.share<std::array<Policy::Atomic<uint32_t>, 3>>("words");
    for (unsigned i = 0; i < 3; ++i) {
        world.thread("adder", [&word = words[i]] {
            for (unsigned turn = 0; turn < 3; ++turn) word.fetch_add(1);
        });
    }
}

TEST(StateSearch, ComesToEachStateOnce) {
    const Verdict verdict = told("three words", {.method = Method::states}, three_words);
    EXPECT_TRUE(verdict.clean());
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
    // Each thread has taken 0 to 3 steps; the last of the 4 * 4 * 4 is the end. Where a compiler
    // leaves the traces of earlier steps on a stack, there are more.
    EXPECT_GE(verdict.states, 63U);
    EXPECT_LE(verdict.states, 100U);
}

TEST(StateSearch, EndsWhereThreadsSpinForEachOther) {
    const auto setup = [](World& world) {
        auto& word = world.share<Policy::Atomic<uint32_t>>("word", 0U);
        for (uint32_t me : {0U, 1U}) {
            world.thread("turn", [&word, me] {
                while (word.load() != me) Policy::spin_wait();
                word.store(1 - me);
            });
        }
    };
    const Verdict verdict = told("turns", {.method = Method::states}, setup);
    EXPECT_TRUE(verdict.clean());
    EXPECT_EQ(verdict.coverage, Coverage::exhaustive);
}

/// Two threads take two mutexes, in opposite orders.
void opposite_orders(World& world) {
    auto& mutexes = world.share<std::array<ProvenMutex, 2>>("mutexes");
    for (unsigned first : {0U, 1U}) {
        world.thread("taker", [&mutexes, first] {
            mutexes[first].lock();
            mutexes[1 - first].lock();
            mutexes[1 - first].unlock();
            mutexes[first].unlock();
        });
    }
}

TEST(ProvenMutex, TakenInOppositeOrdersIsADeadlock) {
    for (const Method method : {Method::every, Method::states, Method::bounded, Method::random}) {
        const Verdict verdict = told("opposite orders", {.method = method}, opposite_orders);
        EXPECT_EQ(verdict.finding, Finding::deadlock);
        ASSERT_EQ(verdict.trace.states.size(), 2U);
        for (const ThreadState& state : verdict.trace.states)
            EXPECT_EQ(state.at, ThreadState::At::asleep);
    }
}

TEST(ProvenMutex, LetsOneThreadInAtATime) {
    const auto setup = [](World& world) {
        auto& mutex = world.share<ProvenMutex>("mutex");
        auto& guarded = world.share<Guarded>("guarded");
        for (unsigned i = 0; i < 3; ++i) {
            world.thread("writer", [&] {
                mutex.lock();
                guarded.write();
                mutex.unlock();
            });
        }
        world.finally([&] { guarded.expect_writes(3); });
    };
    const Verdict verdict = told("three writers", {}, setup);
    EXPECT_TRUE(verdict.clean());
    EXPECT_EQ(verdict.executions, 6U) << "one for each order of three";
}

TEST(ProvenMutex, GivenBackByNobodyIsAFailedCheck) {
    const auto setup = [](World& world) {
        auto& mutex = world.share<ProvenMutex>("mutex");
        world.thread("giver", [&] { mutex.unlock(); });
    };
    EXPECT_EQ(explore({}, setup).finding, Finding::failed_check);
}

}  // namespace
}  // namespace braidway::explore
