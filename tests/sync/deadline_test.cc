// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/deadline.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ratio>
#include <type_traits>

#include "base/clock.h"

namespace braidway::sync {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

template <typename Clock, typename Duration>
Deadline at(Duration since_beginning) {
    return std::chrono::time_point<Clock, Duration>(since_beginning);
}

constexpr int64_t latest = INT64_MAX / 2;

TEST(Deadline, KnowsTheClockOfItsTime) {
    EXPECT_EQ(at<steady_clock>(5ns).clock(), Deadline::Clock::monotonic);
    EXPECT_EQ(at<system_clock>(5ns).clock(), Deadline::Clock::realtime);
    EXPECT_EQ(at<steady_clock>(5ns).nanoseconds(), 5);
    EXPECT_EQ(at<system_clock>(2s).nanoseconds(), 2'000'000'000);
    EXPECT_EQ(Deadline::after(1s).clock(), Deadline::Clock::monotonic);
    EXPECT_TRUE(Deadline::never().is_never());
    EXPECT_FALSE(at<steady_clock>(0ns).is_never());
}

TEST(Deadline, IsNeverEarlierThanAsked) {
    using Picoseconds = std::chrono::duration<int64_t, std::pico>;
    using Seconds = std::chrono::duration<double>;
    EXPECT_EQ(at<steady_clock>(Picoseconds(1)).nanoseconds(), 1);
    EXPECT_EQ(at<steady_clock>(Picoseconds(1000)).nanoseconds(), 1);
    EXPECT_EQ(at<steady_clock>(Picoseconds(1001)).nanoseconds(), 2);
    EXPECT_EQ(at<system_clock>(Seconds(1e-10)).nanoseconds(), 1);
    EXPECT_EQ(at<system_clock>(Seconds(0.5)).nanoseconds(), 500'000'000);
}

TEST(Deadline, ATimeThatIsTooLateIsTheLatest) {
    EXPECT_EQ(at<steady_clock>(std::chrono::hours::max()).nanoseconds(), latest);
    EXPECT_EQ(at<system_clock>(std::chrono::nanoseconds::max()).nanoseconds(), latest);
    EXPECT_EQ(Deadline::after(std::chrono::hours::max()).nanoseconds(), latest);
    EXPECT_EQ(Deadline::after(std::chrono::duration<double>(1e300)).nanoseconds(), latest);
    EXPECT_EQ(Deadline::after(std::chrono::nanoseconds(latest - 1)).nanoseconds(), latest);
}

TEST(Deadline, ATimeBeforeTheBeginningIsTheBeginning) {
    EXPECT_EQ(at<steady_clock>(-5ns).nanoseconds(), 0);
    EXPECT_EQ(at<system_clock>(std::chrono::hours::min()).nanoseconds(), 0);
}

TEST(Deadline, AfterCountsFromNow) {
    const int64_t before = monotonic_now().ns;
    const int64_t second = Deadline::after(1s).nanoseconds();
    const int64_t past = Deadline::after(-1h).nanoseconds();
    const int64_t after = monotonic_now().ns;
    EXPECT_LE(before + 1'000'000'000, second);
    EXPECT_LE(second, after + 1'000'000'000);
    EXPECT_LE(before, past);
    EXPECT_LE(past, after);
}

TEST(Deadline, IsAValueThatFitsTwoRegisters) {
    static_assert(std::is_trivially_copyable_v<Deadline>);
    static_assert(sizeof(Deadline) == 16);
    static_assert(!std::is_constructible_v<Deadline, std::chrono::seconds>);
}

}  // namespace
}  // namespace braidway::sync
