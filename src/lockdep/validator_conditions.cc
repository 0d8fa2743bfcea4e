// SPDX-License-Identifier: Apache-2.0
// Waiting for conditions while something is held.
//
// A step from each lock that is held besides the mutex leads to the condition, and one from the
// condition to each lock that its notifiers need: which they hold when they notify, or which they
// have taken and given back (but not what a thread took before it made the waiting one itself).
// Only what every thread needs each time that has notified since somebody waited so: where one of
// them comes without the lock, the wait may end. And only what it has taken since it had the mutex
// of the condition before: what it took earlier was over when it left the state behind that the
// wait is about (who enters a monitor and leaves it signals to others that it is free; what he
// needed before he entered keeps nobody from leaving). Locks are told apart one by one, also those
// of one class: what a thread took in its whole life says too little about its class.
//
// Most of what a thread does takes the short way and is not seen here. Who has notified before is
// therefore not believed to need what it took at some time: it goes the long way once, from this
// notification to the next one.
//
// One that came without the lock need not come the next time. Where a wait at the same place of the
// program was ended by one who held the lock, and by nobody else, that one is enough, and who waits
// there with the lock held waits for it: such a lock is needed whatever others do. But not where
// who notifies with the lock held waits with it, too: then he waits for an answer, and those who
// give it come without.
#include <algorithm>
#include <new>

#include "lockdep/validator_state.h"

namespace braidway::lockdep {

void Validator::waits_on_condition(Thread& thread, Lock& condition, const Lock* mutex,
                                   Patience patience, uintptr_t site) {
    condition.waits_with.store(mutex == nullptr ? 0 : mutex->id.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
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
        record->add_waiter({.thread = thread.number(), .ancestors = thread.ancestors_});
        record->mutex = mutex == nullptr ? 0 : mutex->id.load(std::memory_order_relaxed);
    }
    state_->add_waiting_steps(thread, condition, mutex);
    state_->add_place(thread, condition, mutex, site);
}

bool Validator::notifies_freely(const Thread& thread, const Lock& condition) {
    const LockId mutex = condition.waits_with.load(std::memory_order_relaxed);
    const uint32_t count = thread.held_count();
    return mutex == 0 || count == 0 ||
           (count == 1 && thread.held(0).id.load(std::memory_order_relaxed) == mutex);
}

void Validator::notified_freely(Lock& condition) {
    uint32_t before = condition.notified.load(std::memory_order_relaxed);
    while (!condition.notified.compare_exchange_weak(before, (before | 1) + 1,
                                                     std::memory_order_relaxed))
        continue;
}

void Validator::notified_holding(Thread& thread, Lock& condition, StackId stack) {
    Notification fresh{.condition = condition.id.load(std::memory_order_relaxed),
                       .thread = thread.number(),
                       .stack = stack};
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        const Access access = held.access.load(std::memory_order_relaxed);
        if (access.patience == Patience::bounded || !held.live() ||
            fresh.count == Notification::holds_max)
            continue;
        fresh.holds[fresh.count++] = {.lock = held.lock.load(std::memory_order_relaxed),
                                      .id = held.id.load(std::memory_order_relaxed),
                                      .hold = access.hold,
                                      .stack = held.stack.load(std::memory_order_relaxed)};
    }
    const InternalGuard guard(state_->lock);
    uint32_t before = condition.notified.load(std::memory_order_relaxed);
    do fresh.ticket = ((before | 1) + 1) | 1;
    while (
        !condition.notified.compare_exchange_weak(before, fresh.ticket, std::memory_order_relaxed));
    state_->notifications.of(fresh.condition) = fresh;
}

void Validator::ended_by_holder(Thread& thread, Lock& condition, uintptr_t place, uintptr_t site) {
    const LockId id = condition.id.load(std::memory_order_relaxed);
    const InternalGuard guard(state_->lock);
    const Notification& last = state_->notifications.of(id);
    if (last.condition != id || last.ticket != condition.notified.load(std::memory_order_relaxed) ||
        last.thread == thread.number())
        return;
    thread.ending_ = {.place = place, .site = site, .condition = &condition, .by = last};
}

void Validator::waits_again(Thread& thread, const Lock* mutex) {
    // The mutex is held since the wait that has ended: the thread did not find what it waits for.
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        if (held.lock.load(std::memory_order_relaxed) != mutex || held.site != thread.ending_.site)
            continue;
        thread.ending_ = {};
        return;
    }
    state_->ending_counts(thread);
}

void Validator::State::ending_counts(Thread& thread) {
    if (thread.ending_.place == 0) return;
    const WaitEnding ending = thread.ending_;
    thread.ending_ = {};
    std::array<WaitPlace, ConditionRecord::places_max> places = {};
    {
        const InternalGuard guard(lock);
        if (ending.condition->id.load(std::memory_order_relaxed) != ending.by.condition) return;
        wait_endings.at(ending.by.condition, ending.place) = ending;
        const ConditionRecord* const record = ending.condition->record.load();
        if (record == nullptr || record->answers) return;
        places = record->places;
    }
    for (const WaitPlace& each : places) add_ending_steps(ending, each);
}

void Validator::State::add_place(Thread& thread, Lock& condition, const Lock* mutex,
                                 uintptr_t place) {
    const LockId id = condition.id.load(std::memory_order_relaxed);
    WaitPlace waits{.place = place, .thread = thread.number()};
    size_t count = 0;
    for (uint32_t at = 0; at < thread.held_count() && count < WaitPlace::holds_max; ++at) {
        const HeldLock& held = thread.held(at);
        if (held.lock.load(std::memory_order_relaxed) != mutex && held.live())
            waits.holds[count++] = held.id.load(std::memory_order_relaxed);
    }
    WaitEnding ending;
    {
        const InternalGuard guard(lock);
        ConditionRecord* const record = condition.record.load(std::memory_order_relaxed);
        if (record == nullptr) return;
        record->add_place(waits);
        const Notification& last = notifications.of(id);
        if (last.condition == id && last.thread == thread.number()) record->answers = true;
        const WaitEnding* const known = wait_endings.find(id, place);
        if (known == nullptr || record->answers) return;
        ending = *known;
    }
    add_ending_steps(ending, waits);
}

void Validator::State::add_ending_steps(const WaitEnding& ending, const WaitPlace& waits) {
    if (ending.place != waits.place || ending.by.thread == waits.thread) return;
    for (size_t at = 0; at < ending.by.count; ++at) {
        const Taken& needed = ending.by.holds[at];
        if (waits.has(needed.id))
            add_needed_step(ending.by.thread, *ending.condition, ending.by.stack, needed);
    }
}

bool Validator::notifies(Thread& thread, Lock& condition) {
    const uint64_t bit = mixed(condition.id.load(std::memory_order_relaxed)) % 256;
    uint64_t& bits = thread.notified_[bit / 64];
    const bool again = (bits >> bit % 64 & 1) != 0;
    bits |= uint64_t{1} << bit % 64;
    if (condition.record.load(std::memory_order_acquire) == nullptr) return true;
    Notifier needs;
    {
        const InternalGuard guard(state_->lock);
        ConditionRecord* const record = condition.record.load(std::memory_order_relaxed);
        if (record == nullptr || !record->has_waiter(thread.number(), ~ThreadNumber{0}))
            return true;
        Notifier* const notifier = record->notifier(thread.number());
        if (notifier == nullptr) return true;
        needs = state_->needs_of(thread, *record, notifier->since);
        if (again && !notifier->known && !notifier->looked_at && needs.count > needs.held) {
            // It took them at some time of its life, and has notified before: perhaps without.
            notifier->looked_at = true;
            notifier->since = thread.taken_.turn();
            thread.forget_chains();
            return false;
        }
        notifier->learn(needs);
        // What remains is needed by all.
        needs.count = 0;
        for (size_t at = 0; at < notifier->count; ++at)
            if (record->all_need(notifier->needs[at].id)) needs.add(notifier->needs[at]);
    }
    if (needs.count == 0) return true;
    const StackId stack = state_->capture_stack();
    for (size_t at = 0; at < needs.count; ++at)
        state_->add_needed_step(thread.number(), condition, stack, needs.needs[at]);
    return true;
}

Notifier Validator::State::needs_of(const Thread& thread, const ConditionRecord& record,
                                    uint32_t since) const {
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
    needs.held = needs.count;
    since = std::max(since, thread.taken_.find(record.mutex).turn_before);
    for (size_t at = 0; at < TakenLocks::locks_max; ++at) {
        const Taken taken = thread.taken_.at(at);
        if (taken.live() && taken.id != record.mutex && taken.turn > since &&
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
