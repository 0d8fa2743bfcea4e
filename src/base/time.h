// SPDX-License-Identifier: Apache-2.0
// Points in time and lengths of time. Nothing here reads a clock: see base/clock.h.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace braidway {

/// A length of time in nanoseconds.
using Duration = std::chrono::nanoseconds;

/// A point on the monotonic clock, or on a simulation's: nanoseconds from an arbitrary origin.
/// Deciding code takes an Instant and never reads a clock.
struct Instant {
    int64_t ns = 0;

    friend constexpr auto operator<=>(Instant, Instant) = default;
    /// Stops at the end of time, so that a deadline of "never" stays one.
    friend constexpr Instant operator+(Instant at, Duration length) {
        int64_t sum = 0;
        const bool overflow = __builtin_add_overflow(at.ns, length.count(), &sum);
        return {overflow ? (length.count() > 0 ? INT64_MAX : INT64_MIN) : sum};
    }
    friend constexpr Instant operator-(Instant at, Duration length) {
        return {at.ns - length.count()};
    }
    friend constexpr Duration operator-(Instant later, Instant earlier) {
        return Duration(later.ns - earlier.ns);
    }
};

/// Later than everything; "no deadline".
inline constexpr Instant never{INT64_MAX};

}  // namespace braidway
