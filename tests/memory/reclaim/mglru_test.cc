// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/mglru.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/node_state.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using namespace std::chrono_literals;

constexpr uint64_t mib_bytes = 1 << 20;
const std::string commands = "/sys/kernel/debug/lru_gen";

class MglruTest : public testing::Test {
  protected:
    FakeKernel kernel{2};
    Mglru mglru{kernel};

    MglruTest() { kernel.world().mglru = kernel.world().mglru_enabled = true; }
    NodeState state(uint32_t node) { return read_node_state(kernel, node, Refresh::yes).value(); }
};

TEST_F(MglruTest, FreesPageCacheOfOneNodeExactly) {
    for (const uint32_t node : {0u, 1u}) kernel.fill(node, {.pages = 300 * mib});
    const Answer answer = mglru.reclaim({.node = 1, .bytes = 100 * mib_bytes});
    EXPECT_EQ(answer.error, 0);
    EXPECT_EQ(state(1).page_cache(), 200 * mib_bytes);
    EXPECT_EQ(state(0).page_cache(), 300 * mib_bytes);
}

TEST_F(MglruTest, TakesWhatIsOldWithoutAging) {
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fill(0, {.pages = 100 * mib, .active = true});
    EXPECT_EQ(mglru.reclaim({.bytes = 60 * mib_bytes}).error, 0);
    EXPECT_EQ(kernel.writes_to(commands), std::vector<std::string>{"- 1 0 1 0 15360\n"});
    EXPECT_EQ(state(0).file_active, 100 * mib_bytes);
}

TEST_F(MglruTest, MakesWhatWasUsedLastOldEnoughToGo) {
    kernel.fill(0, {.pages = 100 * mib, .active = true});
    EXPECT_EQ(mglru.reclaim({.bytes = 100 * mib_bytes}).error, 0);
    EXPECT_EQ(state(0).page_cache(), 0u);
}

TEST_F(MglruTest, SpreadsOverTheCgroupsOfTheNodeByTheirSize) {
    const uint32_t small = kernel.add_cgroup("/small");
    const uint32_t large = kernel.add_cgroup("/large");
    const uint32_t elsewhere = kernel.add_cgroup("/elsewhere");
    kernel.fill(0, {.pages = 100 * mib, .cgroup = small});
    kernel.fill(0, {.pages = 300 * mib, .cgroup = large});
    kernel.fill(1, {.pages = 300 * mib, .cgroup = elsewhere});
    EXPECT_EQ(mglru.reclaim({.bytes = 200 * mib_bytes}).error, 0);
    EXPECT_EQ(fake::cgroup_pages(kernel.world(), small), 50 * mib);
    EXPECT_EQ(fake::cgroup_pages(kernel.world(), large), 150 * mib);
    EXPECT_EQ(fake::cgroup_pages(kernel.world(), elsewhere), 300 * mib);
}

TEST_F(MglruTest, SaysWhenNothingMoreCanGo) {
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fill(0, {.pages = 50 * mib, .dirty = true});
    Answer answer = mglru.reclaim({.bytes = 200 * mib_bytes});
    EXPECT_EQ(answer.error, EAGAIN);
    EXPECT_TRUE(answer.exhausted);
    EXPECT_EQ(state(0).page_cache(), 50 * mib_bytes);
    answer = mglru.reclaim({.node = 1, .bytes = mib_bytes});
    EXPECT_TRUE(answer.exhausted);
}

TEST_F(MglruTest, NeverTakesAnonymousMemoryWithoutRoomInSwap) {
    kernel.fill(0, {.what = What::anonymous, .pages = 100 * mib});
    kernel.fill(0, {.pages = 100 * mib});
    const Ask ask{.kind = Kind::anonymous, .bytes = 32 * mib_bytes};
    Answer answer = mglru.reclaim(ask);
    EXPECT_EQ(answer.error, ENOSPC);
    EXPECT_EQ(answer.note, "there is no swap: anonymous memory has nowhere to go");
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 31 * mib};
    answer = mglru.reclaim(ask);
    EXPECT_EQ(answer.error, ENOSPC);
    EXPECT_EQ(answer.note, "swap has only 31744 KiB free, 32768 KiB are needed");
    EXPECT_TRUE(kernel.writes().empty());
}

TEST_F(MglruTest, SwapsAnonymousMemoryAndLeavesPageCache) {
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 200 * mib};
    kernel.fill(0, {.what = What::anonymous, .pages = 20 * mib});
    kernel.fill(0, {.pages = 100 * mib});
    const Answer answer = mglru.reclaim({.kind = Kind::anonymous, .bytes = 32 * mib_bytes});
    EXPECT_TRUE(answer.exhausted) << "it has only 20 MiB";
    EXPECT_EQ(state(0).anon_pages, 0u);
    EXPECT_EQ(state(0).page_cache(), 100 * mib_bytes);
}

TEST_F(MglruTest, GoesOnWhenACgroupIsGoneOrAGenerationIsNew) {
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fail_writes(commands, EINVAL, 1);
    EXPECT_EQ(mglru.reclaim({.bytes = 50 * mib_bytes}).error, 0);
    EXPECT_EQ(state(0).page_cache(), 50 * mib_bytes);
}

TEST_F(MglruTest, StopsWhenCancelledOrRefused) {
    kernel.fill(0, {.pages = 100 * mib});
    kernel.fail(commands, EPERM);
    EXPECT_EQ(mglru.reclaim({.bytes = mib_bytes}).error, EPERM);
    kernel.fail(commands, 0);
    kernel.cancel_after(0ms);
    EXPECT_EQ(mglru.reclaim({.bytes = mib_bytes}).error, EINTR);
    EXPECT_EQ(state(0).page_cache(), 100 * mib_bytes);
}

TEST_F(MglruTest, SaysWhatIsMissing) {
    EXPECT_TRUE(mglru.probe().has_value());
    kernel.world().privileged = false;
    EXPECT_EQ(mglru.probe().error().code, EACCES);
    EXPECT_TRUE(mglru.probe().error().message.contains("takes root"));
    kernel.world().privileged = true;
    kernel.world().debugfs = false;
    EXPECT_TRUE(mglru.probe().error().message.contains("mount -t debugfs"));
    kernel.world().debugfs = true;
    kernel.world().mglru_enabled = false;
    EXPECT_EQ(mglru.probe().error().message,
              "MGLRU is switched off; write y to /sys/kernel/mm/lru_gen/enabled");
    kernel.world().mglru = false;
    EXPECT_TRUE(mglru.probe().error().message.contains("CONFIG_LRU_GEN"));
}

}  // namespace
}  // namespace braidway::memory
