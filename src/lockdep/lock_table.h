// SPDX-License-Identifier: Apache-2.0
// All locks that are known, by address.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/arena.h"
#include "lockdep/lock.h"
#include "lockdep/range_filter.h"

namespace braidway::lockdep {

/// Finds locks by address, by range of memory and by id.
///
/// The memory of a lock that was forgotten is used again only after many others, so that reports
/// can still describe it; of one that a step names as evidence, much later.
///
/// Shapes:  grows in the arena, about 180 bytes a lock; 0.4 MiB of tables, touched on demand.
/// Errors:  add() returns nullptr when there is no memory.
/// Threads: find(), may_have() any, without a lock; the others one at a time. A find() that runs
///          into a change may miss a lock: whoever then enlists it finds it.
class LockTable {
  public:
    explicit LockTable(Arena& arena) : arena_(arena) {}

    /// Takes the tables' memory; false: there is none.
    bool start();

    Lock* find(const void* address) const;
    bool may_have(const void* begin, const void* end) const;

    /// A lock with a new id whose other members, but `address`, are as for a new one. Nobody finds
    /// it before publish().
    Lock* add();
    void publish(Lock& lock, const void* address);
    /// The lock is not found any more. Its address and description stay for a while.
    void remove(Lock& lock);

    /// Gives the lock a new id: whoever took it under the old one does not hold it any more.
    void renew_id(Lock& lock) { lock.id.store(++last_id_, std::memory_order_release); }

    /// A lock in [begin, end), or nullptr.
    Lock* any_in(const void* begin, const void* end) const;

    /// The lock that has or had this id, or nullptr if its description is gone. Slow.
    Lock* described(LockId id) const;

    size_t count() const { return count_; }

    /// Calls `visit(Lock&)` for each, also for those that were forgotten and can still be
    /// described (their id is 0).
    template <typename Visit>
    void for_each(Visit visit) {
        for (Slab* slab = slabs_; slab != nullptr; slab = slab->next)
            for (Lock& lock : slab->locks)
                if (lock.described_id != 0) visit(lock);
    }

  private:
    static constexpr size_t buckets = 32'768;
    static constexpr size_t page_buckets = 8'192;
    static constexpr size_t slab_locks = 64;
    static constexpr size_t kept_min =
        limits::lockdep_locks_kept_min;  ///< Forgotten ones whose memory waits.
    static constexpr size_t evidence_kept_min =
        limits::lockdep_evidence_kept_min;  ///< The same for those in evidence.

    struct Slab {
        Slab* next = nullptr;
        Lock locks[slab_locks];
    };
    /// First in, first out.
    struct Forgotten {
        Lock* first = nullptr;
        Lock* last = nullptr;
        size_t count = 0;

        void push(Lock& lock);
        Lock* pop();
    };
    struct Filters {
        RangeFilter<6, 15> lines;
        RangeFilter<12, 14> pages;
        RangeFilter<21, 12> regions;
    };

    static size_t bucket_of(const void* address);
    static size_t page_bucket_of(uintptr_t address);
    Lock* any_in_bucket(size_t bucket, uintptr_t begin, uintptr_t end) const;
    Lock* unused();

    Arena& arena_;
    std::atomic<Lock*>* by_address_ = nullptr;
    Lock** by_page_ = nullptr;
    Filters* filters_ = nullptr;
    Slab* slabs_ = nullptr;
    size_t slab_used_ = slab_locks;
    Forgotten forgotten_;
    Forgotten forgotten_evidence_;
    LockId last_id_ = 0;
    size_t count_ = 0;
};

}  // namespace braidway::lockdep
