// SPDX-License-Identifier: Apache-2.0
// The service-time path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Service-time: the path that is expected to be done with this I/O first.
///
/// Picks the path with the smallest (in_flight_bytes + request_bytes) / relative_throughput, and
/// moves it to the tail of the list of paths that are up; a reinstated path goes to the tail, too.
/// Two paths are compared in this order: equal throughputs: fewer bytes in flight; equal bytes in
/// flight or a throughput of 0: the higher throughput; else the service times, and when these are
/// equal the higher throughput. What is still equal goes to the path that comes first in the list:
/// the one not used for the longest time.
/// Shapes:  per path: [repeat_count [relative_throughput]]; repeat_count as in round-robin;
///          relative_throughput 0..100, 1 when absent, 0 = only when no other is left.
/// Units:   bytes; no clock is read.
/// Source:  the service-time selector of Linux device-mapper; compared by cross-multiplication as
///          there, with 128-bit products instead of its shift-down guard. With kernel_strict all is
///          as there: a signed 32-bit count that may be below zero, sums in 64 bits, shifted right
///          by 7 near the overflow, and a difference cut down to 32 bits.
Result<std::unique_ptr<Selector>> make_service_time(const PathArguments& group,
                                                    const std::vector<PathArguments>& paths,
                                                    const SelectorOptions& options);

}  // namespace braidway::multipath
