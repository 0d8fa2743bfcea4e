// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/gate.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"
#include "memory/reclaim/fake_reclaim.h"

namespace braidway::memory {
namespace {

using fake::What;

constexpr uint64_t mib = 1 << 20;

TEST(Gate, IsReadFromTheSysctlsAsPercentOfTheNode) {
    FakeKernel kernel;
    const Gate gate = read_gate(kernel, 1000 * mib);
    EXPECT_EQ(gate.unmapped_min, 10 * mib);
    EXPECT_EQ(gate.slab_min, 50 * mib);
    EXPECT_FALSE(gate.counts_mapped);
    kernel.world().zone_reclaim_mode = 7;
    EXPECT_TRUE(read_gate(kernel, 0).counts_mapped);
    EXPECT_EQ(read_gate(kernel, 0).unmapped_min, 0u);
    kernel.world().min_unmapped_ratio = 100;
    EXPECT_EQ(read_gate(kernel, UINT64_MAX).unmapped_min, UINT64_MAX / 100 * 100);
}

TEST(Gate, IsOpenOnAKernelWithoutTheSysctls) {
    FakeKernel kernel;
    for (const char* path : {sysctl_min_unmapped, sysctl_min_slab, sysctl_zone_reclaim})
        kernel.fail(path, ENOENT);
    const Gate gate = read_gate(kernel, 1000 * mib);
    EXPECT_EQ(gate.unmapped_min, 0u);
    EXPECT_FALSE(gate.closed({.file_inactive = 4096, .file_pages = 4096}));
}

TEST(Gate, SurvivesNonsenseInTheSysctls) {
    FakeKernel kernel;
    for (const char* text : {"", "\n", "-1\n", "x", "99999999999999999999999\n"}) {
        kernel.set_file(sysctl_min_unmapped, text);
        EXPECT_EQ(read_gate(kernel, 1000 * mib).unmapped_min, 0u) << text;
    }
    kernel.set_file(sysctl_min_unmapped, "101\n");
    EXPECT_EQ(read_gate(kernel, 1000 * mib).unmapped_min, 1000 * mib);
}

TEST(Gate, IsClosedAtTheMinimumAndOpenAPageAbove) {
    const Gate gate{.unmapped_min = 10 * mib, .slab_min = 50 * mib};
    NodeState state{.file_active = 6 * mib, .file_inactive = 4 * mib};
    EXPECT_TRUE(gate.closed(state));
    state.file_inactive += 4096;
    EXPECT_FALSE(gate.closed(state));
    state.dirty = 4096;
    EXPECT_TRUE(gate.closed(state)) << "dirty pages do not count";
    state.slab_reclaimable = 50 * mib;
    EXPECT_TRUE(gate.closed(state));
    state.slab_reclaimable += 4096;
    EXPECT_FALSE(gate.closed(state)) << "slab opens it, too";
}

TEST(Gate, DoesNotCountMappedCacheUnlessTheModeSaysSo) {
    Gate gate{.unmapped_min = 10 * mib};
    NodeState state{.file_inactive = 100 * mib, .file_pages = 120 * mib, .mapped = 95 * mib};
    EXPECT_EQ(gate.counted(state), 5 * mib);
    EXPECT_TRUE(gate.closed(state));
    state.mapped = 200 * mib;
    EXPECT_EQ(gate.counted(state), 0u) << "mapped tmpfs counts as mapped";
    state.dirty = 30 * mib;
    gate.counts_mapped = true;
    EXPECT_EQ(gate.counted(state), 90 * mib);
    EXPECT_FALSE(gate.closed(state));
}

/// The model and the scripted kernel were written apart: they must agree on every side.
TEST(Gate, AgreesWithTheScriptedKernel) {
    unsigned open = 0;
    for (const uint64_t clean : {0, 10, 11, 40})
        for (const uint64_t mapped : {0, 9, 30})
            for (const uint64_t dirty : {0, 1, 20})
                for (const uint64_t slab : {0, 51, 52})
                    for (const unsigned mode : {0, 4}) {
                        FakeKernel kernel;
                        kernel.world().zone_reclaim_mode = mode;
                        kernel.fill(0, {.pages = clean * fake::mib});
                        kernel.fill(0, {.pages = mapped * fake::mib, .mapped = true});
                        kernel.fill(0, {.pages = dirty * fake::mib, .dirty = true});
                        kernel.fill(0, {.what = What::tmpfs, .pages = 5 * fake::mib});
                        kernel.node(0).slab_reclaimable = slab * fake::mib;
                        kernel.settle();
                        const auto state = read_node_state(kernel, 0, Refresh::yes);
                        const Gate gate = read_gate(kernel, state->total);
                        EXPECT_EQ(!gate.closed(*state), fake::gate_open(kernel.world(), 0))
                            << clean << ' ' << mapped << ' ' << dirty << ' ' << slab << ' ' << mode;
                        if (!gate.closed(*state)) ++open;
                    }
    EXPECT_GT(open, 50u);
}

}  // namespace
}  // namespace braidway::memory
