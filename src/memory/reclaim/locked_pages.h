// SPDX-License-Identifier: Apache-2.0
// The guard of a run: what processes have mapped, and what the user protects.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/reclaim/machine.h"
#include "memory/reclaim/mapped_guard.h"
#include "memory/reclaim/page_guard.h"

namespace braidway::memory {

/// A PageGuard that locks pages of this machine with mlock.
///
/// The protected files stay locked as long as the object lives, what processes have mapped from
/// hold_mapped() to release_mapped().
/// Threads: one.
class LockedPages final : public PageGuard {
  public:
    /// Locks what is cached of the files and trees in `protect`.
    LockedPages(const Machine& machine, const std::vector<std::string>& protect);

    Result<void> hold_mapped(GuardScope scope) override;
    void release_mapped() override;
    uint64_t bytes() const override;
    std::string missed() const override;

  private:
    const Machine& machine_;
    MappedGuard protected_{};
    std::optional<MappedGuard> mapped_{};
    GuardScope scope_ = GuardScope::none;
};

}  // namespace braidway::memory
