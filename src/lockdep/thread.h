// SPDX-License-Identifier: Apache-2.0
// What the validator knows of one thread, and the short way that almost every acquisition takes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lockdep/lock.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A lock that a thread holds.
struct HeldLock {
    std::atomic<Lock*> lock = nullptr;
    LockId id = 0;  ///< Of the lock when it was taken.
    Access access;
    uint64_t key_before = 0;  ///< The thread's key without this lock and those above it.
    uintptr_t site = 0;       ///< Return address of the call that took it.
    StackId stack = 0;        ///< When this chain was first seen; 0 unknown.
};

/// An acquisition between "wants" and "has".
struct Pending {
    Lock* lock = nullptr;
    LockId id = 0;
    Access access;
    uint64_t key = 0;  ///< The thread's key once it has the lock.
    uintptr_t site = 0;
    StackId stack = 0;
};

/// What a thread waits for when it is about to block: for the search of deadlocks that have
/// happened. Written by the thread, read by others.
struct Blocked {
    std::atomic<Lock*> lock = nullptr;
    std::atomic<uint32_t> joined = 0;  ///< ThreadNumber of the thread whose end is awaited.
    std::atomic<uint8_t> hold = 0;     ///< A Hold.
    std::atomic<bool> endless = false;
    std::atomic<uint64_t> turn = 0;  ///< Counts blocked waits, so that two looks can be compared.
};

/// One thread of the program.
///
/// The *key* of a thread stands for all it holds, in order, by instance and by how; an acquisition
/// whose key is among those that this thread has seen lately has been validated before and takes
/// the short way: two look-ups, no lock, no call.
///
/// Shapes:  about 48 KiB; the held locks grow without a limit but memory.
/// Threads: its own; `held`, `held_count` and `blocked` may be read by any.
class Thread {
  public:
    static constexpr size_t locks_cached = 512;    ///< Power of two.
    static constexpr size_t chains_cached = 1024;  ///< Power of two.

    /// The short way before an acquisition. True: nothing needs to be looked at, `pending` is
    /// complete. False: call Validator::wants().
    bool wants_known(const void* address, Access access, uintptr_t site, Pending& pending) {
        const CachedLock& cached = locks_[lock_index(address)];
        if (cached.address != address ||
            cached.lock->id.load(std::memory_order_relaxed) != cached.id) [[unlikely]] {
            return false;
        }
        pending.lock = cached.lock;
        pending.id = cached.id;
        pending.access = access;
        pending.site = site;
        pending.key = key_with(key_, cached.id, access);
        const KnownChain& chain = chains_[pending.key & (chains_cached - 1)];
        pending.stack = chain.stack;
        return chain.key == pending.key && held_count_.load(std::memory_order_relaxed) < held_room_;
    }

    /// The thread has the lock now.
    void acquired(const Pending& pending) {
        const uint32_t count = held_count_.load(std::memory_order_relaxed);
        HeldLock& held = held_[count];
        held.lock.store(pending.lock, std::memory_order_relaxed);
        held.id = pending.id;
        held.access = pending.access;
        held.key_before = key_;
        held.site = pending.site;
        held.stack = pending.stack;
        key_ = pending.key;
        held_count_.store(count + 1, std::memory_order_release);
    }

    /// The short way of giving back: true when `address` was the lock taken last. False: call
    /// Validator::released().
    bool release_last(const void* address) {
        const uint32_t count = held_count_.load(std::memory_order_relaxed);
        if (count == 0) return false;
        const HeldLock& last = held_[count - 1];
        if (last.lock.load(std::memory_order_relaxed)->address.load(std::memory_order_relaxed) !=
            address) {
            return false;
        }
        key_ = last.key_before;
        held_count_.store(count - 1, std::memory_order_release);
        return true;
    }

    uint32_t held_count() const { return held_count_.load(std::memory_order_acquire); }
    const HeldLock& held(uint32_t index) const { return held_[index]; }
    ThreadNumber number() const { return number_; }

  private:
    friend class Validator;

    struct CachedLock {
        const void* address = nullptr;
        Lock* lock = nullptr;
        LockId id = 0;
    };
    struct KnownChain {
        uint64_t key = 0;
        StackId stack = 0;
    };

    static size_t lock_index(const void* address) {
        const uint64_t bits = reinterpret_cast<uint64_t>(address);
        return ((bits >> 3) ^ (bits >> 12)) & (locks_cached - 1);
    }

    /// Mixes one more lock into a key. Never 0 in practice, and a collision only means that a chain
    /// is taken for known (2^-64 for two given ones).
    static uint64_t key_with(uint64_t key, LockId id, Access access) {
        const uint64_t what = (uint64_t{id} << 2) | (static_cast<uint64_t>(access.hold) << 1) |
                              static_cast<uint64_t>(access.patience);
        uint64_t mixed = (key ^ what) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 32;
        return mixed + key;
    }

    uint64_t key_ = 0;
    std::atomic<uint32_t> held_count_ = 0;
    uint32_t held_room_ = 0;
    HeldLock* held_ = nullptr;
    CachedLock locks_[locks_cached];
    KnownChain chains_[chains_cached];

    ThreadNumber number_ = 0;
    Blocked blocked_;
    Thread* next_ = nullptr;
};

}  // namespace braidway::lockdep
