// SPDX-License-Identifier: Apache-2.0
// The one lock inside the validator.
#pragma once

#include <atomic>
#include <cstdint>

namespace braidway::lockdep {

/// Guards the validator's tables.
///
/// The room cannot use the locks of sync/: they will themselves be validated, and the C library's
/// may be interposed. A lock that only spins would hang where a thread with real-time priority
/// waits for one without; so waiters sleep on a futex. errno stays as it was.
///
/// Shapes:  one word; 0 free, 1 held, 2 held and somebody waits.
/// Threads: any. Not recursive. In the child of a fork, the thread that held it goes on holding it.
/// Source:  the three-state mutex of "Futexes Are Tricky" (Drepper, 2011).
class InternalLock {
  public:
    void lock() {
        uint32_t free = 0;
        if (!word_.compare_exchange_strong(free, 1, std::memory_order_acquire)) wait();
    }

    void unlock() {
        if (word_.exchange(0, std::memory_order_release) == 2) wake();
    }

  private:
    void wait();
    void wake();

    std::atomic<uint32_t> word_ = 0;
};

/// Holds an InternalLock as long as it lives.
class InternalGuard {
  public:
    explicit InternalGuard(InternalLock& lock) : lock_(lock) { lock_.lock(); }
    ~InternalGuard() { lock_.unlock(); }
    InternalGuard(const InternalGuard&) = delete;
    InternalGuard& operator=(const InternalGuard&) = delete;

  private:
    InternalLock& lock_;
};

}  // namespace braidway::lockdep
