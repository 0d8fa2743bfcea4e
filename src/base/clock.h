// SPDX-License-Identifier: Apache-2.0
// The only place that reads the clocks. Allowed callers are listed in tests/tidy_test.cc.
#pragma once

#include "base/time.h"

namespace braidway {

/// Reads the monotonic clock (CLOCK_MONOTONIC; does not count time spent suspended).
/// Threads: any.
Instant monotonic_now();

/// Seconds since 1970 with nanoseconds, for time stamps that people read.
/// Threads: any.
Duration wall_clock_now();

}  // namespace braidway
