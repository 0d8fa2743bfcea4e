// SPDX-License-Identifier: Apache-2.0
// The machine as reclaim sees it: files of /sys and /proc, time, and the wish to stop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace braidway::memory {

/// The hands of reclaim. Everything that decides goes through this, so that tests put a scripted
/// kernel in its place.
///
/// Paths are those of the machine ("/sys/devices/system/node/online"); an implementation may look
/// below another root.
/// Errors:  `Error::code` is the errno.
/// Threads: any, at once; one node's work is done by one thread.
class Machine {
  public:
    virtual ~Machine() = default;

    /// The whole text of a file (at most limits::machine_file_bytes_max).
    virtual Result<std::string> read(const std::string& path) const = 0;
    /// Writes `text` with one write(2) into an existing file. Errors: that of open or write.
    virtual Result<void> write(const std::string& path, std::string_view text) = 0;
    /// Names in a directory, sorted, without dot files.
    virtual Result<std::vector<std::string>> list(const std::string& path) const = 0;
    /// Whether this process could open the file for writing now; else why not.
    virtual Result<void> writable(const std::string& path) const = 0;
    /// What stands before every path in the file system, for locks and records; empty: nothing.
    virtual std::string root() const { return {}; }
    /// Whether this is the machine on which the process runs, so that system calls reach it, too.
    virtual bool is_here() const { return false; }
    /// Bytes of one page.
    virtual uint64_t page_bytes() const = 0;
    virtual unsigned cpus() const = 0;  ///< Online; each may hold back some counts of pages.

    virtual Instant now() const = 0;
    /// Waits; returns false at once when the run is cancelled.
    virtual bool pause(Duration length) = 0;
    virtual bool cancelled() const = 0;
};

}  // namespace braidway::memory
