// SPDX-License-Identifier: Apache-2.0
// Waiting for the end of a thread while something is held.
//
// A step from each held lock leads to the thread's end, and one from there to each lock that the
// thread has taken by an endless acquisition in its life. When it took the lock does not matter:
// that it was before the joiner had it is the luck of this run, as with the order of two locks.
// Locks are told apart one by one, as for conditions.
#include "lockdep/validator_state.h"

namespace braidway::lockdep {

void Validator::joins(Thread& thread, ThreadNumber joined, uintptr_t site) {
    static_cast<void>(site);
    if (joined == 0 || joined == thread.number() || !State::holds_any(thread)) return;
    Lock* const end = state_->end_of(joined);
    if (end == nullptr) return;
    state_->add_waiting_steps(thread, *end, nullptr);
    state_->add_needs_of(joined, *end);
}

void Validator::joined(Thread& thread, ThreadNumber joined) {
    if (joined == 0 || joined == thread.number() || !State::holds_any(thread)) return;
    Lock* const end = state_->end_of(joined);
    if (end != nullptr) state_->add_needs_of(joined, *end);
}

bool Validator::State::holds_any(const Thread& thread) {
    for (uint32_t at = 0; at < thread.held_count(); ++at)
        if (thread.held(at).live()) return true;
    return false;
}

void Validator::State::add_needs_of(ThreadNumber number, Lock& end) {
    // A copy, since reports must not be made under the lock; what is read may be changing.
    TakenLocks taken;
    {
        const InternalGuard guard(lock);
        const TakenLocks* const known = taken_by(number);
        if (known == nullptr) return;
        taken.copy(*known);
    }
    for (size_t at = 0; at < TakenLocks::locks_max; ++at) {
        const Taken each = taken.at(at);
        if (each.live()) add_needed_step(number, end, 0, each);
    }
}

const TakenLocks* Validator::State::taken_by(ThreadNumber number) const {
    const Thread* thread = threads.load(std::memory_order_relaxed);
    for (; thread != nullptr; thread = thread->next_)
        if (thread->alive_.load(std::memory_order_relaxed) && thread->number() == number)
            return &thread->taken_;
    for (size_t at = 0; ended != nullptr && at < ended_max; ++at)
        if (ended[at].number == number) return &ended[at].taken;
    return nullptr;
}

void Validator::State::keep_taken(const Thread& thread) {
    bool any = false;
    for (size_t at = 0; at < TakenLocks::locks_max && !any; ++at)
        any = thread.taken_.at(at).id != 0;
    if (!any) return;
    if (ended == nullptr) ended = arena.allocate_array<Ended>(ended_max);
    if (ended == nullptr) return;
    Ended& last = ended[ended_count++ % ended_max];
    last.number = thread.number();
    last.taken.copy(thread.taken_);
}

Lock* Validator::State::end_of(ThreadNumber number) {
    const void* const address = end_address(number);
    const InternalGuard guard(lock);
    Lock* end = locks.find(address);
    if (end != nullptr) return end;
    Lock*& place = ends[end_count++ % ends_max];
    if (place != nullptr) forget(*place);
    place = end = locks.add();
    if (end == nullptr) {
        full.store(true, std::memory_order_relaxed);
        return nullptr;
    }
    end->traits = {.type = LockType::thread_end};
    end->bytes = 0;
    end->making = {.thread = number};
    end->class_id = ClassTable::own_class | end->described_id;
    locks.publish(*end, address);
    return end;
}

}  // namespace braidway::lockdep
