// SPDX-License-Identifier: Apache-2.0
// From where the program takes a lock: where it calls us, or, where that is in a wrapper, who calls
// the wrapper.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/mixed.h"
#include "base/limits.h"

namespace braidway::lockcheck {

/// What is known of return addresses: which are in wrappers, and where the wrapper's own one is.
///
/// All acquisitions through std::mutex::lock() have one return address where that function is not
/// inlined, and so they have through a lock() of the program's own. They are told apart by the
/// callers then, so that a report shows the stack of the one that it is about. A function is a
/// wrapper of a lock function when it hands its parameter on to it, or something in what it was
/// handed, and does not give it back; and a wrapper of a wrapper when that is the only function of
/// its module that it calls.
///
/// The way from a return address to the next one is learnt by unwinding, once for each: frames of
/// small functions have a fixed size.
///
/// Shapes:  places_max return addresses; those that find no room are taken as they are.
/// Threads: any.
class CallPlaces {
  public:
    /// Stands for the place: `site` itself, where it is in no wrapper. `slot`: where on this
    /// thread's stack the return address `site` is. False: something on the way is not known yet.
    bool find(uintptr_t site, uintptr_t slot, uintptr_t& place) const {
        place = site;
        uintptr_t returns_to = site;
        for (size_t depth = 0; depth < depth_max; ++depth) {
            const uint32_t distance = distance_of(returns_to);
            if (distance == stop) return true;
            if (distance == unknown) return false;
            slot += distance;
            returns_to = *reinterpret_cast<const uintptr_t*>(slot);
            place = mixed(place, returns_to);
        }
        return true;
    }

    /// Is the function that goes on at this return address known to be a wrapper?
    bool in_wrapper(uintptr_t returns_to) const { return distance_of(returns_to) > stop; }

    /// Learns what find() does not know. Call it in in_validator().
    void learn(uintptr_t site, uintptr_t slot);

  private:
    static constexpr size_t depth_max = limits::lockcheck_call_depth_max;
    static constexpr size_t places_max = limits::lockcheck_call_places_max;
    static constexpr size_t tries_max = 8;  ///< Neighbours that are looked at.
    static constexpr uint32_t unknown = 0;
    static constexpr uint32_t stop = 1;  ///< Not a wrapper, or no room to remember it.

    struct Entry {
        std::atomic<uintptr_t> address = 0;
        std::atomic<uint32_t> distance = unknown;
    };

    static size_t index_of(uintptr_t address, size_t attempt) {
        return ((address * 0x9e3779b97f4a7c15 >> 40) + attempt) % places_max;
    }
    uint32_t distance_of(uintptr_t address) const {
        for (size_t attempt = 0; attempt < tries_max; ++attempt) {
            const Entry& entry = entries_[index_of(address, attempt)];
            const uintptr_t found = entry.address.load(std::memory_order_acquire);
            if (found == address) return entry.distance.load(std::memory_order_relaxed);
            if (found == 0) return unknown;
        }
        return stop;
    }
    void note(uintptr_t address, uint32_t distance);

    std::array<Entry, places_max> entries_{};
};

extern constinit CallPlaces call_places;

}  // namespace braidway::lockcheck
