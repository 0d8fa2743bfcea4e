// SPDX-License-Identifier: Apache-2.0
// Which addresses of a process have a page of a file behind them at this moment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "memory/reclaim/range_set.h"

namespace braidway::memory {

/// Looks into the page tables of processes.
///
/// Uses the PAGEMAP_SCAN call (kernel 6.7), which skips what is empty; before that reads the
/// entries of /proc/PID/pagemap one by one. Copies that a process made for itself by writing are
/// not of the file and are left out.
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
    int find(PageRange within, std::vector<PageRange>& found);
    /// Never uses PAGEMAP_SCAN: for tests and old kernels.
    void read_entries_only() { scan_works_ = false; }

  private:
    int pagemap_ = -1;
    bool scan_works_ = true;
    uint64_t page_bytes_;
    std::vector<uint64_t> buffer_;

    int scan(PageRange within, std::vector<PageRange>& found);
    int read_entries(PageRange within, std::vector<PageRange>& found);
};

/// Adds to `found` the ranges that `entries` of a pagemap show as present and of a file; the first
/// entry is of page `first`. A range that continues the last one is joined to it.
void take_entries(std::span<const uint64_t> entries, uint64_t first, std::vector<PageRange>& found);

}  // namespace braidway::memory
