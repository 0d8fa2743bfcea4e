// SPDX-License-Identifier: Apache-2.0
// What the validator remembers, and the steps of its work that several events need.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/arena.h"
#include "lockdep/chain_set.h"
#include "lockdep/class_table.h"
#include "lockdep/condition_record.h"
#include "lockdep/former_locks.h"
#include "lockdep/internal_lock.h"
#include "lockdep/lock_table.h"
#include "lockdep/order_graph.h"
#include "lockdep/reported_rings.h"
#include "lockdep/seen_findings.h"
#include "lockdep/signal_use.h"
#include "lockdep/stack_store.h"
#include "lockdep/validator.h"
#include "lockdep/wait_endings.h"

namespace braidway::lockdep {

/// Up to OrderGraph::gates_max locks that a thread holds.
struct Gates {
    std::array<Gate, OrderGraph::gates_max> gates;
    size_t count = 0;

    std::span<const Gate> all() const { return {gates.data(), count}; }
};

/// What an acquisition as `hold` waits for.
inline Want want_of(const Lock& lock, Hold hold) {
    if (hold == Hold::exclusive) return Want::write;
    return lock.traits.fair ? Want::fair_read : Want::unfair_read;
}

/// The tables behind a Validator. Functions whose comment says "locked" are called with `lock`
/// held, the others without.
class Validator::State {
  public:
    explicit State(Surroundings& surroundings)
        : world(surroundings),
          arena(surroundings),
          locks(arena),
          classes(arena),
          stacks(arena),
          chains(arena),
          graph(arena),
          rings(arena),
          origins(arena),
          formers(arena) {}

    /// Takes the tables' memory; false: there is none.
    bool start();

    // --- threads: validator_threads.cc -----------------------------------------------------------

    Thread* new_thread();              ///< Locked.
    void retire(Thread& thread);       ///< Locked. It holds nothing and may be used again.
    void lose(Thread& thread);         ///< Locked. It was left behind by a fork.
    bool grow_held(Thread& thread);    ///< Locked. False: no memory.
    void grow_caches(Thread& thread);  ///< Locked.
    /// A live thread that holds `lock`, and what it holds; {nullptr, nullptr}: nobody.
    struct Holder {
        const Thread* thread = nullptr;
        const HeldLock* held = nullptr;
    };
    Holder holder_of(const Lock& lock) const;

    // --- locks: validator_locks.cc ---------------------------------------------------------------

    /// Reports that it goes while it is held, unless `quiet`, and forgets it.
    void gone(const Thread& thread, Lock& lock, bool quiet);
    void forget(Lock& lock);        ///< Locked.
    NodeId class_node(Lock& lock);  ///< Locked. 0: the graph is full.
    /// The node of this lock and no other of its class. Locked. 0: the graph is full.
    NodeId node_alone(Lock& lock);
    NodeId own_node(Lock& lock);  ///< Locked. 0: the graph is full.
    /// Where a lock is initialised whose class is not known yet and may merge with others; else 0.
    StackId stack_of_new_class(const Making& making);
    void note_origin(const Lock& first, StackId stack);  ///< Of its class. Locked.
    /// The lock, whose node is its own, goes: the node waits for its class, if it may turn out to
    /// be of one. Locked.
    void retire_or_remove(const Lock& lock, NodeId node);

    // --- classes that merge: validator_merge.cc --------------------------------------------------

    struct MergeRoom;
    class Merge;
    /// Calls `visit(ClassOrigin, node)` for what typed_classes() tells. Locked.
    template <typename Visit>
    void each_typed_class(Visit visit);

    // --- reports: validator_reports.cc -----------------------------------------------------------

    /// The calling thread's stack, kept.
    StackId capture_stack();
    /// Tells with the chain that its thread held `lock`, or what `thread` holds, besides.
    static void add_also_held(const Lock* lock, Chain& chain);
    static void add_also_held(const Thread& thread, Chain& chain);
    /// Is this ring new? Then `finding` is what to report. Locked.
    bool describe(const Ring& ring, Finding& finding);
    /// What describe() found new, if it stays a ring; and that it was reported, under the names
    /// that its classes have now.
    void report_ring(const Finding& finding);
    void remember(const Finding& ring);
    /// Is the finding with this key new, and is there room for it? Locked.
    bool is_new(uint64_t key);
    /// The lock with this id or, when its description has gone, another one of the class. Locked.
    const Lock* described(LockId id, NodeId node) const;
    /// Reports one that is about one lock. Not yet reported are those whose kind, class of lock,
    /// and site have not been seen together.
    void report_one(FindingKind kind, const Chain& chain, uintptr_t site,
                    const char* remark = nullptr, bool note = false);

    // --- conditions and joins: validator_conditions.cc, validator_joins.cc -----------------------

    ConditionRecord* record_of(Lock& condition);  ///< Locked. nullptr: no memory.
    /// What the thread's last wait was ended by counts from here on.
    void ending_counts(Thread& thread);
    /// The thread waits there, holding locks: steps to those whose holders end such waits.
    void add_place(Thread& thread, Lock& condition, const Lock* mutex, uintptr_t place);
    void add_ending_steps(const WaitEnding& ending, const WaitPlace& waits);
    /// What a notifier needs at a condition with this record. Locked.
    /// What it holds, and has taken after its turn `since` and after it had the mutex before.
    Notifier needs_of(const Thread& thread, const ConditionRecord& record, uint32_t since) const;
    /// Steps from what the thread holds, but `mutex`, to a condition or a thread's end.
    void add_waiting_steps(const Thread& thread, Lock& pseudo, const Lock* mutex);
    /// A step from there to a lock that is needed before it comes.
    void add_needed_step(ThreadNumber thread, Lock& pseudo, StackId stack, const Taken& needed);
    void add_needs_of(ThreadNumber number, Lock& end);
    static bool holds_any(const Thread& thread);
    /// What a thread, which may have ended, has taken; nullptr: not known (any more). Locked.
    const TakenLocks* taken_by(ThreadNumber number) const;
    void keep_taken(const Thread& thread);  ///< Locked. For who joins it after its end.
    /// Where the pseudo lock of a thread's end is. No program has an object there.
    static const void* end_address(ThreadNumber number) {
        return reinterpret_cast<const void*>(uintptr_t{number} | uintptr_t{1} << 63);
    }
    /// The pseudo lock of a thread's end; nullptr: no memory.
    Lock* end_of(ThreadNumber number);

    // --- deadlocks that have happened: validator_hang.cc -----------------------------------------

    Hang find_hang(Thread& start);  ///< Locked.
    /// The last thread of the shortest ring from `start`, which waits for `start`; the one before
    /// it is its `waited_for_by_`. nullptr: there is none. Locked.
    Thread* find_ring(Thread& start);
    static bool waits_for(const Thread& waiter, const Thread& other);
    /// The lock that the thread waits for, if nobody will give it back; or nullptr.
    const Lock* left_lock(const Thread& thread) const;
    /// A thread that a fork left behind, which held what `thread` waits for; or nullptr.
    const Thread* lost_holder(const Thread& thread) const;
    /// A thread that waits at a condition and holds what `thread` waits for.
    Thread* unnotified_holder(const Thread& thread) const;
    /// Does every thread wait without end?
    bool all_wait() const;
    bool any_ring();  ///< Locked.
    /// Puts what find_hang() saw into `finding`, or returns the number of a thread whose end has
    /// no pseudo lock yet. Locked.
    ThreadNumber describe_hang(Thread& thread, Finding& finding);
    /// The same for one that is no ring of threads.
    ThreadNumber describe_standstill(const Thread& thread, Finding& finding);
    /// The same for one in which every thread waits.
    ThreadNumber describe_all(const Thread& thread, Finding& finding);
    ThreadNumber wanted_lock(const Thread& thread, const Lock*& wanted) const;
    static Chain waiting_chain(const Thread& thread, const Lock* held, const Lock* wanted);

    // --- signals: validator_signals.cc -----------------------------------------------------------

    /// The thread takes a lock where signals matter: in a handler, or interruptible by one.
    void note_signals(const Thread& thread, Lock& noted, Access access, StackId stack);
    SignalUse* signal_use_of(Lock& of);  ///< Locked. nullptr: no memory.
    /// Remembers what a handler wants, and says where; handler_wants_max: no room. Locked.
    size_t note_handler_want(const HandlerWant& fresh);
    /// Adds the step from an interruptibly held lock to what a handler wants, if they meet.
    void add_handler_steps(const SignalUse& use, size_t want_index);
    /// Reports a handler that waits for the code that it interrupts, if there is one by now.
    void report_signal_conflict(Lock& of);

    // --- acquisitions: validator_acquisitions.cc -------------------------------------------------

    /// Grows what the thread has; without memory, `pending` becomes one that is not remembered.
    void grow(Thread& thread, bool caches, bool held, Pending& pending);
    /// Looks at an endless acquisition that is not known yet. `again`: the thread holds the lock.
    void validate(const Thread& thread, Lock& wanted, Access access, uintptr_t site, StackId stack,
                  const HeldLock* again);
    /// Was `held` taken by the code that the thread's innermost handler has interrupted?
    static bool interrupted_holder(const Thread& thread, const HeldLock& held);
    /// The thread does not hold its lock number `index` any more.
    static void take_out(Thread& thread, uint32_t index);

    // --- steps: validator_steps.cc ---------------------------------------------------------------

    /// Adds the steps from what the thread holds to `lock`, reports the rings.
    void add_steps(const Thread& thread, Lock& lock, Access access, StackId stack);
    void add_writer(const Thread& thread, Lock& lock, StackId stack);
    void add_second_read(const Thread& thread, Lock& lock, const HeldLock& first, uintptr_t site,
                         StackId stack);
    void add_and_report(const Step& step, const Gates& gates);
    static Gates gates_of(const Thread& thread, const HeldLock* among);

    Surroundings& world;
    Arena arena;
    mutable InternalLock lock;
    LockTable locks;
    ClassTable classes;
    StackStore stacks;
    ChainSet chains;
    OrderGraph graph;
    SeenFindings seen;
    ReportedRings rings;
    PagedArray<ClassOrigin, 64, ClassTable::classes_max + 1> origins;  ///< By class id.
    FormerLocks formers;
    MergeRoom* merge_room = nullptr;  ///< From the first merge on.
    /// What ended threads have taken: the last ended_max of them.
    struct Ended {
        ThreadNumber number = 0;
        TakenLocks taken;
    };
    static constexpr size_t ended_max = limits::lockdep_ended_threads_max;
    static constexpr size_t ends_max = limits::lockdep_thread_ends_max;
    Ended* ended = nullptr;
    size_t ended_count = 0;
    Lock* ends[ends_max] = {};  ///< The pseudo locks made last, for threads' ends.
    size_t end_count = 0;
    std::atomic<uint64_t> signals_handled = 0;
    SignalUse* idle_signal_uses = nullptr;
    std::atomic<SignalUse*> signal_uses = nullptr;  ///< All that were ever made.
    static constexpr size_t handler_wants_max = limits::lockdep_handler_wants_max;
    HandlerWant handler_wants[handler_wants_max] = {};
    uint64_t searches = 0;  ///< For hangs.
    ConditionRecord* idle_records = nullptr;
    Notifications notifications;
    WaitEndings wait_endings;
    std::atomic<Thread*> threads = nullptr;
    Thread* idle_threads = nullptr;
    std::atomic<uint32_t> threads_made = 0;
    std::atomic<bool> exiting = false;
    std::atomic<bool> full = false;
    std::atomic<bool> writers_assumed = false;
};

/// Takes the validator's lock for the calling thread as long as it lives.
class Validator::Guard {
  public:
    explicit Guard(const Validator& validator) : guard_(validator.state_->lock) {}

  private:
    InternalGuard guard_;
};

}  // namespace braidway::lockdep
