// SPDX-License-Identifier: Apache-2.0
// The lock validator behind the locks of sync/, in builds that have it (BRAIDWAY_SYNC_WATCHED).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lockdep/finding.h"
#include "lockdep/validator.h"

namespace braidway::watch {

/// Called for each finding instead of the report that ends the process.
using FindingListener = void (*)(const lockdep::Finding& finding);

/// Puts a listener in for all threads, nullptr takes it out; returns the former. For tests that
/// provoke findings.
FindingListener set_finding_listener(FindingListener listener) noexcept;

/// How many locks the calling thread holds, as the validator knows it; 0 in a build without it.
size_t locks_held() noexcept;

}  // namespace braidway::watch
