// SPDX-License-Identifier: Apache-2.0
// The node's own reclaim file, in the kernel since 6.17.
#pragma once

#include "memory/reclaim/mechanism.h"

namespace braidway::memory {

/// "node-reclaim": writes "BYTES swappiness=..." to /sys/devices/system/node/nodeN/reclaim.
///
/// Page cache with swappiness=0, anonymous memory with swappiness=max, which without swap would
/// take page cache in silence: whoever asks for anonymous memory has looked at the swap before.
/// Errors: the file has one errno for everything, EAGAIN; what it means is judged elsewhere.
class NodeReclaim final : public Mechanism {
  public:
    NodeReclaim(Machine& machine, uint32_t node);

    std::string_view name() const override { return "node-reclaim"; }
    KindSet kinds() const override;
    Result<void> probe() const override;
    uint64_t chunk_bytes_max(Kind kind) const override;
    bool takes_mapped() const override { return true; }
    bool takes_tmpfs() const override { return true; }
    bool is_gated() const override { return true; }
    Answer reclaim(const Ask& ask) override;

  private:
    Machine& machine_;
    std::string path_;
};

}  // namespace braidway::memory
