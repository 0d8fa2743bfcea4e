// SPDX-License-Identifier: Apache-2.0
// Deadlocks that have happened.
//
// A thread that blocks without end on a lock waits for each thread whose hold keeps it out, and who
// reads a fair lock also for each thread that waits to write it; a thread that joins waits for the
// joined one. A wait at a condition ends with its mutex taken again, so that whoever waits there
// waits for the mutex's holder. One of these that never goes on is enough to be stuck, so that any
// ring is a deadlock. A breadth-first search from the thread finds the shortest ring through it.
//
// Who will notify, post or come to a barrier is not known. But where every thread waits, nobody is
// left to do it. (A handler of a signal could; whoever asks must know whether there are any.)
//
// What a thread of the parent held when this process was forked nobody gives back here.
#include "lockdep/mixing.h"
#include "lockdep/validator_state.h"

namespace braidway::lockdep {

void Validator::blocks(Thread& thread, Lock& lock, Access access) {
    Blocked& blocked = thread.blocked_;
    blocked.turn.store(blocked.turn.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    blocked.hold.store(static_cast<uint8_t>(access.hold), std::memory_order_relaxed);
    blocked.endless.store(access.patience == Patience::endless, std::memory_order_relaxed);
    blocked.stack.store(0, std::memory_order_relaxed);
    blocked.condition.store(nullptr, std::memory_order_relaxed);  // In a handler, in a wait.
    blocked.lock.store(&lock, std::memory_order_release);
}

void Validator::blocks_waiting(Thread& thread, Lock* mutex, const Lock* condition, StackId stack) {
    Blocked& blocked = thread.blocked_;
    blocked.turn.store(blocked.turn.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    blocked.hold.store(static_cast<uint8_t>(Hold::exclusive), std::memory_order_relaxed);
    blocked.endless.store(true, std::memory_order_relaxed);
    blocked.stack.store(stack, std::memory_order_relaxed);
    blocked.condition.store(condition, std::memory_order_release);
    blocked.lock.store(mutex, std::memory_order_release);
}

StackId Validator::stack_here() {
    return state_->capture_stack();
}

void Validator::blocks_joining(Thread& thread, ThreadNumber joined) {
    Blocked& blocked = thread.blocked_;
    blocked.turn.store(blocked.turn.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    blocked.endless.store(true, std::memory_order_relaxed);
    blocked.stack.store(0, std::memory_order_relaxed);
    blocked.joined.store(joined, std::memory_order_release);
}

void Validator::unblocked(Thread& thread) {
    thread.blocked_.lock.store(nullptr, std::memory_order_release);
    thread.blocked_.condition.store(nullptr, std::memory_order_release);
    thread.blocked_.joined.store(0, std::memory_order_release);
}

Validator::Hang Validator::hung(Thread& thread) {
    if (thread.blocked_.stack.load(std::memory_order_relaxed) == 0)
        thread.blocked_.stack.store(state_->capture_stack(), std::memory_order_relaxed);
    const InternalGuard guard(state_->lock);
    return state_->find_hang(thread);
}

Validator::Hang Validator::State::find_hang(Thread& start) {
    Hang hang;
    if (Thread* last = find_ring(start)) {
        hang.certain = true;
        for (; last != nullptr; last = last->waited_for_by_)
            hang.signature += mixed(uint64_t{last->number()} << 32 ^
                                    last->blocked_.turn.load(std::memory_order_relaxed));
    } else if (const Lock* const left = left_lock(start)) {
        hang.certain = true;
        hang.signature = mixed(uint64_t{start.number()} << 32 ^
                               start.blocked_.turn.load(std::memory_order_relaxed)) +
                         left->described_id;
    } else if (const Thread* const lost = lost_holder(start)) {
        hang.certain = true;
        hang.signature = mixed(uint64_t{start.number()} << 32 ^
                               start.blocked_.turn.load(std::memory_order_relaxed)) +
                         mixed(lost->number());
    } else if (all_wait()) {
        hang.unless_signal = unnotified_holder(start) == nullptr;
        // Who is in a ring says so, and that is why the others wait.
        hang.certain = !hang.unless_signal || !any_ring();
        for (const Thread* each = threads.load(std::memory_order_acquire); each != nullptr;
             each = each->next_) {
            if (!each->alive_.load(std::memory_order_acquire)) continue;
            ++hang.all_threads;
            hang.signature += mixed(uint64_t{each->number()} << 32 ^
                                    each->blocked_.turn.load(std::memory_order_relaxed));
        }
    }
    return hang;
}

const Thread* Validator::State::lost_holder(const Thread& thread) const {
    const Lock* const wanted = thread.blocked_.lock.load(std::memory_order_acquire);
    if (wanted == nullptr || wanted->traits.shared ||
        thread.blocked_.condition.load(std::memory_order_acquire) != nullptr ||
        !thread.blocked_.endless.load(std::memory_order_relaxed) ||
        holder_of(*wanted).thread != nullptr)
        return nullptr;
    const Thread* other = threads.load(std::memory_order_acquire);
    while (other != nullptr &&
           !(other->lost_.load(std::memory_order_relaxed) && waits_for(thread, *other)))
        other = other->next_;
    return other;
}

Thread* Validator::State::unnotified_holder(const Thread& thread) const {
    const Blocked& blocked = thread.blocked_;
    if (blocked.lock.load(std::memory_order_acquire) == nullptr ||
        blocked.condition.load(std::memory_order_acquire) != nullptr ||
        !blocked.endless.load(std::memory_order_relaxed))
        return nullptr;
    for (Thread* other = threads.load(std::memory_order_acquire); other != nullptr;
         other = other->next_) {
        if (other->alive_.load(std::memory_order_acquire) && waits_for(thread, *other) &&
            other->blocked_.condition.load(std::memory_order_acquire) != nullptr)
            return other;
    }
    return nullptr;
}

bool Validator::State::all_wait() const {
    Thread* const all = threads.load(std::memory_order_acquire);
    const auto waits_for_one = [&](const Thread& waiter) {
        for (const Thread* other = all; other != nullptr; other = other->next_)
            if (other->alive_.load(std::memory_order_acquire) && waits_for(waiter, *other))
                return true;
        return false;
    };
    for (const Thread* each = all; each != nullptr; each = each->next_) {
        if (!each->alive_.load(std::memory_order_acquire) ||
            each->blocked_.condition.load(std::memory_order_acquire) != nullptr)
            continue;
        if (!each->blocked_.endless.load(std::memory_order_relaxed) || !waits_for_one(*each))
            return false;
    }
    return true;
}

bool Validator::State::any_ring() {
    for (Thread* each = threads.load(std::memory_order_acquire); each != nullptr;
         each = each->next_) {
        // A ring has one who is not at a condition.
        if (each->alive_.load(std::memory_order_acquire) &&
            each->blocked_.condition.load(std::memory_order_acquire) == nullptr &&
            find_ring(*each) != nullptr)
            return true;
    }
    return false;
}

const Lock* Validator::State::left_lock(const Thread& thread) const {
    const Lock* const lock_wanted = thread.blocked_.lock.load(std::memory_order_acquire);
    if (lock_wanted == nullptr || !thread.blocked_.endless.load(std::memory_order_relaxed) ||
        lock_wanted->traits.shared || lock_wanted->left_by.load(std::memory_order_relaxed) == 0 ||
        holder_of(*lock_wanted).thread != nullptr)
        return nullptr;
    return lock_wanted;
}

Thread* Validator::State::find_ring(Thread& start) {
    ++searches;
    Thread* first = &start;
    Thread* last = &start;
    start.search_ = searches;
    start.waited_for_by_ = nullptr;
    start.next_to_search_ = nullptr;
    for (; first != nullptr; first = first->next_to_search_) {
        if (!first->blocked_.endless.load(std::memory_order_relaxed)) continue;
        for (Thread* other = threads.load(std::memory_order_acquire); other != nullptr;
             other = other->next_) {
            if (!other->alive_.load(std::memory_order_acquire) || !waits_for(*first, *other))
                continue;
            if (other == &start) return first;
            if (other->search_ == searches) continue;
            other->search_ = searches;
            other->waited_for_by_ = first;
            other->next_to_search_ = nullptr;
            last->next_to_search_ = other;
            last = other;
        }
    }
    return nullptr;
}

bool Validator::State::waits_for(const Thread& waiter, const Thread& other) {
    const ThreadNumber joined = waiter.blocked_.joined.load(std::memory_order_acquire);
    if (joined != 0) return other.number() == joined;
    const Lock* const wanted = waiter.blocked_.lock.load(std::memory_order_acquire);
    if (wanted == nullptr) return false;
    const auto hold = static_cast<Hold>(waiter.blocked_.hold.load(std::memory_order_relaxed));
    const uint32_t count = other.held_count();
    for (uint32_t at = 0; at < count; ++at) {
        const HeldLock& held = other.held(at);
        if (held.lock.load(std::memory_order_relaxed) == wanted && held.live() &&
            (hold == Hold::exclusive ||
             held.access.load(std::memory_order_relaxed).hold == Hold::exclusive))
            return true;
    }
    return hold == Hold::shared && wanted->traits.fair && &waiter != &other &&
           other.blocked_.lock.load(std::memory_order_acquire) == wanted &&
           other.blocked_.hold.load(std::memory_order_relaxed) ==
               static_cast<uint8_t>(Hold::exclusive);
}

void Validator::report_hang(Thread& thread) {
    Finding finding;
    finding.kind = FindingKind::hang;
    // Made before, since it takes the lock.
    std::array<Lock*, Finding::chains_max> ends = {};
    size_t end_count = 0;
    for (;;) {
        ThreadNumber missing_end = 0;
        {
            const InternalGuard guard(state_->lock);
            const Hang hang = state_->find_hang(thread);
            if (!hang.certain) return;
            finding.chain_count = finding.ring_length = 0;
            missing_end = state_->describe_hang(thread, finding);
            if (missing_end == 0 && !state_->seen.is_new(hang.signature)) return;
        }
        if (missing_end == 0) break;
        if (end_count == ends.size()) return;
        ends[end_count] = state_->end_of(missing_end);
        if (ends[end_count++] == nullptr) return;
    }
    state_->world.found(finding);
}

ThreadNumber Validator::State::describe_hang(Thread& thread, Finding& finding) {
    Thread* waiter = find_ring(thread);
    if (waiter == nullptr) return describe_standstill(thread, finding);
    // The search has the ring backwards: `waiter` waits for `held_by`, which was handled before.
    const Thread* held_by = &thread;
    const Lock* wanted_by_last = nullptr;
    if (const ThreadNumber missing = wanted_lock(thread, wanted_by_last)) return missing;
    for (; waiter != nullptr; held_by = waiter, waiter = waiter->waited_for_by_) {
        const Lock* wanted = nullptr;
        if (const ThreadNumber missing = wanted_lock(*waiter, wanted)) return missing;
        if (++finding.ring_length <= Finding::chains_max)
            finding.chains[finding.chain_count++] = waiting_chain(*held_by, wanted, wanted_by_last);
        wanted_by_last = wanted;
    }
    return 0;
}

ThreadNumber Validator::State::describe_standstill(const Thread& thread, Finding& finding) {
    finding.ring_length = finding.chain_count = 2;
    const Lock* const wanted = thread.blocked_.lock.load(std::memory_order_relaxed);
    if (left_lock(thread) != nullptr) {
        finding.remark = "a thread that has ended left it";
        finding.chains[0] = waiting_chain(thread, nullptr, wanted);
        finding.chains[1] = {.thread = wanted->left_by.load(std::memory_order_relaxed),
                             .holds = wanted};
    } else if (const Thread* const lost = lost_holder(thread)) {
        finding.remark =
            "who holds it does not exist in this process: the thread was lost at the fork";
        finding.chains[0] = waiting_chain(thread, nullptr, wanted);
        finding.chains[1] = waiting_chain(*lost, wanted, nullptr);
    } else if (const Thread* const holder = unnotified_holder(thread)) {
        finding.remark = "every thread waits, and none is left to notify";
        finding.chains[0] = waiting_chain(thread, nullptr, wanted);
        finding.chains[1] = waiting_chain(
            *holder, wanted, holder->blocked_.condition.load(std::memory_order_relaxed));
    } else {
        return describe_all(thread, finding);
    }
    return 0;
}

ThreadNumber Validator::State::describe_all(const Thread& thread, Finding& finding) {
    finding.remark = "every thread waits, and none is left to wake another";
    finding.ring_length = finding.chain_count = 0;
    const auto add = [&](const Thread& each) -> ThreadNumber {
        const Lock* wanted = each.blocked_.condition.load(std::memory_order_relaxed);
        if (wanted == nullptr)
            if (const ThreadNumber missing = wanted_lock(each, wanted)) return missing;
        if (++finding.ring_length <= Finding::chains_max)
            finding.chains[finding.chain_count++] = waiting_chain(each, nullptr, wanted);
        return 0;
    };
    // First who was asked.
    ThreadNumber missing = add(thread);
    const Thread* each = threads.load(std::memory_order_acquire);
    for (; each != nullptr && missing == 0; each = each->next_)
        if (each != &thread && each->alive_.load(std::memory_order_acquire) &&
            finding.ring_length < Finding::chains_max)
            missing = add(*each);
    return missing;
}

ThreadNumber Validator::State::wanted_lock(const Thread& thread, const Lock*& wanted) const {
    const ThreadNumber joined = thread.blocked_.joined.load(std::memory_order_relaxed);
    wanted = joined == 0 ? thread.blocked_.lock.load(std::memory_order_relaxed)
                         : locks.find(end_address(joined));
    return wanted == nullptr ? joined : 0;
}

Chain Validator::State::waiting_chain(const Thread& thread, const Lock* held, const Lock* wanted) {
    Chain chain{.thread = thread.number(),
                .wants = wanted,
                .wants_stack = thread.blocked_.stack.load(std::memory_order_relaxed)};
    if (wanted != nullptr)
        chain.wants_as = want_of(
            *wanted, wanted->traits.type == LockType::thread_end
                         ? Hold::exclusive
                         : static_cast<Hold>(thread.blocked_.hold.load(std::memory_order_relaxed)));
    if (held == nullptr) {
        add_also_held(thread, chain);
        return chain;
    }
    if (held->traits.type == LockType::thread_end) chain.holds = held;
    const uint32_t count = thread.held_count();
    for (uint32_t at = 0; at < count; ++at) {
        const HeldLock& each = thread.held(at);
        if (each.lock.load(std::memory_order_relaxed) != held || !each.live()) continue;
        chain.holds = held;
        chain.holds_as = each.access.load(std::memory_order_relaxed).hold;
        chain.holds_stack = each.stack.load(std::memory_order_relaxed);
    }
    add_also_held(thread, chain);
    return chain;
}

}  // namespace braidway::lockdep
