// SPDX-License-Identifier: Apache-2.0
// A fair reader/writer semaphore of 16 bytes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "braidway/sync/annotations.h"
#include "braidway/sync/policy.h"
#include "braidway/sync/rw_queue.h"

namespace braidway::sync {

/// Many readers or one writer, first come, first served.
///
/// Once somebody waits, nobody who comes later enters before him: a waiter with k waiters ahead of
/// it enters after at most k + 1 phases, of which each is one writer or the readers that stand next
/// to each other in the queue, who enter together. A reader that comes while a writer holds the
/// semaphore and nobody waits has its place at once. So neither readers nor writers starve; and so
/// **a thread that reads must not take it for reading again**: it would wait behind the writer that
/// waits for it.
///
/// One reader at a time may be *upgradable*: it reads beside others, and may become the writer
/// without letting another writer in between. While it waits for the other readers to leave, it is
/// ahead of the queue. It waits for every reader, so a thread that upgrades holds no other reading
/// of the semaphore.
///
/// Meets the named requirements SharedMutex and SharedTimedMutex (std::shared_lock works) and has
/// the names of Boost's UpgradeLockable. It may be destroyed as soon as nobody holds it or waits,
/// also while another thread's unlock has not returned.
///
/// Shapes:  16 bytes; all zero is free; at most 2^24 - 1 readers.
/// Errors:  giving back what is not held ends the process with a line that says so, where it can be
///          told.
/// Threads: any, of one process. Who took it gives it back.
/// Source:  the word and its reader bias follow the idea of Linux' rwsem; the queue, in which only
///          the head looks at the word, that of Mellor-Crummey and Scott (1991).
template <typename Policy>
class BRAIDWAY_CAPABILITY("shared_mutex") BasicRwSemaphore {
  public:
    BasicRwSemaphore() noexcept = default;
    BasicRwSemaphore(const BasicRwSemaphore&) = delete;
    BasicRwSemaphore& operator=(const BasicRwSemaphore&) = delete;
    ~BasicRwSemaphore()
        requires(!Policy::is_watched)
    = default;
    ~BasicRwSemaphore()
        requires(Policy::is_watched)
    {
        observe(LockEvent::gone, LockMode::exclusive);
    }

    // --- writing ---------------------------------------------------------------------------------

    void lock() BRAIDWAY_ACQUIRE() {
        observe(LockEvent::asked, LockMode::exclusive);
        if (!core_.try_write_free()) [[unlikely]] {
            observe(LockEvent::wanted, LockMode::exclusive);
            core_.wait_in_queue(LockMode::exclusive, Deadline::never());
        }
        observe(LockEvent::acquired, LockMode::exclusive);
    }
    /// May fail for no reason while a reader is on its way into the queue.
    bool try_lock() BRAIDWAY_TRY_ACQUIRE(true) {
        return taken(core_.try_write(), LockMode::exclusive);
    }
    bool try_lock_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE(true) {
        return try_lock() || wait(LockMode::exclusive, deadline);
    }
    template <typename Rep, typename Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE(true) {
        return try_lock() || wait(LockMode::exclusive, Deadline::after(duration));
    }
    void unlock() BRAIDWAY_RELEASE() {
        observe(LockEvent::released, LockMode::exclusive);
        core_.leave_writing(0);
    }

    // --- reading ---------------------------------------------------------------------------------

    void lock_shared() BRAIDWAY_ACQUIRE_SHARED() {
        observe(LockEvent::asked, LockMode::shared);
        if (const uint32_t before = core_.add_reader(); core_.keeps_readers_out(before))
            [[unlikely]] {
            observe(LockEvent::wanted, LockMode::shared);
            core_.read_after_all(before);
        }
        observe(LockEvent::acquired, LockMode::shared);
    }
    bool try_lock_shared() BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return taken(core_.try_read(), LockMode::shared);
    }
    bool try_lock_shared_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return try_lock_shared() || wait(LockMode::shared, deadline);
    }
    template <typename Rep, typename Period>
    bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return try_lock_shared() || wait(LockMode::shared, Deadline::after(duration));
    }
    void unlock_shared() BRAIDWAY_RELEASE_SHARED() {
        observe(LockEvent::released, LockMode::shared);
        core_.leave_reading();
    }

    // --- reading, perhaps to write ---------------------------------------------------------------

    void lock_upgrade() BRAIDWAY_ACQUIRE_SHARED() {
        observe(LockEvent::asked, LockMode::upgrade);
        if (!core_.try_upgradable()) {
            observe(LockEvent::wanted, LockMode::upgrade);
            core_.wait_in_queue(LockMode::upgrade, Deadline::never());
        }
        observe(LockEvent::acquired, LockMode::upgrade);
    }
    bool try_lock_upgrade() BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return taken(core_.try_upgradable(), LockMode::upgrade);
    }
    bool try_lock_upgrade_until(const Deadline& deadline) BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return try_lock_upgrade() || wait(LockMode::upgrade, deadline);
    }
    template <typename Rep, typename Period>
    bool try_lock_upgrade_for(const std::chrono::duration<Rep, Period>& duration)
        BRAIDWAY_TRY_ACQUIRE_SHARED(true) {
        return try_lock_upgrade() || wait(LockMode::upgrade, Deadline::after(duration));
    }
    void unlock_upgrade() BRAIDWAY_RELEASE_SHARED() {
        observe(LockEvent::released, LockMode::upgrade);
        core_.leave_upgradable(0);
    }

    // --- from one to the other, without letting go -----------------------------------------------

    /// The upgradable reader becomes the writer; waits until the other readers have left.
    void unlock_upgrade_and_lock() BRAIDWAY_RELEASE_SHARED() BRAIDWAY_ACQUIRE() {
        observe(LockEvent::upgrading, LockMode::exclusive);
        try_unlock_upgrade_and_lock_until(Deadline::never());
    }
    /// The same at once or not at all. (Clang's analysis has no words for what a try turns into
    /// something else: it goes on thinking that the caller reads. So with the next two.)
    bool try_unlock_upgrade_and_lock() { return upgraded(core_.try_upgrade()); }
    /// False at the deadline; the thread is the upgradable reader still.
    bool try_unlock_upgrade_and_lock_until(const Deadline& deadline) {
        if (core_.try_upgrade()) return upgraded(true);
        observe(LockEvent::wanted, LockMode::exclusive);
        if (core_.upgrade(deadline)) return upgraded(true);
        observe(LockEvent::given_up, LockMode::exclusive);
        return false;
    }
    template <typename Rep, typename Period>
    bool try_unlock_upgrade_and_lock_for(const std::chrono::duration<Rep, Period>& duration) {
        return try_unlock_upgrade_and_lock_until(Deadline::after(duration));
    }
    /// The writer becomes a reader; others may read beside it, those who wait in the queue first.
    void unlock_and_lock_shared() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() {
        turned(LockMode::exclusive, LockMode::shared);
        core_.leave_writing(RwWord::reader);
    }
    /// The usual name of unlock_and_lock_shared().
    void downgrade() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() { unlock_and_lock_shared(); }
    /// The writer becomes the upgradable reader.
    void unlock_and_lock_upgrade() BRAIDWAY_RELEASE() BRAIDWAY_ACQUIRE_SHARED() {
        turned(LockMode::exclusive, LockMode::upgrade);
        core_.leave_writing(RwWord::upgradable);
    }
    /// The upgradable reader becomes a plain one.
    void unlock_upgrade_and_lock_shared() {
        turned(LockMode::upgrade, LockMode::shared);
        core_.leave_upgradable(RwWord::reader);
    }

  private:
    void observe(LockEvent event, LockMode mode) {
        Policy::observe(event, mode, this, LockKind::rw_semaphore);
    }

    bool taken(bool success, LockMode mode) {
        if (success) observe(LockEvent::acquired, mode);
        return success;
    }

    bool upgraded(bool success) {
        if (success) turned(LockMode::upgrade, LockMode::exclusive);
        return success;
    }

    void turned(LockMode from, LockMode to) {
        observe(LockEvent::released, from);
        observe(LockEvent::acquired, to);
    }

    bool wait(LockMode mode, const Deadline& deadline) {
        observe(LockEvent::wanted, mode);
        const bool success = mode == LockMode::shared ? core_.read_until(deadline)
                                                      : core_.wait_in_queue(mode, deadline);
        observe(success ? LockEvent::acquired : LockEvent::given_up, mode);
        return success;
    }

    RwQueue<Policy> core_;
};

using RwSemaphore = BasicRwSemaphore<SystemPolicy>;
static_assert(sizeof(RwSemaphore) == 16);

}  // namespace braidway::sync
