// SPDX-License-Identifier: Apache-2.0
// Which addresses of a process have a page of a file behind them at this moment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "memory/reclaim/range_set.h"

namespace braidway::memory {

/// What the pages in question are of.
enum class Backing : uint8_t {
    file,       ///< A file; shared memory too.
    anonymous,  ///< Private memory, also copies of a file's pages that a process changed.
};

/// Looks into the page tables of processes.
///
/// Uses the PAGEMAP_SCAN call (kernel 6.7), which skips what is empty; before that reads the
/// entries of /proc/PID/pagemap one by one.
/// Units:   pages; an address is its number of bytes / page size.
/// Threads: one at a time.
class PresentPages {
  public:
    PresentPages();
    ~PresentPages();
    PresentPages(const PresentPages&) = delete;
    PresentPages& operator=(const PresentPages&) = delete;

    /// Opens another process. Returns 0 or an errno; ENOENT and ESRCH: it is gone.
    int open(pid_t process);
    /// Replaces `found` with the ranges in `within` that are present, sorted. Returns 0 or an
    /// errno.
    int find(PageRange within, Backing backing, std::vector<PageRange>& found);
    /// Never uses PAGEMAP_SCAN: for tests and old kernels.
    void read_entries_only() { scan_works_ = false; }

  private:
    int pagemap_ = -1;
    bool scan_works_ = true;
    uint64_t page_bytes_;
    std::vector<uint64_t> buffer_;

    int scan(PageRange within, Backing backing, std::vector<PageRange>& found);
    int read_entries(PageRange within, Backing backing, std::vector<PageRange>& found);
};

/// Adds to `found` the ranges that `entries` of a pagemap show as present and of that
/// backing; the first entry is of page `first`. A range that continues the last one is joined to
/// it.
void take_entries(std::span<const uint64_t> entries, uint64_t first, Backing backing,
                  std::vector<PageRange>& found);

}  // namespace braidway::memory
