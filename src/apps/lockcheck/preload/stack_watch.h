// SPDX-License-Identifier: Apache-2.0
// What is remembered of the frames that locks on stacks live in.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "apps/lockcheck/preload/runtime.h"
#include "base/limits.h"
#include "lockdep/lock.h"

namespace braidway::lockcheck {

/// A word of a stack, as it was.
struct StackWord {
    std::atomic<const uintptr_t*> place = nullptr;
    std::atomic<uintptr_t> content = 0;

    void remember(const uintptr_t* where) {
        // In this order: who reads meanwhile sees no other content at this place.
        content.store(*where, std::memory_order_relaxed);
        place.store(where, std::memory_order_release);
    }
    void forget() { place.store(nullptr, std::memory_order_relaxed); }
    bool is_known() const { return place.load(std::memory_order_relaxed) != nullptr; }
    /// Has it still the same content? Of what is known.
    bool is_same() const {
        const auto* const now =
            static_cast<const volatile uintptr_t*>(place.load(std::memory_order_relaxed));
        return *now == content.load(std::memory_order_relaxed);
    }
};

/// The frame that one lock lives in.
///
/// Threads: any. What is read while another thread writes is taken for a change of the frame, or
///          for none, which the next look finds out.
struct StackWatch {
    static constexpr size_t sites_max = limits::lockcheck_stack_sites_max;
    static constexpr size_t signs_max = limits::lockcheck_stack_signs_max;

    std::atomic<lockdep::LockId> id = 0;  ///< Of the lock that it is about; 0: of none.
    /// The end of what was searched for signs, as a distance from the lock.
    std::atomic<uint32_t> signs_bytes = 0;
    /// The return address of the frame.
    StackWord frame;
    /// In the lock itself, where the C library uses nothing: an initialiser clears it.
    StackWord mark;
    std::atomic<uintptr_t> function = 0;  ///< The one that runs in the frame.
    /// Places that used the lock while all this was so.
    std::array<std::atomic<uintptr_t>, sites_max> sites = {};
    /// Of a lock that another thread than the stack's saw first: the nearest words that look like
    /// return addresses, one of which may be the frame's.
    std::array<StackWord, signs_max> signs = {};
    /// Whose stack it is; nullptr: a fiber's.
    std::atomic<ThreadState*> owner = nullptr;
    /// Another thread than the owner has used the lock.
    std::atomic<bool> is_lent = false;
    std::atomic<lockdep::Lock*> lock = nullptr;
};

/// All of them.
///
/// Shapes:  watches_max; pages are touched as they are needed. When all are in use, the next one
///          comes from another lock, whose frame is then remembered anew when it is used.
/// Errors:  without memory nothing is remembered.
/// Threads: any.
class StackWatches {
  public:
    static constexpr size_t watches_max = limits::lockcheck_stack_watches_max;

    /// What is remembered of the lock; nullptr: nothing.
    static StackWatch* of(const lockdep::Lock& lock) {
        auto* const watch = static_cast<StackWatch*>(lock.kept.load(std::memory_order_relaxed));
        if (watch == nullptr ||
            watch->id.load(std::memory_order_acquire) != lock.id.load(std::memory_order_relaxed)) {
            return nullptr;
        }
        return watch;
    }

    /// An empty one for the lock, instead of the one it may have; nullptr: no memory. Call it in
    /// in_validator().
    static StackWatch* make(lockdep::Lock& lock);

    /// Calls visit(watch, lock) for each lock in the stack of `owner` that others have used.
    template <typename Visit>
    static void for_each_lent(const ThreadState& owner, Visit visit) {
        const size_t end = used();
        for (size_t i = 0; i < end; ++i) {
            StackWatch& watch = at(i);
            if (!watch.is_lent.load(std::memory_order_acquire) ||
                watch.owner.load(std::memory_order_relaxed) != &owner)
                continue;
            lockdep::Lock* const lock = watch.lock.load(std::memory_order_relaxed);
            if (lock != nullptr && of(*lock) == &watch) visit(watch, *lock);
        }
    }

    /// In the child of fork(), whose parent's threads may have been at work here.
    static void forget_holder();

  private:
    static size_t used();
    static StackWatch& at(size_t index);
};

}  // namespace braidway::lockcheck
