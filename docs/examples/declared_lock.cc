// SPDX-License-Identifier: Apache-2.0
// A lock of one's own, declared to lockcheck. Without lockcheck each call is a test of a pointer.
#include <braidway/lockcheck.h>

#include <atomic>
#include <cstdio>
#include <thread>

class SpinLock {
  public:
    explicit SpinLock(const char* lock_class) {
        lockcheck_init(this, sizeof *this, LOCKCHECK_MUTEX, lock_class);
    }
    ~SpinLock() { lockcheck_destroy(this); }
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

    void lock() {
        lockcheck_wants(this, LOCKCHECK_WRITE);
        while (taken_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
        lockcheck_acquired(this, LOCKCHECK_WRITE);
    }
    bool try_lock() {
        if (taken_.exchange(true, std::memory_order_acquire)) return false;
        lockcheck_acquired(this, LOCKCHECK_WRITE);
        return true;
    }
    void unlock() {
        lockcheck_released(this);
        taken_.store(false, std::memory_order_release);
    }

  private:
    std::atomic<bool> taken_ = false;
};

int main() {
    SpinLock pool("pool");
    SpinLock log("log");
    lockcheck_name(&log, "the log's lock");

    pool.lock();
    log.lock();
    log.unlock();
    pool.unlock();

    log.lock();
    if (pool.try_lock()) pool.unlock();  // No finding: a try does not wait.
    lockcheck_may_sleep("fsync");        // A finding: the log's lock is held.
    log.unlock();

    std::printf("%s\n", lockcheck_is_watching() != 0 ? "watched" : "not watched");
    return 0;
}
