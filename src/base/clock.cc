// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <ctime>

namespace braidway {
namespace {

int64_t read_clock_ns(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Instant monotonic_now() {
    return {read_clock_ns(CLOCK_MONOTONIC)};
}

Duration wall_clock_now() {
    return Duration(read_clock_ns(CLOCK_REALTIME));
}

}  // namespace braidway
