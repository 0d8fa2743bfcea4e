// SPDX-License-Identifier: Apache-2.0
// The round-robin path selector.
#pragma once

#include "multipath/selector.h"

namespace braidway::multipath {

/// Round-robin: every path in its turn, one I/O each.
///
/// Picks the head of the list of paths that are up, and moves it to the tail. A reinstated path
/// goes to the head, so it is the next choice.
/// Shapes:  per path: [repeat_count], 0 or more; every value works like 1.
/// Units:   I/Os; neither sizes nor times matter.
/// Source:  the round-robin selector of Linux device-mapper, where repeat counts above 1 are
///          accepted and ignored as well.
Result<std::unique_ptr<Selector>> make_round_robin(const PathArguments& group,
                                                   const std::vector<PathArguments>& paths,
                                                   const SelectorOptions& options);

}  // namespace braidway::multipath
