// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cgroup_reclaim.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;

constexpr uint64_t mib_bytes = 1 << 20;
const std::string root = "/sys/fs/cgroup";

class CgroupReclaimTest : public testing::Test {
  protected:
    FakeKernel kernel{2};
    CgroupReclaim reclaim{kernel};
    uint32_t shared, inner, one, two, other;

    CgroupReclaimTest()
        : shared(kernel.add_cgroup("/jobs", "0-1")),
          inner(kernel.add_cgroup("/jobs/a.b", "1")),
          one(kernel.add_cgroup("/one", "1")),
          two(kernel.add_cgroup("/one/below", "1")),
          other(kernel.add_cgroup("/zero", "0")) {}
    uint64_t pages(uint32_t cgroup) { return fake::cgroup_pages(kernel.world(), cgroup); }
};

TEST_F(CgroupReclaimTest, FindsTheOutermostGroupsThatAreBoundToTheNode) {
    const uint32_t node = 1;
    const auto groups = reclaim.bound_groups(&node);
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_EQ(groups[0].path, root + "/jobs/a.b");
    EXPECT_EQ(groups[1].path, root + "/one");
    EXPECT_EQ(reclaim.bound_groups(nullptr).size(), 3u);
}

TEST_F(CgroupReclaimTest, FreesOnlyFromGroupsOfTheNodeByTheirSize) {
    kernel.fill(1, {.pages = 100 * mib, .cgroup = shared});
    kernel.fill(1, {.pages = 300 * mib, .cgroup = inner});
    kernel.fill(1, {.pages = 100 * mib, .cgroup = one});
    kernel.fill(0, {.pages = 100 * mib, .cgroup = other});
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 200 * mib_bytes}).error, 0);
    EXPECT_EQ(pages(inner), 150 * mib);
    EXPECT_EQ(pages(one), 50 * mib);
    EXPECT_EQ(pages(shared), 100 * mib);
    EXPECT_EQ(pages(other), 100 * mib);
    EXPECT_EQ(kernel.writes()[0].text, "157286400 swappiness=0");
}

TEST_F(CgroupReclaimTest, AsksPlainlyWhereTheKernelKnowsNoSwappiness) {
    kernel.world().reclaim_takes_swappiness = false;
    kernel.fill(1, {.pages = 100 * mib, .cgroup = one});
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, 0);
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, 0);
    EXPECT_EQ(kernel.writes_to(root + "/one/memory.reclaim"),
              (std::vector<std::string>{"20971520 swappiness=0", "20971520", "20971520"}));
}

TEST_F(CgroupReclaimTest, LeavesAnonymousMemoryWhereTheKernelMayTakePageCacheInstead) {
    kernel.world().reclaim_takes_max = false;
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 100 * mib};
    kernel.fill(1, {.pages = 60 * mib, .cgroup = one});
    kernel.fill(1, {.what = What::anonymous, .pages = 50 * mib, .cgroup = one});
    const Answer answer =
        reclaim.reclaim({.node = 1, .kind = Kind::anonymous, .bytes = 20 * mib_bytes});
    EXPECT_EQ(answer.error, EOPNOTSUPP);
    EXPECT_TRUE(answer.exhausted);
    EXPECT_EQ(pages(one), 110 * mib);
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, 0);
    EXPECT_EQ(kernel.writes().back().text, "20971520 swappiness=0");
}

TEST_F(CgroupReclaimTest, SwapsOnlyWhereTheGroupMaySwap) {
    const Ask ask{.node = 1, .kind = Kind::anonymous, .bytes = 32 * mib_bytes};
    kernel.fill(1, {.what = What::anonymous, .pages = 100 * mib, .cgroup = one});
    kernel.fill(1, {.pages = 100 * mib, .cgroup = one});
    EXPECT_EQ(reclaim.reclaim(ask).error, ENOSPC);
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 100 * mib};
    kernel.set_file(root + "/one/memory.swap.max", "4194304\n");
    kernel.set_file(root + "/one/memory.swap.current", "4194304\n");
    EXPECT_TRUE(reclaim.reclaim(ask).exhausted);
    EXPECT_TRUE(kernel.writes().empty());
    kernel.set_file(root + "/one/memory.swap.max", "max\n");
    EXPECT_EQ(reclaim.reclaim(ask).error, 0);
    EXPECT_EQ(kernel.world().swap.out, 32 * mib);
}

TEST_F(CgroupReclaimTest, GoesOnToTheNextGroupWhenOneFallsShortOrEnds) {
    kernel.fill(1, {.pages = 100 * mib, .mapped = true, .mlocked = true, .cgroup = inner});
    kernel.fill(1, {.pages = 30 * mib, .dirty = true, .cgroup = inner});
    kernel.fill(1, {.pages = 30 * mib, .cgroup = one});
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, EAGAIN);
    EXPECT_EQ(pages(one), 20 * mib);
    kernel.fail(root + "/jobs/a.b/memory.reclaim", ENOENT);
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, 0);
    EXPECT_LT(pages(one), 20 * mib);
    kernel.fail(root + "/jobs/a.b/memory.reclaim", EACCES);
    EXPECT_EQ(reclaim.reclaim({.node = 1, .bytes = 20 * mib_bytes}).error, EACCES);
}

TEST_F(CgroupReclaimTest, SaysThatNoGroupIsBoundToTheNode) {
    FakeKernel bare(2);
    CgroupReclaim none(bare);
    EXPECT_TRUE(none.probe().error().message.contains("bound to a single node"));
    const Answer answer = none.reclaim({.node = 1, .bytes = mib_bytes});
    EXPECT_TRUE(answer.exhausted);
    EXPECT_EQ(answer.note, "no cgroup is bound to node 1 alone");
}

TEST_F(CgroupReclaimTest, TakesTheRootOnAMachineOfOneNode) {
    FakeKernel single;
    CgroupReclaim whole(single);
    single.fill(0, {.pages = 100 * mib});
    EXPECT_TRUE(whole.probe().has_value());
    EXPECT_EQ(whole.reclaim({.bytes = 40 * mib_bytes}).error, 0);
    EXPECT_EQ(read_node_state(single, 0, Refresh::yes)->page_cache(), 60 * mib_bytes);
}

TEST_F(CgroupReclaimTest, SaysWhatIsMissing) {
    EXPECT_TRUE(reclaim.probe().has_value());
    kernel.world().privileged = false;
    EXPECT_EQ(reclaim.probe().error().code, EACCES);
    kernel.world().privileged = true;
    kernel.set_file(root + "/cgroup.controllers", "cpu memory\n");
    EXPECT_TRUE(reclaim.probe().error().message.contains("no cpuset controller"));
    FakeKernel old;
    old.world().cgroup_mount.clear();
    EXPECT_TRUE(CgroupReclaim(old).probe().error().message.contains("no cgroup version 2"));
    FakeKernel hybrid;
    hybrid.world().cgroup_mount = "/sys/fs/cgroup/unified";
    EXPECT_TRUE(CgroupReclaim(hybrid).probe().has_value());
}

}  // namespace
}  // namespace braidway::memory
