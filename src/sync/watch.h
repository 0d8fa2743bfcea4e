// SPDX-License-Identifier: Apache-2.0
// The lock validator behind the locks of sync/, in builds that have it (BRAIDWAY_SYNC_WATCHED).
#pragma once

#include <chrono>
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

/// After how long a thread that waits for a lock without end looks whether it hangs; returns what
/// it was before. 3 seconds, but for tests. A hang is seen by the second look, which comes within
/// half a second, or that time if it is shorter.
std::chrono::nanoseconds set_hang_look_after(std::chrono::nanoseconds wait) noexcept;

/// How many locks the calling thread holds, as the validator knows it; 0 in a build without it. The
/// right to upgrade counts as one more.
size_t locks_held() noexcept;

}  // namespace braidway::watch
