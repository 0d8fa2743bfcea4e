// SPDX-License-Identifier: Apache-2.0
// Waiting for conditions while something is held.
//
// A step from each lock that is held besides the mutex leads to the condition, and one from the
// condition to each lock that its notifiers need: which they hold when they notify, or which they
// have taken, after the waiting thread was made, and given back. Only what every thread needs that
// has notified since somebody waited so: where one of them comes without the lock, the wait may
// end. Locks are told apart one by one, also those of one class: what a thread took in its whole
// life says too little about its class. What is taken by the short way alone is not known, which
// hides a ring where a lock was taken first before and again after the waiting thread was made, at
// one place.
#include <new>

#include "lockdep/validator_state.h"

namespace braidway::lockdep {

void Validator::waits_on_condition(Thread& thread, Lock& condition, const Lock* mutex,
                                   Patience patience, uintptr_t site) {
    static_cast<void>(site);
    if (patience == Patience::bounded) return;
    bool holds_others = false;
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        holds_others =
            holds_others || (held.lock.load(std::memory_order_relaxed) != mutex && held.live());
    }
    if (!holds_others) return;
    {
        const InternalGuard guard(state_->lock);
        ConditionRecord* const record = state_->record_of(condition);
        if (record == nullptr) return;
        record->add_waiter(thread.number());
        record->mutex = mutex == nullptr ? 0 : mutex->id.load(std::memory_order_relaxed);
    }
    state_->add_waiting_steps(thread, condition, mutex);
}

void Validator::notifies(Thread& thread, Lock& condition, uintptr_t site) {
    static_cast<void>(site);
    if (condition.record.load(std::memory_order_acquire) == nullptr) return;
    Notifier needs;
    {
        const InternalGuard guard(state_->lock);
        const ConditionRecord* const record = condition.record.load(std::memory_order_relaxed);
        if (record == nullptr || !record->has_waiter(thread.number(), ~ThreadNumber{0})) return;
        needs = state_->needs_of(thread, *record);
        ConditionRecord& changed = *condition.record.load(std::memory_order_relaxed);
        Notifier* const notifier = changed.notifier(thread.number());
        if (notifier == nullptr) return;
        *notifier = needs;
        // What remains is needed by all.
        needs.count = 0;
        for (size_t at = 0; at < notifier->count; ++at)
            if (changed.all_need(notifier->needs[at].id)) needs.add(notifier->needs[at]);
    }
    if (needs.count == 0) return;
    const StackId stack = state_->capture_stack();
    for (size_t at = 0; at < needs.count; ++at)
        state_->add_needed_step(thread.number(), condition, stack, needs.needs[at]);
}

Notifier Validator::State::needs_of(const Thread& thread, const ConditionRecord& record) const {
    Notifier needs;
    needs.thread = thread.number();
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        const Access access = held.access.load(std::memory_order_relaxed);
        const LockId id = held.id.load(std::memory_order_relaxed);
        if (access.patience == Patience::bounded || id == record.mutex || !held.live()) continue;
        needs.add({.lock = held.lock.load(std::memory_order_relaxed),
                   .id = id,
                   .hold = access.hold,
                   .stack = held.stack.load(std::memory_order_relaxed)});
    }
    for (size_t at = 0; at < TakenLocks::locks_max; ++at) {
        const Taken taken = thread.taken_.at(at);
        if (taken.live() && taken.id != record.mutex &&
            record.has_waiter(thread.number(), taken.threads_before))
            needs.add(taken);
    }
    return needs;
}

void Validator::State::add_waiting_steps(const Thread& thread, Lock& pseudo, const Lock* mutex) {
    const StackId stack = capture_stack();
    Gates gates = gates_of(thread, nullptr);
    if (mutex != nullptr) {
        const LockId given_back = mutex->id.load(std::memory_order_relaxed);
        size_t kept = 0;
        for (const Gate& gate : gates.all())
            if (gate.lock != given_back) gates.gates[kept++] = gate;
        gates.count = kept;
    }
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        Lock& from = *held.lock.load(std::memory_order_relaxed);
        if (&from == mutex || !held.live()) continue;
        Step step;
        {
            const InternalGuard guard(lock);
            step.from = node_alone(from);
            step.to = node_alone(pseudo);
            from.evidence = pseudo.evidence = true;
        }
        if (step.from == 0 || step.to == 0) continue;
        step.hold = held.access.load(std::memory_order_relaxed).hold;
        step.want = Want::write;
        step.evidence = {.thread = thread.number(),
                         .held_lock = held.id.load(std::memory_order_relaxed),
                         .wanted_lock = pseudo.id.load(std::memory_order_relaxed),
                         .held_stack = held.stack.load(std::memory_order_relaxed),
                         .wanted_stack = stack};
        add_and_report(step, gates);
    }
}

void Validator::State::add_needed_step(ThreadNumber thread, Lock& pseudo, StackId stack,
                                       const Taken& needed) {
    Step step;
    {
        const InternalGuard guard(lock);
        if (!needed.live()) return;
        step.from = node_alone(pseudo);
        step.to = node_alone(*needed.lock);
        needed.lock->evidence = pseudo.evidence = true;
    }
    if (step.from == 0 || step.to == 0) return;
    step.hold = Hold::exclusive;
    step.want = want_of(*needed.lock, needed.hold);
    step.evidence = {.thread = thread,
                     .held_lock = pseudo.id.load(std::memory_order_relaxed),
                     .wanted_lock = needed.id,
                     .held_stack = stack,
                     .wanted_stack = needed.stack};
    // Without gates: what the thread held besides it needs as well, so that it keeps nobody out.
    add_and_report(step, {});
}

ConditionRecord* Validator::State::record_of(Lock& condition) {
    ConditionRecord* record = condition.record.load(std::memory_order_relaxed);
    if (record != nullptr) return record;
    record = idle_records != nullptr ? idle_records : arena.allocate_array<ConditionRecord>(1);
    if (record == nullptr) {
        full.store(true, std::memory_order_relaxed);
        return nullptr;
    }
    if (record == idle_records) idle_records = record->next_idle;
    ::new (record) ConditionRecord;
    condition.record.store(record, std::memory_order_release);
    return record;
}

}  // namespace braidway::lockdep
