// SPDX-License-Identifier: Apache-2.0
// Tells quickly that a range of memory has no lock in it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lockdep/mixing.h"

namespace braidway::lockdep {

/// Counts addresses by the granule of memory in which they are.
///
/// Shapes:  granules of 2^shift bytes share 2^slots_log2 counters. A counter that reached its end
///          stays there: may_have() then says true for ever.
/// Threads: may_have() any; the others one at a time.
template <unsigned shift, unsigned slots_log2>
class RangeFilter {
  public:
    void add(uintptr_t address) {
        std::atomic<uint16_t>& counter = counter_at(address >> shift);
        const uint16_t count = counter.load(std::memory_order_relaxed);
        if (count != UINT16_MAX)
            counter.store(static_cast<uint16_t>(count + 1), std::memory_order_release);
    }

    void remove(uintptr_t address) {
        std::atomic<uint16_t>& counter = counter_at(address >> shift);
        const uint16_t count = counter.load(std::memory_order_relaxed);
        if (count != UINT16_MAX && count != 0)
            counter.store(static_cast<uint16_t>(count - 1), std::memory_order_release);
    }

    /// May an address in [begin, end) have been added? Looks at no more than `granules_max`
    /// granules and says true for larger ranges. The range is not empty.
    bool may_have(uintptr_t begin, uintptr_t end, size_t granules_max) const {
        const uintptr_t first = begin >> shift;
        const uintptr_t last = (end - 1) >> shift;
        if (last - first >= granules_max) return true;
        for (uintptr_t granule = first; granule <= last; ++granule)
            if (counters_[slot(granule)].load(std::memory_order_acquire) != 0) return true;
        return false;
    }

  private:
    static size_t slot(uintptr_t granule) { return mixed(granule) >> (64 - slots_log2); }
    std::atomic<uint16_t>& counter_at(uintptr_t granule) { return counters_[slot(granule)]; }

    std::atomic<uint16_t> counters_[size_t{1} << slots_log2];
};

}  // namespace braidway::lockdep
