// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/swap_room.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "memory/reclaim/fake_kernel.h"

namespace braidway::memory {
namespace {

TEST(SwapRoom, IsThereUpToTheLastByte) {
    FakeKernel kernel;
    EXPECT_EQ(check_swap_room(kernel, 1).error().code, ENOSPC);
    kernel.world().swap = {.kind = fake::SwapKind::zram, .total = 256, .used = 56};
    EXPECT_TRUE(check_swap_room(kernel, 200 * fake::page_size).has_value());
    EXPECT_EQ(check_swap_room(kernel, 200 * fake::page_size + 1).error().code, ENOSPC);
}

TEST(SwapRoom, IsUnknownWithoutMeminfo) {
    FakeKernel kernel;
    kernel.fail("/proc/meminfo", EIO);
    EXPECT_EQ(check_swap_room(kernel, 1).error().code, EIO);
}

}  // namespace
}  // namespace braidway::memory
