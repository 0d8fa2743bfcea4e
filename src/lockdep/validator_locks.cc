// SPDX-License-Identifier: Apache-2.0
// Locks: their making, their end, and their nodes in the graph.
#include "lockdep/validator_state.h"

namespace braidway::lockdep {

Lock* Validator::find(const void* address) const {
    return state_ == nullptr ? nullptr : state_->locks.find(address);
}

Lock* Validator::enlist(Thread& thread, const void* address, uint32_t bytes, LockTraits traits,
                        const Making& making) {
    if (making.initialised) destroyed(thread, address);
    const StackId stack = state_->stack_of_new_class(making);
    const InternalGuard guard(state_->lock);
    if (Lock* const known = state_->locks.find(address)) return known;
    bool first_of_class = false;
    LockClass* const lock_class =
        making.class_key == 0 ? nullptr : state_->classes.get(making.class_key);
    Lock* const lock = state_->locks.add();
    if (lock == nullptr || (lock_class == nullptr && making.class_key != 0))
        state_->full.store(true, std::memory_order_relaxed);
    if (lock == nullptr) return nullptr;
    lock->traits = traits;
    lock->bytes = bytes;
    lock->making = making;
    if (lock_class != nullptr) {
        lock->class_id = lock_class->id;
        if (lock_class->example == nullptr) {
            lock_class->example = lock;
            first_of_class = true;
        }
    } else {
        lock->class_id = ClassTable::own_class | lock->described_id;
    }
    state_->locks.publish(*lock, address);
    if (first_of_class && making.typed) state_->note_origin(*lock, stack);
    return lock;
}

StackId Validator::State::stack_of_new_class(const Making& making) {
    if (!making.typed || !making.initialised || making.class_key == 0) return making.stack;
    {
        const InternalGuard guard(lock);
        const LockClass* const known = classes.get(making.class_key);
        if (known == nullptr || known->example != nullptr) return making.stack;
    }
    return capture_stack();
}

void Validator::State::note_origin(const Lock& first, StackId stack) {
    const ClassOrigin origin = origin_of(first);
    if (!origins.reach(origin.class_id)) return;
    origins[origin.class_id] = origin;
    origins[origin.class_id].stack = stack;
}

void Validator::State::retire_or_remove(const Lock& gone_lock, NodeId node) {
    NodeId dropped = 0;
    if (gone_lock.making.typed && graph.is_used(node) &&
        formers.keep({origin_of(gone_lock), node}, dropped)) {
        graph.retire(node);
        if (dropped != 0) graph.remove(dropped);
    } else {
        graph.remove(node);
    }
}

void Validator::destroyed(Thread& thread, const void* address) {
    if (Lock* const lock = find(address)) state_->gone(thread, *lock, false);
}

void Validator::memory_gone(Thread& thread, const void* begin, const void* end, bool quiet) {
    for (;;) {
        Lock* lock = nullptr;
        {
            const InternalGuard guard(state_->lock);
            lock = state_->locks.any_in(begin, end);
        }
        if (lock == nullptr) return;
        state_->gone(thread, *lock, quiet);
    }
}

bool Validator::may_have_locks(const void* begin, const void* end) const {
    return state_ != nullptr && state_->locks.may_have(begin, end);
}

void Validator::State::gone(const Thread& thread, Lock& gone_lock, bool quiet) {
    static_cast<void>(thread);
    if (!quiet && !exiting.load(std::memory_order_relaxed)) {
        const Holder holder = holder_of(gone_lock);
        if (holder.thread != nullptr) {
            report_one(FindingKind::destroy_held,
                       {.thread = holder.thread->number(),
                        .holds = &gone_lock,
                        .holds_as = holder.held->access.load(std::memory_order_relaxed).hold,
                        .holds_stack = holder.held->stack.load(std::memory_order_relaxed),
                        .wants_stack = capture_stack()},
                       0);
        }
    }
    const InternalGuard guard(lock);
    // Two threads may destroy one lock, which is their bug and not ours.
    if (gone_lock.id.load(std::memory_order_relaxed) != 0) forget(gone_lock);
}

void Validator::State::forget(Lock& forgotten) {
    if (forgotten.own_node != 0) graph.remove(forgotten.own_node);
    forgotten.own_node = 0;
    const NodeId node = forgotten.class_node.load(std::memory_order_relaxed);
    if ((forgotten.class_id & ClassTable::own_class) != 0 && node != 0) {
        retire_or_remove(forgotten, node);
        forgotten.class_node.store(0, std::memory_order_relaxed);
    }
    if (ConditionRecord* const record = forgotten.record.load(std::memory_order_relaxed)) {
        forgotten.record.store(nullptr, std::memory_order_relaxed);
        record->next_idle = idle_records;
        idle_records = record;
    }
    if (forgotten.signal_use != nullptr) {
        forgotten.signal_use->lock = nullptr;
        forgotten.signal_use->next_idle = idle_signal_uses;
        idle_signal_uses = forgotten.signal_use;
        forgotten.signal_use = nullptr;
    }
    locks.remove(forgotten);
}

NodeId Validator::State::class_node(Lock& of) {
    NodeId node = of.class_node.load(std::memory_order_relaxed);
    if (node != 0) return node;
    if ((of.class_id & ClassTable::own_class) != 0) {
        node = graph.add_node();
    } else {
        LockClass* const lock_class = classes.get(of.making.class_key);
        if (lock_class->node == 0) lock_class->node = graph.add_node();
        node = lock_class->node;
    }
    if (node == 0) full.store(true, std::memory_order_relaxed);
    of.class_node.store(node, std::memory_order_relaxed);
    return node;
}

NodeId Validator::State::node_alone(Lock& of) {
    return (of.class_id & ClassTable::own_class) != 0 ? class_node(of) : own_node(of);
}

NodeId Validator::State::own_node(Lock& of) {
    if (of.own_node == 0) {
        of.own_node = graph.add_node(class_node(of));
        if (of.own_node == 0) full.store(true, std::memory_order_relaxed);
    }
    return of.own_node;
}

}  // namespace braidway::lockdep
