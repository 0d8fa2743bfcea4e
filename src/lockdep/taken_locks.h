// SPDX-License-Identifier: Apache-2.0
// The locks that a thread has taken in its life.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/lock.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A lock that a thread has taken by an endless acquisition.
struct Taken {
    Lock* lock = nullptr;
    LockId id = 0;
    Hold hold = Hold::exclusive;
    StackId stack = 0;
    /// How many threads the process had made when it was taken last.
    ThreadNumber threads_before = 0;
    /// Which of the thread's acquisitions that was, counted from 1, and which the one before it of
    /// this lock; 0: none is known.
    uint32_t turn = 0;
    uint32_t turn_before = 0;

    /// Is it the lock still that was taken?
    bool live() const { return id != 0 && lock->id.load(std::memory_order_relaxed) == id; }
};

/// Remembers them, one in the place of another where there are too many.
///
/// Shapes:  locks_max; it is told only of acquisitions that do not take the short way.
/// Threads: note() and clear() its thread; at() any: it may mix the parts of two locks, of which
///          live() then says false or which differ in their stack.
class TakenLocks {
  public:
    static constexpr size_t locks_max = limits::lockdep_taken_locks_max;

    void note(const Taken& taken) {
        Slot& slot = slots_[taken.id % locks_max];
        const bool again = slot.id.load(std::memory_order_relaxed) == taken.id;
        slot.turn_before.store(again ? slot.turn.load(std::memory_order_relaxed) : 0,
                               std::memory_order_relaxed);
        slot.turn.store(++turns_, std::memory_order_relaxed);
        slot.lock.store(taken.lock, std::memory_order_relaxed);
        slot.hold.store(taken.hold, std::memory_order_relaxed);
        slot.stack.store(taken.stack, std::memory_order_relaxed);
        slot.threads_before.store(taken.threads_before, std::memory_order_relaxed);
        slot.id.store(taken.id, std::memory_order_release);
    }

    Taken at(size_t index) const {
        const Slot& slot = slots_[index];
        Taken taken;
        taken.id = slot.id.load(std::memory_order_acquire);
        taken.lock = slot.lock.load(std::memory_order_relaxed);
        taken.hold = slot.hold.load(std::memory_order_relaxed);
        taken.stack = slot.stack.load(std::memory_order_relaxed);
        taken.threads_before = slot.threads_before.load(std::memory_order_relaxed);
        taken.turn = slot.turn.load(std::memory_order_relaxed);
        taken.turn_before = slot.turn_before.load(std::memory_order_relaxed);
        return taken;
    }

    /// What is known of the lock with this id: empty, where it has lost its place to another.
    Taken find(LockId id) const {
        const Taken taken = at(id % locks_max);
        return taken.id == id ? taken : Taken{};
    }

    /// Of the last acquisition that was noted.
    uint32_t turn() const { return turns_; }

    void clear() {
        for (Slot& slot : slots_) slot.id.store(0, std::memory_order_relaxed);
    }

    void copy(const TakenLocks& other) {
        for (size_t at = 0; at < locks_max; ++at) {
            const Taken taken = other.at(at);
            if (taken.id != 0)
                note(taken);
            else
                slots_[at].id.store(0, std::memory_order_relaxed);
        }
    }

  private:
    struct Slot {
        std::atomic<Lock*> lock = nullptr;
        std::atomic<LockId> id = 0;
        std::atomic<StackId> stack = 0;
        std::atomic<ThreadNumber> threads_before = 0;
        std::atomic<uint32_t> turn = 0;
        std::atomic<uint32_t> turn_before = 0;
        std::atomic<Hold> hold = Hold::exclusive;
    };

    std::array<Slot, locks_max> slots_;
    uint32_t turns_ = 0;
};

}  // namespace braidway::lockdep
