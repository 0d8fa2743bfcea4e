// SPDX-License-Identifier: Apache-2.0
// Pages of files that are held in memory with mlock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "memory/reclaim/range_set.h"

namespace braidway::memory {

/// Maps ranges of files and locks them: what is locked is not reclaimed, and stays mapped in every
/// process that has it.
///
/// Ranges lie at addresses that are aligned as in the file, because the kernel locks a large folio
/// only where one page table maps all of it. Locks are on the whole span of a file, but only pages
/// of the given ranges are brought into our page table, so nothing else is kept or read.
/// Shapes:  one or two areas of this process (vm.max_map_count: 65530) for each file.
/// Threads: one at a time.
class PageLock {
  public:
    PageLock();
    ~PageLock();
    PageLock(PageLock&& other) noexcept;
    PageLock& operator=(PageLock&& other) noexcept;

    /// Locks `ranges` of an open file, which may be closed afterwards. Only give ranges that are in
    /// memory: others would be read. What lies behind the end of the file is passed over.
    /// Returns 0, or an errno: EPERM or ENOMEM when the limit on locked memory does not allow it.
    int lock(int file, const std::vector<PageRange>& ranges);
    /// What is locked; a range that was locked twice counts twice.
    uint64_t bytes() const { return bytes_; }
    void unlock_all();

  private:
    struct Arena {
        std::byte* base;
        size_t size;
        size_t used;
    };
    std::vector<Arena> arenas_;
    uint64_t bytes_ = 0;
    uint64_t page_bytes_;

    std::byte* place(uint64_t offset, size_t size);
    void take_back(std::byte* base, size_t size);
    bool populate(std::byte* base, size_t size);
};

}  // namespace braidway::memory
