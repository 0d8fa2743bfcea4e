// SPDX-License-Identifier: Apache-2.0
#include "loop/operation.h"

#include <gtest/gtest.h>

#include <array>

namespace braidway::loop {
namespace {

TEST(Operation, CountsTheBytesOfAllItsBuffers) {
    Operation operation;
    EXPECT_EQ(operation.bytes(), 0u);
    char memory[10];
    const std::array<iovec, 3> pieces{iovec{memory, 3}, {memory, 0}, {memory, 7}};
    operation.iov = pieces.data();
    operation.iov_count = 3;
    EXPECT_EQ(operation.bytes(), 10u);
    operation.iov_count = 1;
    EXPECT_EQ(operation.bytes(), 3u);
}

TEST(Operation, CanBeCancelledOnceWhileTheLoopHasIt) {
    Operation operation;
    EXPECT_TRUE(operation.idle());
    EXPECT_FALSE(operation.cancellable());
    operation.kind = Operation::Kind::held;
    EXPECT_FALSE(operation.cancellable()) << "that is for whoever holds it";
    operation.kind = Operation::Kind::send;
    EXPECT_TRUE(operation.cancellable());
    operation.cancelled = true;
    EXPECT_FALSE(operation.cancellable());
}

}  // namespace
}  // namespace braidway::loop
