// SPDX-License-Identifier: Apache-2.0
// What futex operations do.
#include <algorithm>
#include <bit>

#include "explore/execution.h"
#include "explore/word_access.h"

namespace braidway::explore {
namespace {

using detail::Operation;

uint64_t combinations(uint64_t of, uint64_t take) {
    uint64_t result = 1;
    for (uint64_t i = 1; i <= take; ++i) result = result * (of - take + i) / i;
    return result;
}

/// The `number`-th way to take `take` of the slots in `from`.
Slots subset(Slots from, unsigned take, unsigned number) {
    Slots taken = 0;
    while (take > 0) {
        const Slots lowest = from & (~from + 1);
        from &= from - 1;
        const uint64_t with_lowest =
            combinations(static_cast<unsigned>(std::popcount(from)), take - 1);
        if (number < with_lowest) {
            taken |= lowest;
            --take;
        } else {
            number -= static_cast<unsigned>(with_lowest);
        }
    }
    return taken;
}

}  // namespace

void Execution::sleep(Slot& me, Operation& operation) {
    if (operation.address == nullptr && operation.waits.empty()) {
        fail(takes_words);
    }
    bool is_changed = false;
    if (operation.waits.empty()) {
        operation.before = read_word(operation.address, operation.size_bytes);
        is_changed = operation.before != low_bytes(operation.expected, operation.size_bytes);
    } else {
        operation.address = operation.waits[0].word;
        for (const auto& wait : operation.waits) {
            is_changed |= read_word(wait.word, sizeof(uint32_t)) != wait.expected;
        }
    }
    for_each_address(operation, [&](const void* address) {
        // Also of the queue when the word has changed: what a step depends on must not depend on
        // steps that are independent of that.
        touch(address, touched_word | touched_queue);
        if (watches_reads_) note_read(me, address);
    });
    if (is_changed) {
        operation.outcome = sync::FutexOutcome::changed;
        if (trace_ != nullptr) record(me.index, StepKind::futex_sleep, operation);
        finish_step(me);
        return;
    }
    operation.outcome = sync::FutexOutcome::woken;
    bool may_return = operation.timed;
    if (options_.spurious_wakes_max > 0) {
        const unsigned choice = spurious_left_ > 0 ? choose(3) : 0;
        // The bound makes no steps dependent: whatever their order, the same ones may return.
        if (choice != 0) {
            --spurious_left_;
            operation.timed = false;
            may_return = true;
            if (choice == 2) operation.outcome = sync::FutexOutcome::interrupted;
        }
    }
    if (trace_ != nullptr) record(me.index, StepKind::futex_sleep, operation);
    me.at = At::asleep;
    asleep_ |= slot_bit(me.index);
    if (may_return) enabled_ |= slot_bit(me.index);
    gave_way_ = true;
    finish_step(me);
    reschedule();
    if (me.at == At::asleep) {
        return_from_sleep(me, operation);
    } else if (trace_ != nullptr) {
        record(me.index, StepKind::futex_return, operation);
    }
}

// A step of its own: nobody woke it.
void Execution::return_from_sleep(Slot& me, Operation& operation) {
    if (operation.timed) operation.outcome = sync::FutexOutcome::timed_out;
    asleep_ &= ~slot_bit(me.index);
    me.at = At::announced;
    for_each_address(operation, [&](const void* address) { touch(address, touched_queue); });
    if (trace_ != nullptr) record(me.index, StepKind::futex_return, operation);
    finish_step(me);
}

void Execution::wake(Operation& operation) {
    touch(operation.address, touched_queue | touched_wake);
    Slots waiters = 0;
    for (Slots rest = asleep_; rest != 0; rest &= rest - 1) {
        const unsigned slot = static_cast<unsigned>(std::countr_zero(rest));
        for_each_address(*slots_[slot].pending, [&](const void* address) {
            if (address == operation.address) waiters |= slot_bit(slot);
        });
    }
    const unsigned found = static_cast<unsigned>(std::popcount(waiters));
    const unsigned count = static_cast<unsigned>(std::min<uint64_t>(found, operation.operand));
    operation.after = count;
    if (count == 0) return;
    if (count < found) {
        const uint64_t ways = combinations(found, count);
        if (ways > outcomes_max) {
            fail("a futex_wake() has more than 65535 ways to choose whom it wakes");
        }
        waiters = subset(waiters, count, choose(static_cast<unsigned>(ways)));
    }
    for (; waiters != 0; waiters &= waiters - 1) {
        wake_slot(static_cast<unsigned>(std::countr_zero(waiters)), operation.address);
    }
}

void Execution::wake_slot(unsigned slot, const void* address) {
    Slot& sleeper = slots_[slot];
    Operation& operation = *sleeper.pending;
    asleep_ &= ~slot_bit(slot);
    robbed_ |= enabled_ & slot_bit(slot);
    enabled_ &= ~slot_bit(slot);
    unprimed_ |= slot_bit(slot);
    sleeper.at = At::announced;
    sleeper.enabler = static_cast<int>(step_);
    sleeper.woken_at = address;
    operation.outcome = sync::FutexOutcome::woken;
    // Backwards: of a word that stands there twice the first counts.
    for (size_t i = operation.waits.size(); i-- > 0;) {
        if (operation.waits[i].word == address) {
            operation.index = static_cast<unsigned>(i);
        } else {
            touch(operation.waits[i].word, touched_queue);
        }
    }
}

}  // namespace braidway::explore
