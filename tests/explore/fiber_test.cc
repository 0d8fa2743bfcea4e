// SPDX-License-Identifier: Apache-2.0
#include "explore/fiber.h"

#include <gtest/gtest.h>

#include <array>
#include <exception>
#include <stdexcept>
#include <string>

namespace braidway::explore {
namespace {

struct Ball {
    Context main;
    Fiber* fiber = nullptr;
    std::string log;
};

void play(void* argument) {
    Ball& ball = *static_cast<Ball*>(argument);
    for (;;) {
        ball.log += "f";
        ball.fiber->context().switch_to(ball.main);
    }
}

TEST(Fiber, GoesOnWhereItStopped) {
    Ball ball;
    Fiber fiber(&play, &ball);
    ball.fiber = &fiber;
    for (int turn = 0; turn < 3; ++turn) {
        ball.log += "m";
        ball.main.switch_to(fiber.context());
    }
    EXPECT_EQ(ball.log, "mfmfmf");
}

TEST(Fiber, BeginsAnewWhenRestarted) {
    struct State : Ball {
        int begun = 0;
    } state;
    Fiber fiber(
        [](void* argument) {
            State& it = *static_cast<State*>(argument);
            ++it.begun;
            std::array<char, 100> frame;
            frame.fill('x');
            it.log.append(frame.data(), 1);
            for (;;) it.fiber->context().switch_to(it.main);
        },
        &state);
    state.fiber = &fiber;
    state.main.switch_to(fiber.context());
    state.main.switch_to(fiber.context());
    EXPECT_EQ(state.begun, 1);
    fiber.restart();
    state.main.switch_to(fiber.context());
    EXPECT_EQ(state.begun, 2);
}

// Each fiber is inside a handler of its own while the other throws.
TEST(Fiber, KeepsTheExceptionsThatItHandlesApart) {
    Ball ball;
    Fiber fiber(
        [](void* argument) {
            Ball& it = *static_cast<Ball*>(argument);
            try {
                throw std::runtime_error("fiber");
            } catch (const std::exception&) {
                it.fiber->context().switch_to(it.main);
                try {
                    throw;
                } catch (const std::exception& again) {
                    it.log += again.what();
                }
            }
            for (;;) it.fiber->context().switch_to(it.main);
        },
        &ball);
    ball.fiber = &fiber;
    try {
        throw std::runtime_error("main");
    } catch (const std::exception&) {
        ball.main.switch_to(fiber.context());
        try {
            throw;
        } catch (const std::exception& again) {
            ball.log += again.what();
        }
    }
    ball.main.switch_to(fiber.context());
    EXPECT_EQ(ball.log, "mainfiber");
}

int go_deeper(int depth, volatile const int& depth_max) {
    volatile char frame[1000] = {};
    if (depth < depth_max) frame[0] = static_cast<char>(go_deeper(depth + 1, depth_max));
    return frame[0] + 1;
}

TEST(FiberDeathTest, EndsTheProcessWhenItsStackIsUsedUp) {
    Ball ball;
    Fiber fiber(
        [](void* argument) {
            Ball& it = *static_cast<Ball*>(argument);
            volatile const int depth_max = 1'000'000;
            it.log = std::to_string(go_deeper(0, depth_max));
            for (;;) it.fiber->context().switch_to(it.main);
        },
        &ball);
    ball.fiber = &fiber;
    EXPECT_DEATH(ball.main.switch_to(fiber.context()), "");
}

}  // namespace
}  // namespace braidway::explore
