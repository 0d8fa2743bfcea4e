// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/ballast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/cancel.h"
#include "memory/reclaim/node_state.h"
#include "memory/reclaim/real_machine.h"

namespace braidway::memory {
namespace {

constexpr uint64_t mib = 1u << 20;

TEST(Ballast, IsCleanUnmappedPageCacheThatGoesWithTheObject) {
    Cancel cancel;
    RealMachine machine(cancel);
    auto ballast = load_ballast(machine, 0, 24 * mib + 1, 0);
    if (!ballast && ballast.error().code == ENOENT)
        GTEST_SKIP() << "no filesystem with a page cache here: " << ballast.error().message;
    ASSERT_TRUE(ballast) << ballast.error().message;
    EXPECT_EQ((*ballast)->bytes(), 25 * mib) << "in whole pieces";
    const auto with = read_node_state(machine, 0, Refresh::yes);
    ASSERT_TRUE(with);
    EXPECT_GE(with->page_cache() - with->mapped_page_cache(), 25 * mib);
}

TEST(Ballast, IsRefusedWhereMemoryIsShort) {
    Cancel cancel;
    RealMachine machine(cancel);
    const auto state = read_node_state(machine, 0, Refresh::no);
    ASSERT_TRUE(state);
    const auto ballast = load_ballast(machine, 0, mib, state->free);
    ASSERT_FALSE(ballast);
    EXPECT_THAT(ballast.error().message, testing::HasSubstr("of free memory"));
}

TEST(Ballast, EndsWhenTheRunIsCancelled) {
    Cancel cancel;
    RealMachine machine(cancel);
    cancel.cancel();
    EXPECT_FALSE(load_ballast(machine, 0, 64 * mib, 0));
}

}  // namespace
}  // namespace braidway::memory
