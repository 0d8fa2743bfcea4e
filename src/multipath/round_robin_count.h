// SPDX-License-Identifier: Apache-2.0
// The round-robin path selector that counts.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Round-robin-count: every path in its turn, so many I/Os or bytes each.
///
/// Stays with the head of the list of paths that are up until it has had min_io I/Os or min_bytes
/// bytes, whichever comes first, and then moves it to the tail. A turn ends when its path fails; a
/// reinstated path goes to the tail, so that no turn is cut short.
/// Shapes:  per path: [min_io [min_bytes]], 1 and 0 when absent; 0 = this one does not count, but
///          not both.
/// Units:   I/Os and bytes; no clock is read.
/// Source:  our own; what device-mapper's round-robin did with its repeat count before it stopped
///          to count, and a limit in bytes as some arrays' vendors ask for.
Result<std::unique_ptr<Selector>> make_round_robin_count(const PathArguments& group,
                                                         const std::vector<PathArguments>& paths,
                                                         const SelectorOptions& options);

}  // namespace braidway::multipath
