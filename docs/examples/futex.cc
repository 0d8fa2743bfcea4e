// SPDX-License-Identifier: Apache-2.0
// A gate: closed at first, and open for ever once somebody has opened it.
#include <braidway/sync/futex.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

using namespace braidway;

class Gate {
  public:
    void open() {
        open_.store(1, std::memory_order_release);
        sync::futex_wake(&open_, UINT32_MAX, sync::FutexScope::process_private);
    }

    /// False when the gate was still closed at the deadline.
    bool pass(const sync::Deadline& deadline) {
        while (open_.load(std::memory_order_acquire) == 0) {
            // It may return for no reason: look at the word again.
            if (sync::futex_wait(open_, 0, sync::FutexScope::process_private, deadline) ==
                sync::FutexOutcome::timed_out) {
                return false;
            }
        }
        return true;
    }

  private:
    std::atomic<uint32_t> open_ = 0;
};

int main() {
    using namespace std::chrono_literals;
    Gate gate;
    const bool too_early = gate.pass(sync::Deadline::after(1ms));
    std::jthread opener([&] { gate.open(); });
    const bool passed = gate.pass(sync::Deadline::after(1min));
    std::printf("before: %s, after: %s\n", too_early ? "open" : "closed",
                passed ? "open" : "closed");
    return !too_early && passed ? 0 : 1;
}
