// SPDX-License-Identifier: Apache-2.0
// Signal handlers, and places that may sleep.
//
// A lock that a handler of signal s takes, and that somebody holds who has s unblocked, can make
// the handler wait for the code that it interrupted. Such locks are told apart one by one. Where
// the handler wants another lock than the one that is held, that is a step of the order graph,
// which nobody took, and a ring through it is a finding. Its gates are what all holders had; what
// the handler holds besides is no gate, for it may be waited for like the lock itself. Only
// acquisitions that do not take the short way are looked at: a lock that was taken before the
// handler was installed, and is taken again at the same place, may be missed.
#include <new>

#include "lockdep/validator_state.h"

namespace braidway::lockdep {

void Validator::may_sleep(Thread& thread, const char* where, uintptr_t site) {
    for (uint32_t at = thread.held_count(); at > 0; --at) {
        const HeldLock& held = thread.held(at - 1);
        if (!held.live()) continue;
        state_->report_one(FindingKind::held_while_sleep,
                           {.thread = thread.number(),
                            .holds = held.lock.load(std::memory_order_relaxed),
                            .holds_as = held.access.load(std::memory_order_relaxed).hold,
                            .holds_stack = held.stack.load(std::memory_order_relaxed),
                            .wants_stack = state_->capture_stack()},
                           site, where);
        return;
    }
}

void Validator::handler_begins(Thread& thread, int number) {
    const uint32_t depth = thread.handler_depth_++;
    if (depth >= Thread::handlers_max) return;
    thread.handlers_[depth] = {thread.key_, thread.held_count(), number};
    // Chains in handlers are others than those outside.
    thread.key_ = Thread::key_with(thread.key_, 0, {}, static_cast<uintptr_t>(number));
}

void Validator::handler_ends(Thread& thread) {
    if (thread.handler_depth_ == 0) return;
    const uint32_t depth = --thread.handler_depth_;
    if (depth >= Thread::handlers_max) return;
    // Where it holds more or less than before, the key goes on as it is: it need not be the one
    // that other ways to the same locks lead to.
    if (thread.handlers_[depth].held_count == thread.held_count())
        thread.key_ = thread.handlers_[depth].key;
}

void Validator::signals_blocked(Thread& thread, uint64_t mask) {
    const uint64_t unblocked = thread.signals_blocked_ & ~mask;
    thread.signals_blocked_ = mask;
    const uint64_t handled = state_->signals_handled.load(std::memory_order_relaxed);
    if ((unblocked & handled) == 0) return;
    // What was taken under the old mask must be looked at again.
    thread.forget_chains();
    for (uint32_t at = 0; at < thread.held_count(); ++at) {
        const HeldLock& held = thread.held(at);
        if (held.live())
            state_->note_signals(thread, *held.lock.load(std::memory_order_relaxed),
                                 held.access.load(std::memory_order_relaxed),
                                 held.stack.load(std::memory_order_relaxed));
    }
}

void Validator::signals_handled(uint64_t mask) {
    if (state_ != nullptr) state_->signals_handled.store(mask, std::memory_order_relaxed);
}

void Validator::State::note_signals(const Thread& thread, Lock& noted, Access access,
                                    StackId stack) {
    const uint32_t depth =
        thread.handler_depth_ < Thread::handlers_max ? thread.handler_depth_ : Thread::handlers_max;
    uint64_t inside = 0;
    for (uint32_t at = 0; at < depth; ++at)
        inside |= uint64_t{1} << ((thread.handlers_[at].number - 1) & 63);
    const uint64_t interruptible =
        signals_handled.load(std::memory_order_relaxed) & ~thread.signals_blocked_ & ~inside;
    if (access.patience == Patience::bounded) inside = 0;
    if (inside == 0 && interruptible == 0) return;
    const Want want = want_of(noted, access.hold);
    size_t want_index = handler_wants_max;
    bool held_anew = false;
    SignalUse* use = nullptr;
    {
        const InternalGuard guard(lock);
        use = signal_use_of(noted);
        if (use == nullptr) return;
        if (interruptible != 0)
            held_anew =
                use->note_holder(access.hold, interruptible, gates_of(thread, nullptr).all(),
                                 noted.id.load(std::memory_order_relaxed));
        uint64_t& taken = use->taken[static_cast<size_t>(want)];
        const bool taken_anew = (taken & inside) != inside;
        if (!held_anew && !taken_anew) return;
        taken |= inside;
        if (inside != 0) {
            use->taker = thread.number();
            use->taker_stack = stack;
        }
        if (interruptible != 0) {
            use->holder = thread.number();
            use->holder_stack = stack;
        }
        if (taken_anew)
            want_index = note_handler_want({.lock = &noted,
                                            .id = noted.id.load(std::memory_order_relaxed),
                                            .want = want,
                                            .signals = inside,
                                            .thread = thread.number(),
                                            .stack = stack});
    }
    report_signal_conflict(noted);
    for (size_t at = 0; held_anew && at < handler_wants_max; ++at) add_handler_steps(*use, at);
    if (want_index == handler_wants_max) return;
    const SignalUse* other = signal_uses.load(std::memory_order_acquire);
    for (; other != nullptr; other = other->next_made) add_handler_steps(*other, want_index);
}

void Validator::State::report_signal_conflict(Lock& of) {
    // Whoever holds it takes it again without waiting.
    if (of.traits.recursive) return;
    Chain chain{.holds = &of, .wants = &of};
    {
        const InternalGuard guard(lock);
        const SignalUse* const use = of.signal_use;
        if (use == nullptr) return;
        const NodeId node = of.class_node.load(std::memory_order_relaxed);
        const bool written = writers_assumed.load(std::memory_order_relaxed) ||
                             (node != 0 && graph.has_writer(node));
        const uint64_t exclusive = use->held[static_cast<size_t>(Hold::exclusive)];
        const uint64_t conflicts = use->conflicts(written);
        if (conflicts == 0) return;
        chain.thread = use->holder;
        chain.holds_as = (exclusive & conflicts) != 0 ? Hold::exclusive : Hold::shared;
        chain.holds_stack = use->holder_stack;
        chain.wants_as = (use->taken[static_cast<size_t>(Want::write)] & conflicts) != 0
                             ? Want::write
                             : want_of(of, Hold::shared);
        chain.wants_stack = use->taker_stack;
    }
    report_one(FindingKind::signal, chain, 0, "a signal handler takes it");
}

size_t Validator::State::note_handler_want(const HandlerWant& fresh) {
    size_t free = handler_wants_max;
    for (size_t at = 0; at < handler_wants_max; ++at) {
        HandlerWant& known = handler_wants[at];
        if (known.is_live() && (known.lock != fresh.lock || known.want != fresh.want)) continue;
        if (known.is_live()) {
            known.signals |= fresh.signals;
            return at;
        }
        if (free == handler_wants_max) free = at;
    }
    if (free != handler_wants_max)
        handler_wants[free] = fresh;
    else
        full.store(true, std::memory_order_relaxed);
    return free;
}

void Validator::State::add_handler_steps(const SignalUse& use, size_t want_index) {
    std::array<Step, 2> steps;
    size_t count = 0;
    Gates gates;
    {
        const InternalGuard guard(lock);
        const HandlerWant& wanted = handler_wants[want_index];
        if (!wanted.is_live() || use.lock == nullptr || use.lock == wanted.lock) return;
        Lock& from = *use.lock;
        for (const Hold hold : {Hold::exclusive, Hold::shared}) {
            if ((use.held[static_cast<size_t>(hold)] & wanted.signals) == 0) continue;
            const bool within = from.class_id == wanted.lock->class_id;
            Step& step = steps[count];
            step.from = within ? own_node(from) : class_node(from);
            step.to = within ? own_node(*wanted.lock) : class_node(*wanted.lock);
            if (step.from == 0 || step.to == 0) return;
            from.evidence = wanted.lock->evidence = true;
            step.hold = hold;
            step.want = wanted.want;
            step.by_handler = true;
            step.evidence = {.thread = use.holder,
                             .held_lock = from.id.load(std::memory_order_relaxed),
                             .wanted_lock = wanted.id,
                             .held_stack = use.holder_stack,
                             .wanted_stack = wanted.stack};
            ++count;
        }
        for (size_t at = 0; at < use.gate_count; ++at) gates.gates[at] = use.gates[at];
        gates.count = use.gate_count + 1;
    }
    for (size_t at = 0; at < count; ++at) {
        gates.gates[gates.count - 1] = {steps[at].evidence.held_lock, steps[at].hold};
        add_and_report(steps[at], gates);
    }
}

SignalUse* Validator::State::signal_use_of(Lock& of) {
    if (of.signal_use != nullptr) return of.signal_use;
    SignalUse* const use =
        idle_signal_uses != nullptr ? idle_signal_uses : arena.allocate_array<SignalUse>(1);
    if (use == nullptr) {
        full.store(true, std::memory_order_relaxed);
        return nullptr;
    }
    SignalUse* next_made = signal_uses.load(std::memory_order_relaxed);
    const bool used_before = use == idle_signal_uses;
    if (used_before) {
        idle_signal_uses = use->next_idle;
        next_made = use->next_made;
    }
    of.signal_use = ::new (use) SignalUse{.next_made = next_made, .lock = &of};
    if (!used_before) signal_uses.store(use, std::memory_order_release);
    return use;
}

}  // namespace braidway::lockdep
