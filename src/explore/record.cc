// SPDX-License-Identifier: Apache-2.0
// What an execution writes into a trace, when it is run for one.
#include <algorithm>

#include "explore/execution.h"

namespace braidway::explore {

void Execution::record(unsigned slot, StepKind kind, const detail::Operation& operation) {
    Step step;
    step.thread = slot;
    step.kind = kind;
    step.address = operation.address;
    step.before = kind == StepKind::futex_sleep ? operation.expected : operation.before;
    step.after = operation.after;
    step.outcome = operation.outcome;
    trace_->steps.push_back(std::move(step));
}

void Execution::note(std::string_view text) {
    if (trace_ == nullptr || running_ == outside) return;
    Step step;
    step.thread = running_;
    step.kind = StepKind::note;
    step.note = text;
    trace_->steps.push_back(std::move(step));
}

void Execution::observe(sync::LockEvent event, sync::LockMode mode, const void* lock) {
    if (trace_ == nullptr || running_ == outside) return;
    Step step;
    step.thread = running_;
    step.kind = StepKind::lock;
    step.address = lock;
    step.lock_event = event;
    step.lock_mode = mode;
    trace_->steps.push_back(std::move(step));
}

// Who holds and wants what follows from the lock steps.
void Execution::record_states() {
    trace_->objects = names_;
    trace_->states.resize(threads_);
    for (unsigned slot = 0; slot < threads_; ++slot) {
        trace_->threads.emplace_back(slots_[slot].name);
        ThreadState& state = trace_->states[slot];
        switch (slots_[slot].at) {
            case At::done:
                state.at = ThreadState::At::done;
                break;
            case At::ready:
            case At::announced:
                state.at = ThreadState::At::runnable;
                if ((locked_out_ & slot_bit(slot)) == 0) break;
                state.at = ThreadState::At::asleep;
                state.address = awaited_mutex(slot);
                break;
            case At::asleep:
                state.at = ThreadState::At::asleep;
                state.address = slots_[slot].pending->address;
                break;
            case At::resting:
                state.at = ThreadState::At::spinning;
                if (!slots_[slot].reads.empty()) state.address = slots_[slot].reads.back().address;
                break;
            case At::killed:
                state.at = ThreadState::At::killed;
                break;
        }
    }
    for (const Step& step : trace_->steps) {
        if (step.kind != StepKind::lock) continue;
        ThreadState& state = trace_->states[step.thread];
        const auto forget = [&](std::vector<ThreadState::Held>& list) {
            const auto same = [&](const ThreadState::Held& held) {
                return held.lock == step.address && held.mode == step.lock_mode;
            };
            const auto last = std::find_if(list.rbegin(), list.rend(), same);
            if (last != list.rend()) list.erase(std::next(last).base());
        };
        switch (step.lock_event) {
            case sync::LockEvent::asked:
            case sync::LockEvent::upgrading:
            case sync::LockEvent::gone:
                break;
            case sync::LockEvent::wanted:
                state.wants.push_back({step.address, step.lock_mode});
                break;
            case sync::LockEvent::acquired:
                forget(state.wants);
                state.holds.push_back({step.address, step.lock_mode});
                break;
            case sync::LockEvent::given_up:
                forget(state.wants);
                break;
            case sync::LockEvent::released:
                forget(state.holds);
                break;
        }
    }
}

}  // namespace braidway::explore
