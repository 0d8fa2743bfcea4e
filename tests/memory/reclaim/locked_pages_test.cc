// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/locked_pages.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "memory/reclaim/cancel.h"
#include "memory/reclaim/real_machine.h"

namespace braidway::memory {
namespace {

TEST(LockedPages, HoldWhatIsMappedUntilTheyAreReleased) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root may look into other processes";
    Cancel cancel;
    RealMachine machine(cancel);
    LockedPages guard(machine, {});
    EXPECT_EQ(guard.bytes(), 0u);
    ASSERT_TRUE(guard.hold_mapped(GuardScope::all));
    const uint64_t held = guard.bytes();
    EXPECT_GT(held, 0u) << "every process has a C library";
    ASSERT_TRUE(guard.hold_mapped(GuardScope::large_only));
    EXPECT_EQ(guard.bytes(), held) << "the wider guard stands";
    guard.release_mapped();
    EXPECT_EQ(guard.bytes(), 0u);
}

TEST(LockedPages, SayWhatCannotBeProtected) {
    Cancel cancel;
    RealMachine machine(cancel);
    const LockedPages guard(machine, {"/nowhere/at/all"});
    EXPECT_NE(guard.missed(), "");
    EXPECT_EQ(guard.bytes(), 0u);
}

}  // namespace
}  // namespace braidway::memory
