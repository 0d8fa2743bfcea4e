// SPDX-License-Identifier: Apache-2.0
// Locks that were a class of their own and have gone, but may turn out to be of a class with
// others.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "lockdep/class_origin.h"
#include "lockdep/paged_array.h"

namespace braidway::lockdep {

/// A lock that has gone, and its node, which is retired. Node 0: none.
struct FormerLock {
    ClassOrigin origin;
    NodeId node = 0;
};

/// The last former_max of them.
///
/// Errors:  keep() is false when there is no memory.
/// Threads: one at a time.
class FormerLocks {
  public:
    static constexpr uint32_t former_max = limits::lockdep_formers_max;

    explicit FormerLocks(Arena& arena) : all_(arena) {}

    /// Keeps one; `dropped` is the node of the one that it takes the place of, or 0.
    bool keep(const FormerLock& lock, NodeId& dropped) {
        dropped = 0;
        if (!all_.reach(next_)) return false;
        dropped = all_[next_].node;
        all_[next_] = lock;
        if (next_ == count_) ++count_;
        next_ = (next_ + 1) % former_max;
        return true;
    }

    uint32_t count() const { return count_; }
    FormerLock& operator[](uint32_t index) { return all_[index]; }
    const FormerLock& operator[](uint32_t index) const { return all_[index]; }

  private:
    PagedArray<FormerLock, 32, former_max> all_;
    uint32_t count_ = 0;
    uint32_t next_ = 0;
};

}  // namespace braidway::lockdep
