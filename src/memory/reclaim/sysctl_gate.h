// SPDX-License-Identifier: Apache-2.0
// Opening the kernel's gate by its sysctls, and closing it again however this process ends.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "memory/reclaim/cancel.h"
#include "memory/reclaim/machine.h"
#include "memory/reclaim/open_gate.h"

namespace braidway::memory {

/// Where the sysctls are recorded while they are changed, under `place`.
std::string sysctl_record_path(const std::string& place);

/// Sets min_unmapped_ratio and min_slab_ratio to 0 (and for anonymous memory bit 4 of
/// zone_reclaim_mode) as long as the answer lives.
///
/// One run at a time, by a lock in `place`. What they were is written to a record first; a guardian
/// process, which keeps the lock, puts them back when this process dies; if it is killed too, the
/// next run does (restore_sysctls()). A value that somebody else has changed meanwhile is left.
///
/// `root`: as in RealMachine. Waits for another run `until` then, or until cancelled.
/// Errors: no privilege, no such sysctls, cancelled (EINTR), another run has them (EBUSY).
Result<std::unique_ptr<OpenGate>> open_sysctl_gate(Machine& machine, const std::string& root,
                                                   const std::string& place, bool anonymous,
                                                   Instant until = never);

/// Puts back what a killed run has left changed. Does nothing when there is no record, or when the
/// run that wrote it is alive. Returns whether it put something back.
/// Errors: the record cannot be read or a sysctl not be written.
Result<bool> restore_sysctls(Machine& machine, const std::string& place);

}  // namespace braidway::memory
