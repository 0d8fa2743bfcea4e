// SPDX-License-Identifier: Apache-2.0
// Until when somebody waits.
#pragma once

#include <chrono>
#include <cstdint>

namespace braidway::sync {

/// A point in time on a clock of the kernel, or never.
///
/// Deadlines are absolute, so that a wait that was interrupted goes on without growing.
///
/// Units:   nanoseconds since the clock's own beginning.
/// Threads: a value.
class Deadline {
  public:
    enum class Clock : uint8_t {
        none,       ///< Never: wait without end.
        monotonic,  ///< CLOCK_MONOTONIC, which is std::chrono::steady_clock.
        realtime,   ///< CLOCK_REALTIME, which is std::chrono::system_clock; it may be set.
    };

    static constexpr Deadline never() { return Deadline(Clock::none, 0); }

    /// A point of std::chrono's steady or system clock, so that `try_lock_until(time)` reads as
    /// usual. A time before the clock's beginning counts as its beginning: it has passed.
    template <typename Duration>
    constexpr Deadline(const std::chrono::time_point<std::chrono::steady_clock, Duration>& time)
        : Deadline(Clock::monotonic, nanoseconds(time.time_since_epoch())) {}
    template <typename Duration>
    constexpr Deadline(const std::chrono::time_point<std::chrono::system_clock, Duration>& time)
        : Deadline(Clock::realtime, nanoseconds(time.time_since_epoch())) {}
    /// No other clock: the kernel cannot wait for it, and to convert it here would go wrong unseen
    /// when that clock is set.
    template <typename OtherClock, typename Duration>
    constexpr Deadline(const std::chrono::time_point<OtherClock, Duration>&)
        : Deadline(Clock::none, 0) {
        static_assert(sizeof(OtherClock) == 0,
                      "A Deadline is a time of std::chrono::steady_clock or system_clock; for "
                      "another clock write Deadline::after(time - YourClock::now()).");
    }

    /// `duration` from now on the monotonic clock; nothing or less has passed already.
    template <typename Rep, typename Period>
    static Deadline after(const std::chrono::duration<Rep, Period>& duration) {
        return after_nanoseconds(nanoseconds(duration));
    }

    constexpr Clock clock() const { return clock_; }
    constexpr bool is_never() const { return clock_ == Clock::none; }
    constexpr int64_t nanoseconds() const { return nanoseconds_; }

  private:
    constexpr Deadline(Clock clock, int64_t nanoseconds)
        : nanoseconds_(nanoseconds), clock_(clock) {}

    static Deadline after_nanoseconds(int64_t nanoseconds);

    /// Rounds up and saturates: a wait is never shorter than asked, and hours::max() is no past.
    template <typename Duration>
    static constexpr int64_t nanoseconds(const Duration& since) {
        using Wide = std::chrono::duration<long double, std::nano>;
        const long double wide = Wide(since).count();
        constexpr int64_t latest = INT64_MAX / 2;
        if (wide <= 0) return 0;
        if (wide >= static_cast<long double>(latest)) return latest;
        return std::chrono::ceil<std::chrono::nanoseconds>(since).count();
    }

    int64_t nanoseconds_;
    Clock clock_;
};

}  // namespace braidway::sync
