// SPDX-License-Identifier: Apache-2.0
// The classes of locks, by key.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/arena.h"
#include "lockdep/lock.h"

namespace braidway::lockdep {

/// What is known of a class. It stays when all its locks have gone.
struct LockClass {
    uint64_t key = 0;
    uint32_t id = 0;
    NodeId node = 0;          ///< 0 until a step needs it.
    Lock* example = nullptr;  ///< The lock seen first. Its memory may be another lock's by now.
    bool merged = false;      ///< Id and node are those of a class that it turned out to be of.
};

/// Finds classes by the key of Making.
///
/// Shapes:  classes_max; 0.5 MiB, touched on demand.
/// Errors:  get() returns nullptr when it is full.
/// Threads: one at a time.
class ClassTable {
  public:
    static constexpr uint32_t classes_max = limits::lockdep_classes_max;
    /// Set in the id of a lock that is its own class; the rest is the lock's id.
    static constexpr uint32_t own_class = 0x8000'0000;

    explicit ClassTable(Arena& arena) : arena_(arena) {}

    /// Takes the memory; false: there is none.
    bool start();

    /// The class with this key, which is not 0; made when it is not known yet.
    LockClass* get(uint64_t key);

    /// The first lock of the class with this node, or nullptr. Slow.
    const Lock* example_of(NodeId node) const;

    uint32_t count() const { return count_; }

    /// Calls `visit(LockClass&)` for each.
    template <typename Visit>
    void for_each(Visit visit) {
        for (size_t at = 0; at < slots; ++at)
            if (slots_[at].key != 0) visit(slots_[at]);
    }

  private:
    static constexpr size_t slots = 2 * classes_max;

    Arena& arena_;
    LockClass* slots_ = nullptr;
    uint32_t count_ = 0;
};

}  // namespace braidway::lockdep
