// SPDX-License-Identifier: Apache-2.0
#include "sim/virtual_loop.h"

#include <vector>

#include <gtest/gtest.h>

namespace braidway::sim {
namespace {

using namespace std::chrono_literals;

/// Notes when it goes off, and goes off again after `every` when that is not zero.
struct Alarm : loop::Timer {
    VirtualLoop* loop = nullptr;
    Duration every{};
    std::vector<Instant> times;

    Alarm(VirtualLoop& lane, Duration after, Duration repeat = {}) : loop(&lane), every(repeat) {
        owner = this;
        fire = [](loop::Timer& timer, Instant now) {
            Alarm& self = *static_cast<Alarm*>(timer.owner);
            self.times.push_back(now);
            if (self.every != Duration::zero()) self.loop->arm(self, now + self.every);
        };
        lane.arm_after(*this, after);
    }
    ~Alarm() { loop->disarm(*this); }
};

TEST(VirtualLoop, FiresTimersAtTheirOwnTimeAndEndsWhenTheTimeHasPassed) {
    VirtualLoop loop;
    const Instant start = loop.now();
    Alarm alarm(loop, 3s, 3s);
    Alarm late(loop, 1h);
    loop.pass(10s);
    EXPECT_EQ(alarm.times, (std::vector{start + 3s, start + 6s, start + 9s}));
    EXPECT_TRUE(late.times.empty());
    EXPECT_EQ(loop.now(), start + 10s);
}

TEST(VirtualLoop, StopsAtTheConditionOrWhenTheTimeIsOver) {
    VirtualLoop loop;
    const Instant start = loop.now();
    Alarm alarm(loop, 2s);
    EXPECT_TRUE(loop.pass_until([&] { return !alarm.times.empty(); }, 60s));
    EXPECT_EQ(loop.now(), start + 2s);
    EXPECT_FALSE(loop.pass_until([] { return false; }, 5s));
    EXPECT_EQ(loop.now(), start + 7s);
}

}  // namespace
}  // namespace braidway::sim
