// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/known_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/run_place.h"

namespace braidway::memory {
namespace {

using fake::mib;
using fake::What;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::chrono_literals;

constexpr uint64_t mib_bytes = 1 << 20;
const std::string drop_caches = "/proc/sys/vm/drop_caches";

/// A scripted kernel whose runs have their locks in a folder of the test.
class RootedKernel final : public FakeKernel {
  public:
    explicit RootedKernel(unsigned nodes) : FakeKernel(nodes) {
        EXPECT_NE(::mkdtemp(root_.data()), nullptr);
        // Nothing to write back: the real filesystems are none of this test's business.
        set_file("/proc/self/mountinfo", "");
    }
    ~RootedKernel() override { std::filesystem::remove_all(root_); }
    std::string root() const override { return root_; }

  private:
    std::string root_ = "/tmp/braidway-known-state-XXXXXX";
};

std::vector<std::string> steps_of(const KnownState& state) {
    std::vector<std::string> all;
    for (const KnownStateStep& step : state.steps) all.push_back(step.mechanism);
    return all;
}

TEST(KnownState, IsReachedByWritingBackDroppingAndCompacting) {
    RootedKernel kernel(2);
    kernel.fill(0, {.pages = 200 * mib});
    kernel.fill(1, {.pages = 100 * mib});
    kernel.settle();
    const auto state = reach_known_state(kernel, {0, 1}, true);
    ASSERT_TRUE(state.has_value()) << state.error().message;
    EXPECT_THAT(steps_of(*state),
                ElementsAre("writeback", "drop-caches", "drop-caches", "compact"));
    EXPECT_EQ(state->steps[1].freed, 300 * mib_bytes);
    EXPECT_EQ(state->steps[2].outcome, "next to nothing was left");
    EXPECT_EQ(state->steps[3].outcome, "node 0, node 1");
    EXPECT_THAT(kernel.writes_to(drop_caches), ElementsAre("1", "2", "1", "2"));
    EXPECT_THAT(kernel.writes_to("/sys/devices/system/node/node1/compact"), ElementsAre("1"));
    EXPECT_EQ(state->fingerprint.nodes[0].page_cache, 0u);
}

TEST(KnownState, CountsAndCompactsOnlyTheNodesThatWereNamed) {
    RootedKernel kernel(2);
    kernel.fill(0, {.pages = 200 * mib});
    kernel.fill(1, {.pages = 100 * mib});
    kernel.settle();
    const auto state = reach_known_state(kernel, {1}, true);
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->steps[1].freed, 100 * mib_bytes);
    ASSERT_EQ(state->fingerprint.nodes.size(), 1u);
    EXPECT_THAT(kernel.writes_to("/sys/devices/system/node/node0/compact"), IsEmpty());
}

TEST(KnownState, IsDroppedForAtMostThreeTimes) {
    RootedKernel kernel(1);
    const auto refill = [&](std::string_view) {
        kernel.fill(0, {.pages = 50 * mib});
        kernel.settle();
    };
    const auto state = reach_known_state(kernel, {0}, false, refill);
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(kernel.writes_to(drop_caches).size(), 6u);
    EXPECT_EQ(state->steps.back().freed, 50 * mib_bytes);
}

TEST(KnownState, LeavesSwapAndAnonymousMemoryAlone) {
    RootedKernel kernel(1);
    kernel.world().swap = {.kind = fake::SwapKind::file, .total = 512 * mib};
    kernel.fill(0, {.what = What::anonymous, .pages = 300 * mib});
    kernel.fill(0, {.what = What::tmpfs, .pages = 30 * mib});
    kernel.settle();
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(kernel.world().swap.out, 0u);
    EXPECT_EQ(state->fingerprint.nodes[0].anonymous, 300 * mib_bytes);
    EXPECT_EQ(state->fingerprint.nodes[0].shmem, 30 * mib_bytes);
    EXPECT_EQ(state->fingerprint.swap_used, 0u);
}

TEST(KnownState, DoesNotCompactWhenThatIsNotWanted) {
    RootedKernel kernel(1);
    const auto state = reach_known_state(kernel, {0}, false);
    ASSERT_TRUE(state.has_value());
    EXPECT_THAT(steps_of(*state), ElementsAre("writeback", "drop-caches"));
    EXPECT_THAT(kernel.writes_to("/sys/devices/system/node/node0/compact"), IsEmpty());
}

TEST(KnownState, CompactsTheWholeMachineWhereNodesHaveNoFileForIt) {
    RootedKernel kernel(1);
    kernel.fail("/sys/devices/system/node/node0/compact", ENOENT);
    kernel.set_file("/proc/sys/vm/compact_memory", "");
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_TRUE(state.has_value());
    EXPECT_EQ(state->steps.back().outcome, "the whole machine");
    EXPECT_THAT(kernel.writes_to("/proc/sys/vm/compact_memory"), ElementsAre("1"));
}

TEST(KnownState, IsReachedOnAKernelThatCannotCompactAndSaysSo) {
    RootedKernel kernel(1);
    kernel.fail("/sys/devices/system/node/node0/compact", ENOENT);
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_TRUE(state.has_value());
    EXPECT_THAT(state->steps.back().outcome, HasSubstr("this kernel cannot"));
}

TEST(KnownState, NeedsThePrivilegeToDropAndChangesNothingWithoutIt) {
    RootedKernel kernel(1);
    kernel.world().privileged = false;
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_FALSE(state.has_value());
    EXPECT_EQ(state.error().code, EACCES);
    EXPECT_THAT(state.error().message, HasSubstr("needs root"));
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST(KnownState, EndsBetweenTwoCallsWhenCancelled) {
    RootedKernel kernel(1);
    kernel.fill(0, {.pages = 50 * mib});
    kernel.on_write([&kernel](fake::World&, const FakeWrite&) { kernel.cancel_after(0s); });
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_FALSE(state.has_value());
    EXPECT_EQ(state.error().code, ECANCELED);
    EXPECT_THAT(kernel.writes_to(drop_caches), ElementsAre("1"));
}

TEST(KnownState, WaitsForARunThatFreesMemoryOfANode) {
    RootedKernel kernel(2);
    const auto place = run_place(kernel.root());
    ASSERT_TRUE(place.has_value());
    const auto other = FileLock::try_take(*place + "/node1.lock");
    ASSERT_TRUE(other.has_value());
    kernel.cancel_after(1s);
    std::vector<std::string> told;
    const auto state = reach_known_state(kernel, {0}, true,
                                         [&](std::string_view step) { told.emplace_back(step); });
    ASSERT_FALSE(state.has_value());
    EXPECT_EQ(state.error().code, ECANCELED);
    EXPECT_THAT(told, ElementsAre("wait for another run on node 1"));
    EXPECT_THAT(kernel.writes(), IsEmpty());
}

TEST(KnownState, IsNotClaimedWhereTheKernelRefuses) {
    RootedKernel kernel(1);
    kernel.fail(drop_caches, EPERM, 1);
    const auto state = reach_known_state(kernel, {0}, true);
    ASSERT_FALSE(state.has_value());
    EXPECT_EQ(state.error().code, EPERM);
}

}  // namespace
}  // namespace braidway::memory
