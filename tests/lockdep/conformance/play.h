// SPDX-License-Identifier: Apache-2.0
// Plays a row on a validator of its own.
#pragma once

#include <vector>

#include "lockdep/conformance/row.h"

namespace braidway::lockdep::conformance {

/// What the validator said.
struct Verdict {
    std::vector<FindingKind> findings;
    std::vector<FindingKind> notes;

    bool reported(FindingKind kind) const;
};

/// Tells a fresh validator all that happens in `row`, until a thread would wait for ever.
Verdict play(const Row& row);

}  // namespace braidway::lockdep::conformance
