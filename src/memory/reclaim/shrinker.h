// SPDX-License-Identifier: Apache-2.0
// Slab by node through the debugfs files of the kernel's shrinkers.
#pragma once

#include <string>
#include <vector>

#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// Objects that one shrinker could free, of one cgroup, by node.
struct ShrinkerCount {
    uint64_t cgroup = 0;  ///< Inode of the cgroup, as scan takes it; 0: of none.
    std::vector<uint64_t> objects{};
};
/// Parses shrinker/NAME/count.
std::vector<ShrinkerCount> parse_shrinker_counts(std::string_view text);

/// "shrinker": has shrinkers scan their objects on one node (CONFIG_SHRINKER_DEBUG, 6.0).
///
/// A scan counts objects, not pages, and a page is free only when its last object is. The number
/// of objects is guessed from the bytes of slab that the node has for each; the engine measures
/// and asks again. Shrinkers that free no slab (of huge pages, of zswap) are left alone.
class ShrinkerScan : public Mechanism {
  public:
    explicit ShrinkerScan(Machine& machine) : machine_(machine) {}

    std::string_view name() const override { return "shrinker"; }
    KindSet kinds() const override;
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind kind) const override;
    Answer reclaim(const Ask& ask) override;

  private:
    struct Place {
        std::string shrinker;
        uint64_t cgroup = 0;
        uint64_t objects = 0;
    };
    Machine& machine_;

    /// Everything on the node that could be scanned, most objects first.
    Result<std::vector<Place>> places(uint32_t node) const;
};

}  // namespace braidway::memory
