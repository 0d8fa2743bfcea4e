// SPDX-License-Identifier: Apache-2.0
// Waiting in a test for what another thread does, without guessing how long it takes.
#pragma once

#include <chrono>
#include <thread>

#include "base/clock.h"

namespace braidway {

/// Gives the processor up until `condition` holds; false after 20 s, which is a failed test.
template <typename Condition>
[[nodiscard]] bool holds_soon(const Condition& condition) {
    const Instant deadline = monotonic_now() + std::chrono::seconds(20);
    while (!condition()) {
        if (monotonic_now() > deadline) return false;
        std::this_thread::yield();
    }
    return true;
}

}  // namespace braidway
