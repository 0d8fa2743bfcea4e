// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_loop.h"

#include "base/check.h"

namespace braidway::sim {

void VirtualLoop::pass(Duration length) {
    const Instant end = clock_ + length;
    do turn(end);
    while (clock_ < end);
    turn(clock_);
}

void VirtualLoop::wait(bool block, Instant deadline) {
    if (block && deadline > clock_) {
        CHECK(deadline != never, "in virtual time nobody else will wake the lane");
        clock_ = deadline;
    }
    woke_up();
}

void VirtualLoop::start(loop::Operation&) {
    CHECK(false, "a virtual loop has no files and no sockets");
}

void VirtualLoop::cancel(loop::Operation&) {
    CHECK(false, "a virtual loop has no files and no sockets");
}

}  // namespace braidway::sim
