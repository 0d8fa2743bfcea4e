// SPDX-License-Identifier: Apache-2.0
// The last resort: everything that is clean, on every node.
#pragma once

#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// "drop-caches": drops all page cache that is clean and not mapped, or all slab objects that
/// nothing holds. Knows neither node nor amount, so it takes the user's consent (Reach::global),
/// and it gives all it has in one call.
///
/// Slab: inodes with cached pages stay. Where page cache was asked for too, both are dropped
/// together and twice, as the second pass frees what the first has let go of.
class DropCaches : public Mechanism {
  public:
    explicit DropCaches(Machine& machine) : machine_(machine) {}

    std::string_view name() const override { return "drop-caches"; }
    KindSet kinds() const override;
    Reach reach() const override { return Reach::global; }
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind) const override { return UINT64_MAX; }
    Answer reclaim(const Ask& ask) override;

  private:
    Machine& machine_;
    bool dropped_page_cache_ = false;
};

}  // namespace braidway::memory
