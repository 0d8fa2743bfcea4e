// SPDX-License-Identifier: Apache-2.0
// Our locks and their peers in one shape, for bench/locks_bench.cc.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "base/check.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"
#include "braidway/sync/shared_rw_semaphore.h"

#ifdef BRAIDWAY_BENCH_ABSL
#include <absl/synchronization/mutex.h>
#endif
#ifdef BRAIDWAY_BENCH_TBB
#include <oneapi/tbb/queuing_rw_mutex.h>
#include <oneapi/tbb/rw_mutex.h>
#include <oneapi/tbb/spin_rw_mutex.h>
#endif

namespace braidway::bench {

/// The shape: reading() and writing() run a function with the lock held. Locks with the names of
/// std::shared_mutex have it already.
///
/// Threads: any.
template <typename Lock>
struct StandardPeer {
    using Measured = Lock;
    Lock lock;

    template <typename Inside>
    void reading(Inside&& inside) {
        lock.lock_shared();
        inside();
        lock.unlock_shared();
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        lock.lock();
        inside();
        lock.unlock();
    }
};

/// A lock without readers: reading is writing.
template <typename Lock>
struct ExclusivePeer {
    using Measured = Lock;
    Lock lock;

    template <typename Inside>
    void reading(Inside&& inside) {
        writing(inside);
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        lock.lock();
        inside();
        lock.unlock();
    }
};

/// Our semaphore between processes, used by threads of one. Each thread is attached for as long as
/// it lives.
struct SharedPeer {
    using Semaphore = sync::SharedRwSemaphore;
    using Measured = sync::SharedRwHeader<sync::SystemPolicy>;
    static constexpr unsigned slots = 64;

    SharedPeer()
        : semaphore_(Semaphore::create(memory_.data(), memory_.size(), slots).value()),
          id_(++made) {}

    template <typename Inside>
    void reading(Inside&& inside) {
        Semaphore::Holder& lock = holder();
        lock.lock_shared();
        inside();
        lock.unlock_shared();
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        Semaphore::Holder& lock = holder();
        lock.lock();
        inside();
        lock.unlock();
    }

  private:
    Semaphore::Holder& holder() {
        // The peer for which this thread is attached at the moment.
        thread_local unsigned attached_to = 0;
        thread_local std::optional<Semaphore::Holder> mine;
        if (attached_to != id_) {
            mine.emplace(semaphore_.attach().value());
            attached_to = id_;
        }
        return *mine;
    }

    static inline std::atomic<unsigned> made = 0;

    alignas(64) std::array<std::byte, Semaphore::size_bytes(slots)> memory_{};
    Semaphore semaphore_;
    unsigned id_;
};

/// glibc's lock of one kind; PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP is the one that lets no
/// new reader in once a writer waits.
template <int kind>
struct PthreadPeer {
    using Measured = pthread_rwlock_t;
    pthread_rwlock_t lock;

    PthreadPeer() {
        pthread_rwlockattr_t attributes;
        pthread_rwlockattr_init(&attributes);
        CHECK(pthread_rwlockattr_setkind_np(&attributes, kind) == 0, "glibc knows this kind");
        pthread_rwlock_init(&lock, &attributes);
        pthread_rwlockattr_destroy(&attributes);
    }
    PthreadPeer(const PthreadPeer&) = delete;
    PthreadPeer& operator=(const PthreadPeer&) = delete;
    ~PthreadPeer() { pthread_rwlock_destroy(&lock); }

    template <typename Inside>
    void reading(Inside&& inside) {
        pthread_rwlock_rdlock(&lock);
        inside();
        pthread_rwlock_unlock(&lock);
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        pthread_rwlock_wrlock(&lock);
        inside();
        pthread_rwlock_unlock(&lock);
    }
};

#ifdef BRAIDWAY_BENCH_ABSL
/// absl::Mutex, which is a reader/writer lock.
struct AbslPeer {
    using Measured = absl::Mutex;
    absl::Mutex lock;

    template <typename Inside>
    void reading(Inside&& inside) {
        lock.ReaderLock();
        inside();
        lock.ReaderUnlock();
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        lock.Lock();
        inside();
        lock.Unlock();
    }
};
#endif

#ifdef BRAIDWAY_BENCH_TBB
/// oneTBB's queue lock, whose holders bring a node each: the scoped lock.
struct TbbQueuingPeer {
    using Measured = tbb::queuing_rw_mutex;
    tbb::queuing_rw_mutex lock;

    template <typename Inside>
    void reading(Inside&& inside) {
        const tbb::queuing_rw_mutex::scoped_lock held(lock, false);
        inside();
    }
    template <typename Inside>
    void writing(Inside&& inside) {
        const tbb::queuing_rw_mutex::scoped_lock held(lock, true);
        inside();
    }
};
#endif

/// Calls `visit.template operator()<Peer>(name)` for each lock, ours first.
template <typename Visit>
void for_each_peer(Visit&& visit) {
    visit.template operator()<StandardPeer<sync::RwSemaphore>>("sync::RwSemaphore");
    visit.template operator()<ExclusivePeer<sync::Mutex>>("sync::Mutex");
    visit.template operator()<SharedPeer>("sync::SharedRwSemaphore");
    visit.template operator()<StandardPeer<std::shared_mutex>>("std::shared_mutex");
    visit.template operator()<ExclusivePeer<std::mutex>>("std::mutex");
    visit.template operator()<PthreadPeer<PTHREAD_RWLOCK_PREFER_READER_NP>>("pthread reader");
    visit.template operator()<PthreadPeer<PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP>>(
        "pthread fair");
#ifdef BRAIDWAY_BENCH_ABSL
    visit.template operator()<AbslPeer>("absl::Mutex");
#endif
#ifdef BRAIDWAY_BENCH_TBB
    visit.template operator()<StandardPeer<tbb::rw_mutex>>("tbb::rw_mutex");
    visit.template operator()<StandardPeer<tbb::spin_rw_mutex>>("tbb::spin_rw_mutex");
    visit.template operator()<TbbQueuingPeer>("tbb::queuing_rw_mutex");
#endif
}

}  // namespace braidway::bench
