// SPDX-License-Identifier: Apache-2.0
// What keeps pages where they are while others are freed.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace braidway::memory {

/// Whose mapped files are guarded.
enum class GuardScope : uint8_t {
    none,        ///< Nobody's.
    large_only,  ///< Of processes with more than limits::guard_large_bytes of files in memory; for
                 ///< the rest the kernel's own preference is enough.
    all,         ///< Of every other process.
};

/// Locks pages of files in memory, so that no means of the kernel takes them. Released at the end
/// of its life.
/// Threads: one.
class PageGuard {
  public:
    virtual ~PageGuard() = default;
    /// Guards what processes have mapped now. A wider guard that is held already stands.
    /// Errors: something could not be guarded, and then nothing is; `code` is an errno.
    virtual Result<void> hold_mapped(GuardScope scope) = 0;
    /// Lets go of what hold_mapped() locked.
    virtual void release_mapped() = 0;
    virtual uint64_t bytes() const = 0;  ///< Locked now.
    /// What could not be guarded, in one sentence; empty: nothing.
    virtual std::string missed() const = 0;
};

}  // namespace braidway::memory
