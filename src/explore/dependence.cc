// SPDX-License-Identifier: Apache-2.0
// Which steps depend on which.
#include <algorithm>
#include <bit>

#include "explore/execution.h"

namespace braidway::explore {

StepKind Execution::pending(unsigned slot) const {
    if (slot >= first_flusher_) return StepKind::flush;
    if (slot >= threads_) {
        return (spared() & slot_bit(slot)) != 0 ? StepKind::end : StepKind::killed;
    }
    return slots_[slot].at == At::asleep ? StepKind::futex_return : slots_[slot].pending->kind;
}

template <typename Function>
void Execution::visit_touches(unsigned slot, uint8_t mode, Function function) const {
    if (slot >= first_flusher_) {
        function(slots_[slot - first_flusher_].buffer.front().address,
                 uint8_t{touched_word | touched_write});
        return;
    }
    if (slot >= threads_) {
        const Process& process = processes_[slot - threads_];
        function(&process.steps, uint8_t{touched_word | touched_write});
        function(&process.killed, uint8_t{touched_word | touched_write});
        for_each_bed(process,
                     [&](const void* address) { function(address, uint8_t{touched_queue}); });
        return;
    }
    const Slot& it = slots_[slot];
    if (options_.kills_max > 0 && it.process != nullptr) {
        function(&it.process->steps, uint8_t{touched_word});
    }
    const detail::Operation& operation = *it.pending;
    if (operation.kind == StepKind::spin) {
        for (const Read& read : it.reads) function(read.address, uint8_t{touched_word});
        return;
    }
    for_each_address(operation, [&](const void* address) { function(address, mode); });
    if (it.at == At::asleep) return;
    if (operation.kind != StepKind::futex_wake) return;
    for (Slots rest = asleep_; rest != 0; rest &= rest - 1) {
        const detail::Operation& sleeper = *slots_[std::countr_zero(rest)].pending;
        const auto is_here = [&](const auto& wait) { return wait.word == operation.address; };
        if (!std::ranges::any_of(sleeper.waits, is_here)) continue;
        for (const auto& wait : sleeper.waits) function(wait.word, uint8_t{touched_queue});
    }
}

bool Execution::conflicts(unsigned slot, uint8_t mode) const {
    bool found = false;
    visit_touches(slot, mode, [&](const void* address, uint8_t how) {
        for (const Touch& touch : touches_) {
            found |= touch.address == address && clash(touch.how, how);
        }
    });
    return found;
}

}  // namespace braidway::explore
