// SPDX-License-Identifier: Apache-2.0
// Reclaim by node and kind through MGLRU's debugfs file, for kernels 6.1 to 6.16.
#pragma once

#include "memory/reclaim/lru_generations.h"
#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// "mglru": evicts old generations of the cgroups on one node, page-exactly.
///
/// What is old goes first. Where that is not enough, two new generations are made, so that what
/// was used last can go as well; only what is used between (mapped memory) stays.
/// The amount is spread over the cgroups of the node by their size. The kernel says nothing of how
/// much it freed; this reads its generations again.
/// It cannot tell mapped page cache from unmapped, nor tmpfs from anonymous memory.
/// Anonymous memory is never asked for with less free swap than the amount: the kernel would take
/// page cache instead.
class Mglru : public Mechanism {
  public:
    explicit Mglru(Machine& machine) : machine_(machine) {}

    std::string_view name() const override { return "mglru"; }
    KindSet kinds() const override;
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind kind) const override;
    bool takes_mapped() const override { return true; }
    bool takes_tmpfs() const override { return true; }
    Answer reclaim(const Ask& ask) override;

  private:
    Machine& machine_;

    /// The generations on one node; cgroups without pages of the kind are left out.
    Result<std::vector<LruGenerations>> read_node(uint32_t node, Kind kind) const;
    /// Makes new generations in each, so that all that is there now can be evicted.
    int age(const std::vector<LruGenerations>& lists, Kind kind);
    /// Asks for `pages` of what can be evicted now, from each by its size. Returns an errno.
    int evict(std::vector<LruGenerations> lists, Kind kind, uint64_t pages);
    /// Writes one command. What a cgroup answers that has gone meanwhile is no error.
    int command(const std::string& text);
};

}  // namespace braidway::memory
