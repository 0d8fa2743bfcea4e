// SPDX-License-Identifier: Apache-2.0
#include "explore/sampling.h"

#include <algorithm>
#include <bit>

#include "explore/execution.h"

namespace braidway::explore {

unsigned RandomWalk::pick(const Execution& execution) {
    Slots rest = execution.enabled();
    const unsigned count = static_cast<unsigned>(std::popcount(rest));
    // The upper half of a product: a division would take longer than the step.
    const uint64_t skip = count == 1 ? 0 : ((random_.next() >> 32) * count) >> 32;
    for (uint64_t i = 0; i < skip; ++i) rest &= rest - 1;
    return static_cast<unsigned>(std::countr_zero(rest));
}

void Pct::begin(const Execution& execution) {
    const unsigned slots = execution.slots();
    for (unsigned slot = 0; slot < slots; ++slot) {
        priority_[slot] = slot + 1;
        std::swap(priority_[slot], priority_[random_.below(slot + 1)]);
    }
    falls_.clear();
    const unsigned steps = longest_ > 0 ? longest_ : 16;
    for (unsigned i = 1; i < depth_; ++i) {
        falls_.push_back(static_cast<unsigned>(random_.below(steps)));
    }
    std::ranges::sort(falls_);
    next_fall_ = 0;
    bottom_ = 0;
}

unsigned Pct::pick(const Execution& execution) {
    longest_ = std::max(longest_, execution.step() + 1);
    const auto highest = [&] {
        unsigned best = slots_max;
        for (Slots rest = execution.enabled(); rest != 0; rest &= rest - 1) {
            const unsigned slot = static_cast<unsigned>(std::countr_zero(rest));
            if (best == slots_max || priority_[slot] > priority_[best]) best = slot;
        }
        return best;
    };
    if (execution.last() < slots_max && execution.last_gave_way()) {
        priority_[execution.last()] = --bottom_;
    }
    while (next_fall_ < falls_.size() && falls_[next_fall_] <= execution.step()) {
        priority_[highest()] = --bottom_;
        ++next_fall_;
    }
    return highest();
}

}  // namespace braidway::explore
