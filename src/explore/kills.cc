// SPDX-License-Identifier: Apache-2.0
// What happens when a process is killed.
#include <bit>

#include "explore/execution.h"

namespace braidway::explore {

void Execution::kill(unsigned slot) {
    Process& process = processes_[slot - threads_];
    process.spent = true;
    // Both also when there is nobody to kill any more, for the reason told in sleep().
    touch(&process.steps, touched_word | touched_write);
    touch(&process.killed, touched_word | touched_write);
    for_each_bed(process, [&](const void* address) { touch(address, touched_queue); });
    if (!in_endgame_ && process.threads != 0) {
        if (--kills_left_ == 0) {
            for (unsigned i = 0; i < processes_count_; ++i) {
                const Slots killer = slot_bit(threads_ + i);
                if (processes_[i].threads != 0) robbed_ |= enabled_ & killer;
            }
            enabled_ &= ~robbed_;
        }
        process.killed = 1;
        if (watches_reads_) tell_readers(slot, &process.killed);
        robbed_ |= enabled_ & process.threads;
        for (Slots rest = process.threads; rest != 0; rest &= rest - 1) {
            Slot& dead = slots_[std::countr_zero(rest)];
            dead.at = At::killed;
            if (trace_ != nullptr) record(dead.index, StepKind::killed, {});
        }
        enabled_ &= ~process.threads;
        asleep_ &= ~process.threads;
        resting_ &= ~process.threads;
        process.threads = 0;
    }
    chooser_->stepped(*this);
}

bool Execution::process_killed(unsigned number) {
    for (unsigned i = 0; i < processes_count_; ++i) {
        if (processes_[i].number != number) continue;
        detail::Operation operation;
        operation.kind = StepKind::load;
        operation.size_bytes = sizeof(uint32_t);
        operation.address = &processes_[i].killed;
        perform(operation);
        return operation.before != 0;
    }
    return false;
}

}  // namespace braidway::explore
