// SPDX-License-Identifier: Apache-2.0
// What the validator knows of one thread, and the short way that almost every acquisition takes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/lock.h"
#include "lockdep/taken_locks.h"
#include "lockdep/wait_endings.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A lock that a thread holds. What other threads may read is atomic.
struct HeldLock {
    std::atomic<Lock*> lock = nullptr;
    std::atomic<LockId> id = 0;  ///< Of the lock when it was taken; another one now: not held.
    std::atomic<Access> access = Access{};
    std::atomic<StackId> stack = 0;  ///< When this chain was first seen; 0 unknown.
    uint64_t key_before = 0;         ///< The thread's key without this lock and those above it.
    uintptr_t site = 0;              ///< Return address of the call that took it.

    /// Is it held still: neither forgotten nor given back by somebody else?
    bool live() const {
        const LockId now = lock.load(std::memory_order_relaxed)->id.load(std::memory_order_relaxed);
        return now != 0 && now == id.load(std::memory_order_relaxed);
    }
};

/// An acquisition between "wants" and "has".
struct Pending {
    Lock* lock = nullptr;  ///< nullptr: there was no memory, and acquired() does nothing.
    LockId id = 0;
    Access access;
    uint64_t key = 0;  ///< The thread's key once it has the lock.
    uintptr_t site = 0;
    StackId stack = 0;
};

/// An acquisition that was looked at, and what the thread held when it was.
struct KnownStep {
    const void* address = nullptr;
    uint64_t key_before = 0;
    Pending pending;
};

/// What a thread waits for when it is about to block: for the search of deadlocks that have
/// happened. Written by the thread, read by others.
struct Blocked {
    std::atomic<Lock*> lock = nullptr;
    /// Waits there without end; `lock` is the mutex, if it is known.
    std::atomic<const Lock*> condition = nullptr;
    std::atomic<uint32_t> joined = 0;  ///< ThreadNumber of the thread whose end is awaited.
    std::atomic<uint8_t> hold = 0;     ///< A Hold.
    std::atomic<bool> endless = false;
    std::atomic<StackId> stack = 0;  ///< Of the thread's first look for a hang; 0 before.
    std::atomic<uint64_t> turn = 0;  ///< Counts blocked waits, so that two looks can be compared.
};

/// One thread of the program.
///
/// The *key* of a thread stands for all it holds, in order, by instance, by how and from where; an
/// acquisition whose key is among those that this thread has seen lately has been validated before
/// and takes the short way: no lock, and two look-ups; one, where the last acquisition of the lock
/// was in the same place with the same locks held.
///
/// Shapes:  7 KiB at first; 28 KiB more once it has seen many locks or chains; the held locks grow
///          without a limit but memory.
/// Threads: its own; held(), held_count(), number() and the Blocked inside may be read by any.
class Thread {
  public:
    static constexpr size_t locks_cached_min =
        limits::lockdep_locks_cached_min;  ///< Powers of two, all of them.
    static constexpr size_t locks_cached_max = limits::lockdep_locks_cached_max;
    static constexpr size_t chains_cached_min = limits::lockdep_chains_cached_min;
    static constexpr size_t chains_cached_max = limits::lockdep_chains_cached_max;
    static constexpr size_t hot_steps_log2 = 5;

    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    /// The short way before an acquisition. True: nothing needs to be looked at, `pending` is
    /// complete. False: call Validator::wants().
    bool wants_known(const void* address, Access access, uintptr_t site, Pending& pending) {
        const KnownStep* const step = known_step(address, access, site);
        if (step == nullptr) [[unlikely]]
            return false;
        pending = step->pending;
        return true;
    }

    /// The same without a copy; nullptr for false. What it points to holds until the next call.
    const KnownStep* known_step(const void* address, Access access, uintptr_t site) {
        const KnownStep* const hot = hot_step(address, access, site);
        return hot != nullptr ? hot : look_up_step(address, access, site);
    }

    /// As known_step(), of the few that were used last. A locked instruction follows, which waits
    /// for all of this: that is why there is only one look-up, and nothing to compute.
    const KnownStep* hot_step(const void* address, Access access, uintptr_t site) const {
        const KnownStep& hot = hot_steps_[hot_index(address)];
        const Pending& pending = hot.pending;
        // There is room for what is held: there was when as much was held as now.
        if (hot.address == address && hot.key_before == key_ && pending.site == site &&
            pending.access == access &&
            pending.lock->id.load(std::memory_order_relaxed) == pending.id) [[likely]] {
            return &hot;
        }
        return nullptr;
    }

    /// The thread has the lock now.
    void acquired(const Pending& pending) {
        if (pending.lock == nullptr) [[unlikely]]
            return;
        const uint32_t count = held_count_.load(std::memory_order_relaxed);
        HeldLock& held = held_.load(std::memory_order_relaxed)[count];
        held.lock.store(pending.lock, std::memory_order_relaxed);
        held.id.store(pending.id, std::memory_order_relaxed);
        held.access.store(pending.access, std::memory_order_relaxed);
        held.stack.store(pending.stack, std::memory_order_relaxed);
        held.key_before = key_;
        held.site = pending.site;
        key_ = pending.key;
        held_count_.store(count + 1, std::memory_order_release);
    }

    /// The short way of giving back: true when `address` was the lock taken last. False: call
    /// Validator::released().
    bool release_last(const void* address) {
        const uint32_t count = held_count_.load(std::memory_order_relaxed);
        if (count == 0) return false;
        const HeldLock& last = held_.load(std::memory_order_relaxed)[count - 1];
        if (last.lock.load(std::memory_order_relaxed)->address.load(std::memory_order_relaxed) !=
            address) {
            return false;
        }
        key_ = last.key_before;
        held_count_.store(count - 1, std::memory_order_release);
        return true;
    }

    uint32_t held_count() const { return held_count_.load(std::memory_order_acquire); }
    /// How many fit into what held() reads from.
    uint32_t held_room() const { return held_room_; }
    const HeldLock& held(uint32_t index) const {
        return held_.load(std::memory_order_acquire)[index];
    }
    ThreadNumber number() const { return number_.load(std::memory_order_relaxed); }
    /// As Validator::signals_blocked() was told last.
    uint64_t signals_blocked() const { return signals_blocked_; }

  private:
    friend class Validator;

    // Without initial values, so that a new Thread touches no more memory than it needs.
    struct CachedLock {
        const void* address;
        Lock* lock;
        LockId id;
    };
    struct KnownChain {
        uint64_t key;
        StackId stack;
    };

    Thread() = default;

    /// Looks among everything that the thread has seen lately; what it finds is hot from here on.
    [[gnu::noinline]] const KnownStep* look_up_step(const void* address, Access access,
                                                    uintptr_t site) {
        const CachedLock& cached = locks_[lock_index(address)];
        if (cached.address != address ||
            cached.lock->id.load(std::memory_order_relaxed) != cached.id) {
            return nullptr;
        }
        const uint64_t key = key_with(key_, cached.id, access, site);
        const KnownChain& chain = chains_[key & chain_mask_];
        if (chain.key != key || held_count_.load(std::memory_order_relaxed) >= held_room_)
            return nullptr;
        KnownStep& hot = hot_steps_[hot_index(address)];
        hot = {.address = address,
               .key_before = key_,
               .pending = {.lock = cached.lock,
                           .id = cached.id,
                           .access = access,
                           .key = key,
                           .site = site,
                           .stack = chain.stack}};
        return &hot;
    }

    /// Everything that the thread wants must be looked at again.
    void forget_chains() {
        for (uint32_t at = 0; at <= chain_mask_; ++at) chains_[at].key = 0;
        for (KnownStep& hot : hot_steps_) hot.address = nullptr;
    }

    /// Neighbours of 4 bytes and more, elements of arrays of larger objects, and objects at the
    /// same place of different pages go to different slots.
    size_t lock_index(const void* address) const {
        const uint64_t bits = reinterpret_cast<uint64_t>(address);
        return ((bits >> 2) ^ (bits >> 7) ^ (bits >> 12)) & lock_mask_;
    }
    /// Locks that are used together are at any distance, and two at one index would be slow.
    static size_t hot_index(const void* address) {
        return (reinterpret_cast<uint64_t>(address) * 0x9e3779b97f4a7c15) >> (64 - hot_steps_log2);
    }

    /// Mixes one more lock into a key. Never 0 in practice, and a collision only means that a chain
    /// is taken for known (2^-64 for two given ones).
    static uint64_t key_with(uint64_t key, LockId id, Access access, uintptr_t site) {
        const uint64_t what = (uint64_t{id} << 2) | (static_cast<uint64_t>(access.hold) << 1) |
                              static_cast<uint64_t>(access.patience);
        uint64_t mixed = (key ^ what ^ (uint64_t{site} << 34)) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 32;
        return mixed + key + site;
    }

    uint64_t key_ = 0;
    std::atomic<HeldLock*> held_ = nullptr;
    CachedLock* locks_ = nullptr;
    KnownChain* chains_ = nullptr;
    std::atomic<uint32_t> held_count_ = 0;
    uint32_t held_room_ = 0;
    uint32_t lock_mask_ = 0;
    uint32_t chain_mask_ = 0;
    KnownStep hot_steps_[size_t{1} << hot_steps_log2];

    // What the short way does not need.
    std::atomic<ThreadNumber> number_ = 0;
    std::atomic<bool> alive_ = false;
    /// Was in the process that this one was forked from: what it held nobody will give back here.
    std::atomic<bool> lost_ = false;
    bool listed_ = false;
    bool lost_locks_ = false;  ///< Holds locks for which there was no memory.
    uint32_t misses_ = 0;      ///< Times that the short way did not do; to choose the cache sizes.
    CachedLock* large_locks_ = nullptr;
    KnownChain* large_chains_ = nullptr;
    Blocked blocked_;
    static constexpr uint32_t handlers_max =
        limits::lockdep_handlers_max;  ///< Deeper ones are not told apart.
    struct Handler {
        uint64_t key = 0;  ///< And what it held, before it began.
        uint32_t held_count = 0;
        int number = 0;
    };
    uint64_t signals_blocked_ = 0;
    uint32_t handler_depth_ = 0;
    Handler handlers_[handlers_max];
    uint64_t search_ = 0;  ///< The last search for hangs that came here; the rest is of that one.
    Thread* waited_for_by_ = nullptr;
    Thread* next_to_search_ = nullptr;
    Thread* next_ = nullptr;       ///< In the list of all threads.
    Thread* next_idle_ = nullptr;  ///< In the list of those that can be used again.

    /// Who made it, who made that one, and so on; 0: nobody, or not known.
    std::array<ThreadNumber, 4> ancestors_ = {};
    WaitEnding ending_;  ///< Of its last wait, until it counts.
    /// Which conditions it has notified: some bits that stand for several of them.
    std::array<uint64_t, 4> notified_ = {};
    TakenLocks taken_;

    static constexpr size_t held_min = limits::lockdep_held_min;
    HeldLock small_held_[held_min];
    CachedLock small_locks_[locks_cached_min];
    KnownChain small_chains_[chains_cached_min];
};

}  // namespace braidway::lockdep
