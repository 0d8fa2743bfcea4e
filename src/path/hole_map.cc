// SPDX-License-Identifier: Apache-2.0
#include "path/hole_map.h"

#include <algorithm>

namespace braidway::path {

HoleMap::HoleMap(size_t ranges_max) : ranges_max_(ranges_max) {
    ranges_.reserve(ranges_max + 1);
}

size_t HoleMap::first_ending_after(uint64_t offset_bytes) const {
    const auto found =
        std::upper_bound(ranges_.begin(), ranges_.end(), offset_bytes,
                         [](uint64_t offset, const Range& range) { return offset < range.end; });
    return static_cast<size_t>(found - ranges_.begin());
}

void HoleMap::add(uint64_t offset_bytes, uint64_t length_bytes) {
    if (length_bytes == 0) return;
    Range merged{offset_bytes, offset_bytes + length_bytes};
    // Every range that overlaps or touches the new one becomes part of it.
    size_t first = offset_bytes == 0 ? 0 : first_ending_after(offset_bytes - 1);
    size_t last = first;
    while (last < ranges_.size() && ranges_[last].begin <= merged.end) {
        merged.begin = std::min(merged.begin, ranges_[last].begin);
        merged.end = std::max(merged.end, ranges_[last].end);
        ++last;
    }
    if (first == last) {
        if (ranges_.size() >= ranges_max_) return;
        ranges_.insert(ranges_.begin() + static_cast<ptrdiff_t>(first), merged);
        return;
    }
    ranges_[first] = merged;
    ranges_.erase(ranges_.begin() + static_cast<ptrdiff_t>(first + 1),
                  ranges_.begin() + static_cast<ptrdiff_t>(last));
}

void HoleMap::remove(uint64_t offset_bytes, uint64_t length_bytes) {
    if (length_bytes == 0 || ranges_.empty()) return;
    const uint64_t end = offset_bytes + length_bytes;
    size_t at = first_ending_after(offset_bytes);
    if (at == ranges_.size() || ranges_[at].begin >= end) return;
    if (ranges_[at].begin < offset_bytes) {
        const Range behind{end, ranges_[at].end};
        ranges_[at].end = offset_bytes;
        ++at;
        if (behind.begin < behind.end) {
            // A hole in the middle: two ranges from one. A full map forgets the second.
            if (ranges_.size() < ranges_max_)
                ranges_.insert(ranges_.begin() + static_cast<ptrdiff_t>(at), behind);
            return;
        }
    }
    size_t last = at;
    while (last < ranges_.size() && ranges_[last].end <= end) ++last;
    if (last < ranges_.size() && ranges_[last].begin < end) ranges_[last].begin = end;
    ranges_.erase(ranges_.begin() + static_cast<ptrdiff_t>(at),
                  ranges_.begin() + static_cast<ptrdiff_t>(last));
}

bool HoleMap::covers(uint64_t offset_bytes, uint64_t length_bytes) const {
    const size_t at = first_ending_after(offset_bytes);
    return at < ranges_.size() && ranges_[at].begin <= offset_bytes &&
           ranges_[at].end >= offset_bytes + length_bytes;
}

}  // namespace braidway::path
