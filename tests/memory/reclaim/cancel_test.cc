// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/cancel.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include <cerrno>
#include <thread>

#include "base/clock.h"

namespace braidway::memory {
namespace {

using namespace std::chrono_literals;

bool readable(const Cancel& cancel) {
    pollfd poll{.fd = cancel.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
}

TEST(Cancel, IsForGood) {
    Cancel cancel;
    EXPECT_FALSE(cancel.cancelled());
    EXPECT_FALSE(readable(cancel));
    for (int round = 0; round < 3; ++round) {
        cancel.cancel();
        EXPECT_TRUE(cancel.cancelled());
        EXPECT_TRUE(readable(cancel));
        EXPECT_FALSE(cancel.pause(1h));
    }
}

TEST(Cancel, PausesAsLongAsItIsTold) {
    const Cancel cancel;
    const Instant begun = monotonic_now();
    EXPECT_TRUE(cancel.pause(30ms));
    EXPECT_GE(monotonic_now() - begun, 30ms);
    EXPECT_TRUE(cancel.pause(0ms));
    EXPECT_TRUE(cancel.pause(-5s));
    EXPECT_LT(monotonic_now() - begun, 5s);
}

TEST(Cancel, EndsAPauseOfEveryThread) {
    Cancel cancel;
    const Instant begun = monotonic_now();
    {
        std::jthread one([&] { EXPECT_FALSE(cancel.pause(1h)); });
        std::jthread two([&] { EXPECT_FALSE(cancel.pause(1h)); });
        std::this_thread::sleep_for(10ms);
        cancel.cancel();
    }
    EXPECT_LT(monotonic_now() - begun, 10s);
}

TEST(Cancel, KeepsErrnoAsAHandlerMust) {
    Cancel cancel;
    errno = EDOM;
    cancel.cancel();
    EXPECT_EQ(errno, EDOM);
}

Cancel* by_signal = nullptr;

TEST(Cancel, WorksInASignalHandler) {
    Cancel cancel;
    by_signal = &cancel;
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = [](int) { by_signal->cancel(); };
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    ASSERT_EQ(raise(SIGUSR1), 0);
    EXPECT_FALSE(cancel.pause(1h));
    ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

TEST(Cancel, ASignalThatIsNotMeantForItDoesNotEndAPause) {
    const Cancel cancel;
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    const pthread_t self = pthread_self();
    std::jthread other([self] {
        for (int round = 0; round < 5; ++round) {
            std::this_thread::sleep_for(5ms);
            pthread_kill(self, SIGUSR1);
        }
    });
    const Instant begun = monotonic_now();
    EXPECT_TRUE(cancel.pause(60ms));
    EXPECT_GE(monotonic_now() - begun, 60ms);
    other.join();
    ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace braidway::memory
