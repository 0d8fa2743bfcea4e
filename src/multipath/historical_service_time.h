// SPDX-License-Identifier: Apache-2.0
// The historical-service-time path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Historical-service-time: the path that, going by the past, is done with this I/O first.
///
/// Keeps a moving average `hst` of each path's service time. That of one I/O is
///     st = now - max(its start, the path's previous finish), never below 0
/// and, in fixed point with 10 bits behind the point (FIXED_1 = 1024, all divisions round half up),
///     hst' = (hst * w + min(st * 1024, (2^64 - 1) >> 10) * (1024 - w)) / 1024
///     w    = base_weight^(n + 1), where n = st >> 24 (16.8 ms), and 0 from n = 63 on
/// so that a long service time counts more. hst is 1024 at first. After each I/O
///     stale_after = now + (paths that are up) * (hst >> 10)
/// Of two paths, in list order:
///  1. when neither hst is above threshold_multiplier times the other: fewer I/Os outstanding;
///  2. when one is idle and stale, or both are idle: the idle one, of two the smaller stale_after;
///  3. else the smaller (1 + outstanding) * hst (just hst when equally many are outstanding; both
///     hst >> 10 first from 1024 outstanding on), the earlier in the list unless it is larger; but
///     when the better one is stale: fewer outstanding.
/// What is still equal goes to the first in the list. The choice moves to the tail, and so does a
/// reinstated path; averages outlive a failure.
/// Shapes:  group: [base_weight [threshold_multiplier]], 0..1023 (972 when absent) and any number
///          (0 when absent); per path: [repeat_count], read and forgotten.
/// Units:   nanoseconds; sizes do not matter.
/// Source:  the historical-service-time selector of Linux device-mapper, with one clock where the
///          kernel reads two.
Result<std::unique_ptr<Selector>> make_historical_service_time(
    const PathArguments& group, const std::vector<PathArguments>& paths,
    const SelectorOptions& options);

}  // namespace braidway::multipath
