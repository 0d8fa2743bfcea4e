// SPDX-License-Identifier: Apache-2.0
// What is known of the holes of a file: enough to answer reads of them without asking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/limits.h"

namespace braidway::path {

/// A bounded set of byte ranges that are known to be holes. Knowing too little is harmless: a full
/// map forgets. Knowing too much would lose data, so whoever changes the file tells the map first.
///
/// Shapes:  at most `ranges_max` disjoint ranges; memory is taken once, at creation.
/// Threads: one lane.
class HoleMap {
  public:
    explicit HoleMap(size_t ranges_max = limits::hole_ranges_max);

    /// [offset, offset + length) is a hole now.
    void add(uint64_t offset_bytes, uint64_t length_bytes);
    /// [offset, offset + length) may hold data from now on.
    void remove(uint64_t offset_bytes, uint64_t length_bytes);
    /// Whether all of [offset, offset + length) is known to be a hole. O(log ranges).
    bool covers(uint64_t offset_bytes, uint64_t length_bytes) const;
    size_t ranges() const { return ranges_.size(); }

  private:
    struct Range {
        uint64_t begin;
        uint64_t end;
    };
    size_t first_ending_after(uint64_t offset_bytes) const;

    std::vector<Range> ranges_;  ///< Sorted, disjoint, not touching.
    size_t ranges_max_;
};

}  // namespace braidway::path
