// SPDX-License-Identifier: Apache-2.0
// The queue-length path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Queue-length: the path with the fewest I/Os in flight.
///
/// Goes through the list of paths that are up, takes the first with the smallest count, stops at
/// the first that is idle, and moves its choice to the tail; a reinstated path goes to the tail,
/// too.
/// Shapes:  per path: [repeat_count], as in round-robin. Counts are signed 32-bit numbers; with
///          kernel_strict they may be below zero (Selector::ended()), and such a path wins unless
///          an idle one stands before it.
/// Units:   I/Os; neither sizes nor times matter.
/// Source:  the queue-length selector of Linux device-mapper.
Result<std::unique_ptr<Selector>> make_queue_length(const PathArguments& group,
                                                    const std::vector<PathArguments>& paths,
                                                    const SelectorOptions& options);

}  // namespace braidway::multipath
