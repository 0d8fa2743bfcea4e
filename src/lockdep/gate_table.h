// SPDX-License-Identifier: Apache-2.0
// All locks that the steps of a path hold, to see at once whether one more step goes with them.
#pragma once

#include <cstdint>

#include "lockdep/gate_sets.h"

namespace braidway::lockdep {

/// The gates of several sets at once: how often each lock is held, or that it is held exclusively.
///
/// Errors:  add() is false, too, when there is no memory.
/// Threads: one at a time.
class GateTable {
  public:
    explicit GateTable(Arena& arena) : arena_(arena) {}

    /// Adds a set if it is compatible with every one that is there; else adds nothing.
    bool add(const GateView& gates);
    /// Takes out a set that was added.
    void remove(const GateView& gates);

  private:
    struct Entry {
        LockId lock = 0;
        uint32_t holders = 0;  ///< 0: the entry is free.
    };
    static constexpr uint32_t exclusive = UINT32_MAX;

    uint32_t home(LockId lock) const { return (lock * 0x9e3779b1u >> 7) & (size_ - 1); }
    uint32_t find(LockId lock) const;
    void erase(uint32_t at);
    bool grow();

    Arena& arena_;
    Entry* entries_ = nullptr;
    uint32_t size_ = 0;  ///< A power of two.
    uint32_t used_ = 0;
};

}  // namespace braidway::lockdep
