// SPDX-License-Identifier: Apache-2.0
// Steps of the order graph: what a thread holds, and what it wants besides.
#include "base/limits.h"
#include "lockdep/validator_state.h"

namespace braidway::lockdep {
void Validator::State::add_steps(const Thread& thread, Lock& wanted, Access access, StackId stack) {
    const uint32_t count = thread.held_count();
    for (uint32_t at = 0; at < count; ++at) {
        if (at >= limits::lockdep_first_steps_max && count - at > limits::lockdep_last_steps_max)
            continue;
        const HeldLock& held = thread.held(at);
        Lock& from = *held.lock.load(std::memory_order_relaxed);
        if (&from == &wanted || !held.live()) continue;
        Step step;
        {
            const InternalGuard guard(lock);
            const bool within = from.class_id == wanted.class_id;
            step.from = within ? own_node(from) : class_node(from);
            step.to = within ? own_node(wanted) : class_node(wanted);
            from.evidence = wanted.evidence = true;
        }
        if (step.from == 0 || step.to == 0) continue;
        step.hold = held.access.load(std::memory_order_relaxed).hold;
        step.want = want_of(wanted, access.hold);
        step.evidence = {.thread = thread.number(),
                         .held_lock = held.id.load(std::memory_order_relaxed),
                         .wanted_lock = wanted.id.load(std::memory_order_relaxed),
                         .held_stack = held.stack.load(std::memory_order_relaxed),
                         .wanted_stack = stack};
        add_and_report(step, gates_of(thread, &held));
    }
}

void Validator::State::add_writer(const Thread& thread, Lock& wanted, StackId stack) {
    const Gates gates = gates_of(thread, nullptr);
    Finding finding;
    {
        const InternalGuard guard(lock);
        const NodeId node = class_node(wanted);
        if (node == 0) return;
        wanted.evidence = true;
        Ring ring;
        const Evidence evidence = {.thread = thread.number(),
                                   .held_lock = 0,
                                   .wanted_lock = wanted.id.load(std::memory_order_relaxed),
                                   .held_stack = 0,
                                   .wanted_stack = stack};
        if (!graph.add_writer(node, gates.all(), evidence, ring) || !describe(ring, finding))
            return;
    }
    report_ring(finding);
}

void Validator::State::add_second_read(const Thread& thread, Lock& wanted, const HeldLock& first,
                                       uintptr_t site, StackId stack) {
    Step step;
    {
        const InternalGuard guard(lock);
        step.from = step.to = class_node(wanted);
        wanted.evidence = true;
    }
    if (step.from == 0) return;
    const LockId id = wanted.id.load(std::memory_order_relaxed);
    const StackId first_stack = first.stack.load(std::memory_order_relaxed);
    step.hold = Hold::shared;
    step.want = Want::fair_read;
    step.evidence = {.thread = thread.number(),
                     .held_lock = id,
                     .wanted_lock = id,
                     .held_stack = first_stack,
                     .wanted_stack = stack};
    add_and_report(step, gates_of(thread, &first));
    bool written = writers_assumed.load(std::memory_order_relaxed);
    if (!written) {
        const InternalGuard guard(lock);
        written = graph.has_writer(step.from);
    }
    if (written) return;
    report_one(FindingKind::recursive_read,
               {.thread = thread.number(),
                .holds = &wanted,
                .holds_as = Hold::shared,
                .holds_stack = first_stack,
                .wants = &wanted,
                .wants_as = Want::fair_read,
                .wants_stack = stack},
               site, "no writer was seen", true);
}

void Validator::State::add_and_report(const Step& step, const Gates& gates) {
    Finding finding;
    {
        const InternalGuard guard(lock);
        Ring ring;
        if (!graph.add(step, gates.all(), ring) || !describe(ring, finding)) return;
    }
    report_ring(finding);
}

Gates Validator::State::gates_of(const Thread& thread, const HeldLock* among) {
    Gates all;
    const uint32_t count = thread.held_count();
    for (uint32_t at = 0; at < count; ++at) {
        const HeldLock& held = thread.held(at);
        if (!held.live()) continue;
        // When there are too many, those that were taken first are the likeliest gates; the lock
        // that the step is about must be one of them.
        const bool last_room = all.count + 1 == all.gates.size();
        if (last_room && among != nullptr && &held < among) continue;
        all.gates[all.count++] = {held.id.load(std::memory_order_relaxed),
                                  held.access.load(std::memory_order_relaxed).hold};
        if (all.count == all.gates.size()) break;
    }
    return all;
}

}  // namespace braidway::lockdep
