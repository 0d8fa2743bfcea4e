// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/drop_caches.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

using fake::mib;

constexpr uint64_t mib_bytes = 1 << 20;
const std::string path = "/proc/sys/vm/drop_caches";

TEST(DropCaches, DropsPageCacheOfEveryNodeAtOnce) {
    FakeKernel kernel(2);
    for (const uint32_t node : {0u, 1u}) kernel.fill(node, {.pages = 100 * mib});
    DropCaches drop(kernel);
    const Answer answer = drop.reclaim({.node = 1, .bytes = mib_bytes});
    EXPECT_EQ(answer.error, 0);
    EXPECT_TRUE(answer.exhausted);
    EXPECT_EQ(drop.reach(), Reach::global);
    for (const uint32_t node : {0u, 1u})
        EXPECT_EQ(read_node_state(kernel, node, Refresh::yes)->page_cache(), 0u);
    EXPECT_EQ(kernel.writes_to(path), std::vector<std::string>{"1\n"});
}

TEST(DropCaches, LeavesPageCacheWhenOnlySlabIsAskedFor) {
    FakeKernel kernel;
    kernel.node(0).slab_reclaimable = 100 * mib;
    kernel.fill(0, {.pages = 100 * mib});
    DropCaches drop(kernel);
    EXPECT_EQ(drop.reclaim({.kind = Kind::slab, .bytes = mib_bytes}).error, 0);
    EXPECT_EQ(kernel.writes_to(path), std::vector<std::string>{"2\n"});
    EXPECT_EQ(read_node_state(kernel, 0, Refresh::yes)->page_cache(), 100 * mib_bytes);
}

TEST(DropCaches, DropsBothTwiceForSlabAfterPageCache) {
    FakeKernel kernel;
    kernel.node(0).slab_reclaimable = 138 * mib;
    kernel.fill(0, {.pages = 100 * mib});
    DropCaches drop(kernel);
    EXPECT_EQ(drop.reclaim({.bytes = mib_bytes}).error, 0);
    EXPECT_EQ(drop.reclaim({.kind = Kind::slab, .bytes = mib_bytes}).error, 0);
    EXPECT_EQ(kernel.writes_to(path), (std::vector<std::string>{"1\n", "3\n", "3\n"}));
    EXPECT_LT(read_node_state(kernel, 0, Refresh::yes)->slab_reclaimable, mib_bytes);
}

TEST(DropCaches, SaysThatItTakesRoot) {
    FakeKernel kernel;
    DropCaches drop(kernel);
    EXPECT_TRUE(drop.probe().has_value());
    kernel.world().privileged = false;
    EXPECT_EQ(drop.probe().error().code, EACCES);
    EXPECT_EQ(drop.probe().error().message, "/proc/sys/vm/drop_caches takes root");
    EXPECT_EQ(drop.reclaim({.bytes = 1}).error, EACCES);
}

}  // namespace
}  // namespace braidway::memory
