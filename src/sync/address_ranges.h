// SPDX-License-Identifier: Apache-2.0
// A set of address ranges that a signal handler can read while other threads change it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace braidway::sync {

/// Up to `ranges_max` ranges [begin, end). Constant-initialised, so that it works before and after
/// main().
///
/// Each slot has a sequence number that is odd while the slot changes; a reader that meets a change
/// skips the slot, since nobody relies upon a range that is being added or removed.
///
/// Threads: add() and remove() any, without locks, so also in a child of fork(); for_each() any and
///          signal handlers.
template <unsigned ranges_max>
class AddressRanges {
  public:
    static constexpr unsigned no_slot = UINT32_MAX;

    /// Returns the slot for remove(), or no_slot when the set is full. `begin` is not 0.
    unsigned add(uintptr_t begin, uintptr_t end) noexcept {
        for (unsigned slot = 0; slot < ranges_max; ++slot) {
            Range& range = ranges_[slot];
            uint32_t sequence = range.sequence.load(std::memory_order_acquire);
            if (sequence % 2 == 1 || range.begin.load(std::memory_order_relaxed) != 0) continue;
            if (!range.sequence.compare_exchange_strong(sequence, sequence + 1,
                                                        std::memory_order_acquire)) {
                continue;
            }
            // Taken and given back since the look: it is free still, or the exchange had failed.
            range.begin.store(begin, std::memory_order_release);
            range.end.store(end, std::memory_order_release);
            unsigned used = used_.load(std::memory_order_relaxed);
            while (used <= slot &&
                   !used_.compare_exchange_weak(used, slot + 1, std::memory_order_release)) {}
            range.sequence.store(sequence + 2, std::memory_order_release);
            return slot;
        }
        return no_slot;
    }

    void remove(unsigned slot) noexcept {
        Range& range = ranges_[slot];
        const uint32_t sequence = range.sequence.load(std::memory_order_relaxed);
        range.sequence.store(sequence + 1, std::memory_order_relaxed);
        range.begin.store(0, std::memory_order_release);
        range.end.store(0, std::memory_order_release);
        range.sequence.store(sequence + 2, std::memory_order_release);
    }

    /// Calls `visit(begin, end)` with each range until it returns true; whether it did.
    template <typename Visit>
    bool any_of(Visit&& visit) const noexcept {
        const unsigned used = used_.load(std::memory_order_acquire);
        for (unsigned slot = 0; slot < used; ++slot) {
            const Range& range = ranges_[slot];
            const uint32_t sequence = range.sequence.load(std::memory_order_acquire);
            const uintptr_t begin = range.begin.load(std::memory_order_acquire);
            const uintptr_t end = range.end.load(std::memory_order_acquire);
            if (begin == 0 || sequence % 2 == 1) continue;
            if (range.sequence.load(std::memory_order_relaxed) != sequence) continue;
            if (visit(begin, end)) return true;
        }
        return false;
    }

  private:
    struct Range {
        std::atomic<uint32_t> sequence = 0;
        std::atomic<uintptr_t> begin = 0;
        std::atomic<uintptr_t> end = 0;
    };

    std::array<Range, ranges_max> ranges_{};
    std::atomic<unsigned> used_ = 0;
};

}  // namespace braidway::sync
