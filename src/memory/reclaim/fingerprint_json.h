// SPDX-License-Identifier: Apache-2.0
// Fingerprints and known states as JSON; docs/node-memory.md describes the fields.
#pragma once

#include <string>
#include <string_view>

#include "memory/reclaim/fingerprint.h"
#include "memory/reclaim/known_state.h"

namespace braidway::memory {

/// What was done and what came of it: schema_version, steps, fingerprint, differences; one
/// document with a newline at its end.
std::string known_state_json(const KnownState& state);

/// A document with the fingerprint alone, for parse_fingerprint().
std::string saved_fingerprint(const Fingerprint& fingerprint);

/// Reads a document that has a "fingerprint": what saved_fingerprint() or known_state_json() made.
/// Errors: too long, no JSON, a member that is missing or of another kind; the sentence names it.
Result<Fingerprint> parse_fingerprint(std::string_view text);

}  // namespace braidway::memory
