// SPDX-License-Identifier: Apache-2.0
// Keeps what processes have mapped while the kernel reclaims page cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory/reclaim/machine.h"
#include "memory/reclaim/page_guard.h"
#include "memory/reclaim/page_lock.h"

namespace braidway::memory {

/// Pins the pages of files that processes have in their page tables, so that calls which reclaim
/// page cache whether it is mapped or not leave them alone. Nothing is read from disk for it.
///
/// Pages that a process maps after hold() are not guarded. tmpfs, shared memory and devices are
/// left out, because reclaim of page cache does not touch them.
/// Errors:  what could not be guarded is counted and said in one sentence; a process that may not
/// be
///          looked into but has mapped no more than limits::guard_large_bytes is passed over.
/// Threads: one at a time.
class MappedGuard {
  public:
    MappedGuard() = default;

    /// Guards what is mapped now until the object is destroyed. Ends early when `machine` (which
    /// may be null) is cancelled.
    static MappedGuard hold(GuardScope scope, const Machine* machine = nullptr);

    /// Also keeps all cached pages of these files and of the files in these trees.
    void hold_files(const std::vector<std::string>& paths, const Machine* machine = nullptr);

    uint64_t bytes() const { return lock_.bytes(); }   ///< Pinned.
    uint64_t processes() const { return processes_; }  ///< That were looked into.
    uint64_t missed_processes() const { return missed_processes_; }
    uint64_t missed_files() const { return missed_files_; }
    /// One sentence for the report; empty when nothing was missed.
    std::string missed_why() const;

  private:
    friend class GuardSearch;

    PageLock lock_;
    uint64_t processes_ = 0;
    uint64_t missed_processes_ = 0;
    uint64_t missed_files_ = 0;
    int process_error_ = 0;  ///< Of the first that was missed.
    int file_error_ = 0;
};

}  // namespace braidway::memory
