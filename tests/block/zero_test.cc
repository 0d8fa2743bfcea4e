// SPDX-License-Identifier: Apache-2.0
#include "block/zero.h"

#include "support/devices.h"

namespace braidway::block {
namespace {

using Zero = LaneTest;

TEST_F(Zero, ReadsAsZeroesWhateverWasWritten) {
    ZeroDevice zero(*loop_, {.size_bytes = 1u << 20, .block_bytes = 512, .holes = false});
    Client write(IoOp::write, 4096, 4096, 0x77);
    write.submit(zero);
    settle();
    EXPECT_EQ(write.status, IoStatus::ok);
    Client read(IoOp::read, 4096, 4096, 0x77);
    read.submit(zero);
    settle();
    EXPECT_EQ(read.status, IoStatus::ok);
    EXPECT_FALSE(read.request.hole);
    EXPECT_TRUE(read.all(0));
}

TEST_F(Zero, MayAnswerHolesAndThenLeavesTheMemoryAlone) {
    ZeroDevice zero(*loop_, {.size_bytes = 1u << 20, .block_bytes = 512, .holes = true});
    Client read(IoOp::read, 0, 4096, 0x77);
    read.submit(zero);
    settle();
    EXPECT_TRUE(read.request.hole);
    EXPECT_TRUE(read.all(0x77));
}

TEST_F(Zero, IsOneHole) {
    ZeroDevice zero(*loop_, {.size_bytes = 1u << 20, .block_bytes = 512, .holes = false});
    Extent extent;
    Client status(IoOp::block_status, 4096, 8192);
    status.request.extents = {&extent, 1};
    status.submit(zero);
    settle();
    ASSERT_EQ(status.request.extents_count, 1u);
    EXPECT_EQ(extent.length_bytes, 8192u);
    EXPECT_TRUE(extent.hole && extent.zero);
    Client without_room(IoOp::block_status, 0, 4096);
    without_room.submit(zero);
    settle();
    EXPECT_EQ(without_room.request.extents_count, 0u);
}

TEST_F(Zero, RoundsItsSizeDown) {
    ZeroDevice zero(*loop_, {.size_bytes = 10000, .block_bytes = 4096, .holes = false});
    EXPECT_EQ(zero.geometry().size_bytes, 8192u);
    EXPECT_EQ(zero.geometry().block_bytes, 4096u);
}

}  // namespace
}  // namespace braidway::block
