// SPDX-License-Identifier: Apache-2.0
// The lock validator: events in, findings out.
#pragma once

#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/class_origin.h"
#include "lockdep/finding.h"
#include "lockdep/lock.h"
#include "lockdep/surroundings.h"
#include "lockdep/thread.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// Finds deadlocks that did not happen, from the order in which threads take locks.
///
/// Whoever watches a program tells what its threads do; the validator tells Surroundings::found()
/// what can go wrong, each thing once. Wherever a thread may block, it is told before.
///
///     Pending pending;
///     if (!thread.wants_known(address, access, site, pending)) {
///         Lock* lock = validator.find(address);
///         if (lock == nullptr) lock = validator.enlist(address, bytes, traits, making);
///         validator.wants(thread, *lock, access, site, pending);
///     }
///     ... take the lock ...
///     if (taken) thread.acquired(pending);
///     ...
///     if (!thread.release_last(address)) validator.released(thread, address, ...);
///     ... give it back ...
///
/// Shapes:  limits below; memory only from Surroundings::pages().
/// Errors:  when a table is full the validator goes on with what it knows (full() says so).
/// Threads: any. What changes the common tables takes one lock inside; a signal handler that
///          interrupts its holder on the same thread must not call in (see Guard).
class Validator {
  public:
    static constexpr uint32_t classes_max = limits::lockdep_classes_max;
    static constexpr uint32_t chains_max = limits::lockdep_chains_max;

    explicit Validator(Surroundings& surroundings);
    Validator(const Validator&) = delete;
    Validator& operator=(const Validator&) = delete;

    // --- threads ---------------------------------------------------------------------------------

    /// A thread is seen for the first time; `maker` made it, or 0. nullptr: no memory; the caller
    /// does not watch it. What is returned stays valid for ever, also after thread_ended().
    Thread* thread_started(ThreadNumber maker);

    /// The thread ends now and will call nothing more: reports what it holds (exit_held) unless
    /// `process_exits`. Its number stays known for joiners.
    void thread_ended(Thread& thread, bool process_exits);

    /// In the child of a fork: only `survivor` goes on. The caller had the validator's lock
    /// (fork_begins()) and this gives it back.
    void forked_in_child(Thread& survivor);
    void fork_begins();  ///< Takes the validator's lock, so that a child finds the tables whole.
    void forked_in_parent();

    // --- locks -----------------------------------------------------------------------------------

    /// The lock that lives at `address`, or nullptr. Takes no lock.
    Lock* find(const void* address) const;

    /// A lock that is not known yet, or a former one's memory made anew (that one is forgotten
    /// first; reported as destroy_held when it is held). nullptr: the tables are full.
    Lock* enlist(Thread& thread, const void* address, uint32_t bytes, LockTraits traits,
                 const Making& making);

    /// The lock at `address` is destroyed by a call; reports one that is held.
    void destroyed(Thread& thread, const void* address);

    /// Memory goes away: freed, unmapped, unloaded, a stack left. `quiet`: held locks in it are no
    /// finding (the process exits, or a thread's stack goes with it).
    void memory_gone(Thread& thread, const void* begin, const void* end, bool quiet);

    /// Does any known lock live in this range? Takes no lock; may say true for no reason.
    bool may_have_locks(const void* begin, const void* end) const;

    // --- acquisitions ----------------------------------------------------------------------------

    /// The thread is about to take `lock`: validates the chain, reports, fills `pending`. A lock
    /// that it holds already: relock or recursive_read are reported here, before it blocks.
    void wants(Thread& thread, Lock& lock, Access access, uintptr_t site, Pending& pending);

    /// Gives back a lock that need not be the one taken last. False: the thread does not hold it,
    /// and that has been reported (unlock_unheld).
    bool released(Thread& thread, const void* address, uintptr_t site);

    /// The thread, which waited for a condition, has been given `mutex` back without asking: as
    /// wants() and acquired(), for the re-take inside a wait.
    /// (Call released() for the mutex before the wait, retaken() after it.)
    void retaken(Thread& thread, Lock& mutex, Access access, uintptr_t site);

    /// Holding as `from` becomes holding as `to` without letting go (upgrade, downgrade). An
    /// upgrade that may block is told by wants() before.
    void converted(Thread& thread, const void* address, Hold to);

    // --- conditions and joins --------------------------------------------------------------------

    /// The thread waits at `condition` with `mutex`, which it has not given back yet. `site`: the
    /// place of the program that waits, the same for all waits for the same thing.
    void waits_on_condition(Thread& thread, Lock& condition, const Lock* mutex, Patience patience,
                            uintptr_t site);
    /// The thread notifies `condition`. False: what it does until it does so again must be seen
    /// before it can be told what it needs for that; also that next time must be told.
    bool notifies(Thread& thread, Lock& condition);

    /// The same, each time: notified_freely() when the thread notifies_freely(), holding nothing
    /// but the mutex of the waits, or when it has told often enough. `stack`: stack_here(), kept.
    static bool notifies_freely(const Thread& thread, const Lock& condition);
    static void notified_freely(Lock& condition);
    void notified_holding(Thread& thread, Lock& condition, StackId stack);
    /// A wait that began at `ticket` (Lock::notified) has ended, at `place` (as `site` above) by a
    /// call at `site`: did one who held a lock end it? Then ended_by_holder().
    static bool ended_by_one_holder(const Lock& condition, uint32_t ticket) {
        const uint32_t now = condition.notified.load(std::memory_order_relaxed);
        return (now & 1) != 0 && (now >> 1) - (ticket >> 1) == 1;
    }
    void ended_by_holder(Thread& thread, Lock& condition, uintptr_t place, uintptr_t site);
    /// Before the thread waits again, with `mutex`: has it an ending that does not count yet? Then
    /// waits_again().
    static bool has_ending(const Thread& thread) { return thread.ending_.place != 0; }
    void waits_again(Thread& thread, const Lock* mutex);

    /// The thread waits for the end of `joined` (before it blocks), and has it (after).
    void joins(Thread& thread, ThreadNumber joined, uintptr_t site);
    void joined(Thread& thread, ThreadNumber joined);

    // --- places and signals ----------------------------------------------------------------------

    /// A place that may sleep, named by a literal: reports if the thread holds anything.
    void may_sleep(Thread& thread, const char* where, uintptr_t site);

    /// A handler of signal `number` starts and ends on this thread.
    void handler_begins(Thread& thread, int number);
    void handler_ends(Thread& thread);
    /// Signals that the thread blocks now, bit n - 1 for signal n; and those of the process that
    /// have a handler.
    void signals_blocked(Thread& thread, uint64_t mask);
    void signals_handled(uint64_t mask);

    // --- deadlocks that have happened ------------------------------------------------------------

    /// The thread blocks now, and no longer. Between the two, others see it in hung().
    void blocks(Thread& thread, Lock& lock, Access access);
    void blocks_joining(Thread& thread, ThreadNumber joined);
    /// The thread waits at a condition and goes on when it has `mutex` (nullptr: not known) again,
    /// notified or not. `condition`: nullptr when the wait may end without a thread that is seen;
    /// may be a semaphore or a barrier, without a mutex.
    void blocks_waiting(Thread& thread, Lock* mutex, const Lock* condition, StackId stack);
    void unblocked(Thread& thread);

    /// Keeps the stack that is here now, for blocks_waiting().
    StackId stack_here();

    /// Is this thread, which blocks, part of a ring of threads that wait for each other without
    /// end, or does it wait for what an ended thread left, or one that a fork left behind, or wait
    /// all threads? Call it again after a while: what is true twice with the same turns is a
    /// deadlock.
    struct Hang {
        uint64_t signature = 0;  ///< The same at two looks: nothing moved in between.
        bool certain = false;
        /// Not 0: certain only when the process has no more than these threads, all of which wait,
        /// and a thread that was notified has had the time to run.
        uint32_t all_threads = 0;
        /// And only when no handler of a signal can wake one of them.
        bool unless_signal = false;
    };
    Hang hung(Thread& thread);
    /// Reports the hang that hung() saw.
    void report_hang(Thread& thread);

    // --- classes that turn out to be one ---------------------------------------------------------

    /// The classes that steps of the lock order lead from or to, and of which something is known
    /// by which they may be told to be one (Making::typed), into `room`; returns how many. Locks
    /// that are a class of their own count, the last of those that have gone, too.
    size_t typed_classes(std::span<ClassOrigin> room) const;

    /// Goes up whenever something new is learnt about the lock order.
    uint64_t order_changes() const;

    /// Where in its frame `lock` is, which was first seen by another thread than its stack's:
    /// block_made_at and offset_bytes of its Making, and whether that may tell its type.
    void frame_found(Lock& lock, uint64_t block_made_at, uint64_t offset_bytes, bool typed);

    /// These classes (ClassOrigin::class_id) are one: reports the rings that this makes, and from
    /// here on their locks are of one class. What is not a class any more is left out. One thread
    /// at a time.
    void merge_classes(std::span<const uint32_t> class_ids);

    // --- reports ---------------------------------------------------------------------------------

    std::span<const uintptr_t> stack(StackId id, std::span<uintptr_t> room) const;
    void assume_writers(bool assume);
    /// The process is exiting: nothing that is held is a finding from here on.
    void process_exits();
    /// A table is full, or that of what was reported: findings may be missed.
    bool full() const;
    size_t memory_bytes() const;

    /// Takes the validator's lock for the calling thread, for one who must not be interrupted in it
    /// (tests, fork).
    class Guard;

  private:
    class State;
    State* state_ = nullptr;
};

}  // namespace braidway::lockdep
