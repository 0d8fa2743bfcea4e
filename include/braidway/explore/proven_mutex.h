// SPDX-License-Identifier: Apache-2.0
// A mutex of one step, for the lock inside a lock.
#pragma once

#include <cstdint>

#include "braidway/explore/atomic.h"
#include "braidway/explore/policy.h"
#include "braidway/sync/policy.h"

namespace braidway::explore {

/// A mutex that works: to take it is one visible step, which a thread can take only while nobody
/// holds it, and so is to give it back. It tells nobody who holds it.
///
/// It stands for a mutex that was proven by itself, in the proof of what stands on it: the steps of
/// such a mutex multiply with those of its users. What is then proven is the user *given* that the
/// mutex keeps its promise. Not fair: any thread that waits may be next. Under Memory::tso both
/// steps wait until the thread's store buffer is empty, as they do for the locked instructions of
/// a mutex on x86.
///
/// Shapes:  4 bytes.
/// Errors:  to give back what nobody holds is a failed check.
/// Threads: of one exploration.
class ProvenMutex {
  public:
    constexpr ProvenMutex() noexcept = default;
    ProvenMutex(const ProvenMutex&) = delete;
    ProvenMutex& operator=(const ProvenMutex&) = delete;
    ~ProvenMutex() = default;

    void lock() { perform(StepKind::mutex_lock, 1); }
    void unlock() {
        if (perform(StepKind::mutex_unlock, 0) == 0) {
            sync::lock_misused("unlock() of a mutex that is not locked", this);
        }
    }

  private:
    /// Returns what was there before: 1 while somebody holds it.
    uint64_t perform(StepKind kind, uint64_t after) {
        detail::Operation operation;
        operation.kind = kind;
        operation.change = detail::Change::set;
        operation.size_bytes = sizeof(held_);
        operation.address = &held_;
        operation.operand = after;
        detail::perform(operation);
        return operation.before;
    }

    uint32_t held_ = 0;
};

/// The explored machine, with a ProvenMutex as the lock inside a lock: BasicRwSemaphore over it is
/// the shipping code with the lock of its queue as one step each.
struct ProvenMutexPolicy : Policy {
    using InnerMutex = ProvenMutex;
};

}  // namespace braidway::explore
