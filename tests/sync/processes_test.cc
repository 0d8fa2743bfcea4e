// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/processes.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace braidway::sync {
namespace {

constexpr SystemProcesses processes;

/// A child that waits to be killed.
pid_t start_child() {
    const pid_t child = fork();
    if (child == 0) {
        for (;;) pause();
    }
    return child;
}

/// The identity of a child, as it sees itself.
ProcessIdentity ended_child(pid_t& pid) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        const ProcessIdentity self = processes.self();
        _exit(write(ends[1], &self, sizeof(self)) == sizeof(self) ? 0 : 1);
    }
    ProcessIdentity child = 0;
    EXPECT_EQ(read(ends[0], &child, sizeof(child)), ssize_t{sizeof(child)});
    close(ends[0]);
    close(ends[1]);
    siginfo_t info;
    EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
    return child;
}

TEST(Processes, ThisOneHasAnIdentityOfItsPidAndLives) {
    const ProcessIdentity self = processes.self();
    EXPECT_EQ(pid_of(self), static_cast<uint64_t>(getpid()));
    EXPECT_NE(start_ticks_of(self), 0U);
    EXPECT_FALSE(processes.ended(self));
    EXPECT_EQ(processes.self(), self);
}

TEST(Processes, AChildOfForkIsAnother) {
    const ProcessIdentity self = processes.self();
    pid_t pid = 0;
    const ProcessIdentity child = ended_child(pid);
    EXPECT_EQ(pid_of(child), static_cast<uint64_t>(pid));
    EXPECT_NE(child, self);
    waitpid(pid, nullptr, 0);
}

TEST(Processes, AZombieHasEnded) {
    pid_t pid = 0;
    const ProcessIdentity child = ended_child(pid);
    EXPECT_TRUE(processes.ended(child)) << "nobody has waited for it yet";
    waitpid(pid, nullptr, 0);
    EXPECT_TRUE(processes.ended(child));
}

TEST(Processes, AnotherProcessOfTheSamePidIsNotTheOneThatHasEnded) {
    const ProcessIdentity self = processes.self();
    EXPECT_TRUE(processes.ended(process_identity(pid_of(self), start_ticks_of(self) - 1)));
    EXPECT_TRUE(processes.ended(process_identity(pid_of(self), start_ticks_of(self) + 1)));
}

TEST(Processes, OneWhoseStartTimeIsUnknownLivesAsLongAsItsPid) {
    const pid_t child = start_child();
    const ProcessIdentity identity = process_identity(static_cast<uint64_t>(child), 0);
    EXPECT_FALSE(processes.ended(identity));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(processes.ended(identity));
}

TEST(Processes, AStoppedProcessHasNotEnded) {
    const pid_t child = start_child();
    kill(child, SIGSTOP);
    waitpid(child, nullptr, WUNTRACED);
    EXPECT_FALSE(processes.ended(process_identity(static_cast<uint64_t>(child), 0)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

TEST(Processes, NobodyHasEnded) {
    EXPECT_TRUE(processes.ended(0));
}

TEST(Processes, ThePlaceIsTheSameForAChild) {
    const uint64_t place = processes.place();
    EXPECT_NE(place, 0U);
    const pid_t child = fork();
    if (child == 0) _exit(processes.place() == place ? 0 : 1);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST(Processes, LooksComeBeforeTheDeadlineUnlessItIsNear) {
    const Look endless = processes.next_look(Deadline::never(), LookAt::turn);
    EXPECT_FALSE(endless.is_last);
    EXPECT_LE(endless.until.nanoseconds(), monotonic_now().ns + turn_look_period_ns);

    const Look far = processes.next_look(Deadline::after(std::chrono::hours(1)), LookAt::guard);
    EXPECT_FALSE(far.is_last);
    EXPECT_LE(far.until.nanoseconds(), monotonic_now().ns + guard_look_period_ns);

    const Deadline soon = Deadline::after(std::chrono::milliseconds(1));
    const Look near = processes.next_look(soon, LookAt::turn);
    EXPECT_TRUE(near.is_last);
    EXPECT_EQ(near.until.nanoseconds(), soon.nanoseconds());
}

TEST(Processes, ADeadlineOnTheWallClockIsKeptOnThatClock) {
    using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;
    const auto wall = [](int64_t ns) { return Deadline(WallTime(std::chrono::nanoseconds(ns))); };
    const int64_t now_ns = wall_clock_now().count();
    const Look near = processes.next_look(wall(now_ns + 1'000'000), LookAt::turn);
    EXPECT_TRUE(near.is_last);
    EXPECT_EQ(near.until.clock(), Deadline::Clock::realtime);
    const Look far = processes.next_look(wall(now_ns + 3'600'000'000'000), LookAt::turn);
    EXPECT_FALSE(far.is_last);
    EXPECT_EQ(far.until.clock(), Deadline::Clock::monotonic);
}

TEST(Processes, OneLookIsDueForAllAPeriodAfterTheLast) {
    const auto now_ns = [] { return static_cast<uint64_t>(monotonic_now().ns); };
    std::atomic<uint64_t> looked = 0;
    EXPECT_TRUE(processes.begin_look(looked));
    const uint64_t first_ns = looked;
    EXPECT_FALSE(processes.begin_look(looked)) << "somebody has just looked";
    const Look next = processes.next_turn_look(Deadline::never(), looked);
    EXPECT_EQ(next.until.nanoseconds(), static_cast<int64_t>(first_ns) + turn_look_period_ns);
    EXPECT_FALSE(next.is_last);
    const Deadline soon = Deadline::after(std::chrono::nanoseconds(1));
    EXPECT_TRUE(processes.next_turn_look(soon, looked).is_last);
    // Long ago, and scribbled over: the one who asks looks, after a period.
    for (const uint64_t other_ns : {now_ns() - turn_look_period_ns, now_ns() + 1'000'000'000'000,
                                    UINT64_MAX, uint64_t{1} << 63}) {
        looked = other_ns;
        const Look look = processes.next_turn_look(Deadline::never(), looked);
        EXPECT_LE(look.until.nanoseconds(), monotonic_now().ns + turn_look_period_ns);
        EXPECT_TRUE(processes.begin_look(looked));
        EXPECT_LE(looked, now_ns());
    }
}

}  // namespace
}  // namespace braidway::sync
