// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/range_set.h"

#include <algorithm>

namespace braidway::memory {

void RangeSet::add(PageRange range) {
    if (range.begin >= range.end) return;
    const bool all_sorted = sorted_ == ranges_.size();
    if (all_sorted && !ranges_.empty() && range.begin >= ranges_.back().begin &&
        range.begin <= ranges_.back().end) {
        ranges_.back().end = std::max(ranges_.back().end, range.end);
        return;
    }
    const bool follows = ranges_.empty() || range.begin > ranges_.back().end;
    ranges_.push_back(range);
    if (all_sorted && follows) sorted_ = ranges_.size();
    // Many processes with the same file must not make it grow without bound.
    if (ranges_.size() > 2 * sorted_ + 1024) unite();
}

bool RangeSet::covers(PageRange range) {
    if (range.begin >= range.end) return true;
    unite();
    const auto after = std::ranges::upper_bound(ranges_, range.begin, {}, &PageRange::begin);
    return after != ranges_.begin() && (after - 1)->end >= range.end;
}

const std::vector<PageRange>& RangeSet::ranges() {
    unite();
    return ranges_;
}

uint64_t RangeSet::pages() {
    unite();
    uint64_t sum = 0;
    for (const PageRange& range : ranges_) sum += range.pages();
    return sum;
}

void RangeSet::clip(uint64_t end) {
    unite();
    while (!ranges_.empty() && ranges_.back().begin >= end) ranges_.pop_back();
    if (!ranges_.empty()) ranges_.back().end = std::min(ranges_.back().end, end);
    sorted_ = ranges_.size();
}

void RangeSet::unite() {
    if (sorted_ == ranges_.size()) return;
    std::ranges::sort(ranges_, {}, &PageRange::begin);
    size_t last = 0;
    for (size_t i = 1; i < ranges_.size(); ++i) {
        if (ranges_[i].begin <= ranges_[last].end)
            ranges_[last].end = std::max(ranges_[last].end, ranges_[i].end);
        else
            ranges_[++last] = ranges_[i];
    }
    ranges_.resize(last + 1);
    sorted_ = ranges_.size();
}

}  // namespace braidway::memory
