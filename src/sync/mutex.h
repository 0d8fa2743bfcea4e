// SPDX-License-Identifier: Apache-2.0
// A mutex and a condition variable that clang's thread-safety analysis understands.
#pragma once

#include <condition_variable>
#include <mutex>

#include "sync/thread_annotations.h"

namespace braidway::sync {

/// A plain mutex. Not for the I/O path of a lane, which shares nothing.
///
/// Threads: any.
class CAPABILITY("mutex") Mutex {
  public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() ACQUIRE() { mutex_.lock(); }
    void unlock() RELEASE() { mutex_.unlock(); }

  private:
    friend class CondVar;
    std::mutex mutex_;
};

/// Holds a mutex until the end of the block.
class SCOPED_CAPABILITY MutexLock {
  public:
    explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

  private:
    Mutex& mutex_;
};

/// Where threads wait for a state that a mutex guards.
///
/// Threads: any.
class CondVar {
  public:
    /// Gives `mutex` up, sleeps until notified (or for no reason), takes it again. Call it in a
    /// loop over the awaited state.
    void wait(Mutex& mutex) REQUIRES(mutex) {
        std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
        waiters_.wait(held);
        held.release();
    }
    void notify_one() { waiters_.notify_one(); }
    void notify_all() { waiters_.notify_all(); }

  private:
    std::condition_variable waiters_;
};

}  // namespace braidway::sync
