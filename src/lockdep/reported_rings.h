// SPDX-License-Identifier: Apache-2.0
// Which rings were reported, by their classes, so that classes can get another name.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/finding.h"
#include "lockdep/mixing.h"
#include "lockdep/paged_array.h"

namespace braidway::lockdep {

/// The classes of a ring, each once; `identities` are numbers that stay the same for a class.
struct RingClasses {
    FindingKind kind = FindingKind::order;
    uint32_t count = 0;
    std::array<uint64_t, Finding::chains_max> identities;

    void add(uint64_t identity) {
        for (uint32_t at = 0; at < count; ++at)
            if (identities[at] == identity) return;
        if (count < identities.size()) identities[count++] = identity;
    }
    /// The same for every ring of this kind through the same classes.
    uint64_t key() const {
        uint64_t sum = mixed(static_cast<uint64_t>(kind) + 1);
        for (uint32_t at = 0; at < count; ++at) sum += mixed(identities[at]);
        return sum;
    }
};

/// All rings that were reported.
///
/// Shapes:  as many as fit into words_max words; of more, nothing is remembered.
/// Threads: one at a time.
class ReportedRings {
  public:
    static constexpr uint32_t words_max = limits::lockdep_ring_words_max;

    explicit ReportedRings(Arena& arena) : words_(arena) {}

    void add(const RingClasses& ring) {
        for (uint32_t at = 0; at <= ring.count; ++at)
            if (!words_.reach(used_ + at)) return;
        words_[used_++] = uint64_t{ring.count} << 8 | static_cast<uint64_t>(ring.kind);
        for (uint32_t at = 0; at < ring.count; ++at) words_[used_++] = ring.identities[at];
    }

    /// Asks `name(identity)` for the name that each class has now, and tells each ring that has
    /// another one by it to `renamed(ring)`.
    template <typename Name, typename Renamed>
    void rename(Name name, Renamed renamed) {
        for (uint32_t at = 0; at < used_;) {
            const uint64_t head = words_[at++];
            RingClasses ring;
            ring.kind = static_cast<FindingKind>(head & 0xff);
            bool changed = false;
            for (uint64_t left = head >> 8; left > 0; --left, ++at) {
                const uint64_t now = name(words_[at]);
                changed = changed || now != words_[at];
                words_[at] = now;
                ring.add(now);
            }
            if (changed) renamed(ring);
        }
    }

  private:
    PagedArray<uint64_t, 512, words_max> words_;
    uint32_t used_ = 0;
};

}  // namespace braidway::lockdep
