// SPDX-License-Identifier: Apache-2.0
// The litmus tests that fit the explorer, with what is known of them.
#pragma once

#include <functional>
#include <vector>

#include "explore/litmus.h"

namespace braidway::explore::litmus {

/// A program, its executions as others counted them, and the outcome that it is known for.
struct Litmus {
    Program program;
    /// Under sequential consistency, as GenMC's own tests expect them (tests/correct of GenMC 0.11,
    /// expected.sc.mo.in); 0 where no number of theirs was found.
    uint64_t genmc = 0;
    /// The outcome that tells memory models apart, and whether they allow it.
    std::function<bool(const Outcome&)> telling = nullptr;
    bool sequential_allows = false;
    bool tso_allows = false;
};

/// Well-known programs of a few commands.
std::vector<Litmus> classics();

/// Programs with a number of threads: counters, readers, writers.
std::vector<Litmus> families();

}  // namespace braidway::explore::litmus
