// SPDX-License-Identifier: Apache-2.0
// Ranges of pages of one file, united.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace braidway::memory {

/// Pages [begin, end).
struct PageRange {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint64_t pages() const { return end - begin; }
    bool operator==(const PageRange&) const = default;
};

/// A set of pages, kept as ranges that neither overlap nor touch. Ranges may be added in any order
/// and are sorted only when somebody looks.
/// Threads: one at a time.
class RangeSet {
  public:
    /// An empty range is ignored.
    void add(PageRange range);
    /// Whether every page of `range` is in the set.
    bool covers(PageRange range);
    /// Sorted.
    const std::vector<PageRange>& ranges();
    uint64_t pages();
    /// How many ranges are held in memory; touching ones may count twice.
    size_t size() const { return ranges_.size(); }
    bool empty() const { return ranges_.empty(); }
    /// Leaves out everything from page `end` on.
    void clip(uint64_t end);

  private:
    std::vector<PageRange> ranges_;
    size_t sorted_ = 0;  ///< So many at the front are sorted and united.

    void unite();
};

}  // namespace braidway::memory
