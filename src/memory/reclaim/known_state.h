// SPDX-License-Identifier: Apache-2.0
// Bringing the machine to a known state before a benchmark.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "memory/reclaim/fingerprint.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/node_list.h"

namespace braidway::memory {

/// One thing that was done for it.
struct KnownStateStep {
    std::string mechanism;  ///< "writeback", "drop-caches", "compact".
    Duration length{};
    uint64_t freed = 0;  ///< Page cache and slab of the nodes that count.
    std::string outcome{};
};

/// What was done, and where it led.
struct KnownState {
    std::vector<KnownStateStep> steps{};
    Fingerprint fingerprint{};
    std::vector<FingerprintDifference>
        differences{};  ///< From what was expected; filled by callers.
    Duration length{};
};

/// Whether this process may do it at all. Errors: `code` is that of opening drop_caches for
/// writing; the sentence says what is needed.
Result<void> may_reach_known_state(const Machine& machine);

/// Writes dirty pages back, drops clean page cache and slab of the whole machine as often as that
/// brings something, and (with `compact`) makes free memory contiguous. Never swaps.
///
/// `nodes`: whose figures count, and which are compacted; caches go on all nodes.
/// `began` hears of each step: its mechanism; may be empty.
/// Runs that free memory of a node are waited for, and wait.
/// Errors: no privilege (nothing is changed then); a filesystem that could not write; cancelled
/// (`code` ECANCELED; what was done stays). One call of the kernel is not interrupted: the wish to
/// stop is seen between calls.
Result<KnownState> reach_known_state(Machine& machine, const NodeList& nodes, bool compact,
                                     const std::function<void(std::string_view)>& began = {});

}  // namespace braidway::memory
