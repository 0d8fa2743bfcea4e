// SPDX-License-Identifier: Apache-2.0
// A lane's loop in virtual time: waiting costs nothing.
#pragma once

#include "loop/loop.h"

namespace braidway::sim {

/// A loop without a kernel, whose clock moves only when it waits for a timer. Timers, the ready
/// list and messages work; file and socket operations are none of its business.
///
/// Threads: one. Time starts at 1 s, so that an Instant of zero is in the past.
class VirtualLoop final : public loop::Loop {
  public:
    ~VirtualLoop() override { shut_down(); }

    loop::Backend backend() const override { return loop::Backend::automatic; }
    std::string_view description() const override { return "virtual time"; }
    loop::File add_file(int fd) override { return {fd, -1}; }
    void remove_file(loop::File) override {}
    void cancel(loop::Operation& operation) override;

    /// Turns until `length` has passed, firing what is due on the way.
    void pass(Duration length);
    /// Turns until `condition` or until `length` has passed; whether the condition came about.
    template <typename Condition>
    bool pass_until(Condition condition, Duration length) {
        const Instant end = clock_ + length;
        turn(clock_);
        while (!condition() && clock_ < end) turn(end);
        return condition();
    }

  protected:
    Instant read_clock() const override { return clock_; }
    uint32_t read_cpu() const override { return 0; }
    void start(loop::Operation& operation) override;
    void wait(bool block, Instant deadline) override;
    void wake() override {}

  private:
    Instant clock_{1'000'000'000};
};

}  // namespace braidway::sim
