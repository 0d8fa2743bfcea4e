// SPDX-License-Identifier: Apache-2.0
// What the visible steps of an execution do.
#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "explore/execution.h"

namespace braidway::explore {
namespace {

using detail::Change;
using detail::Operation;

uint64_t read_word(const void* address, uint8_t size_bytes) {
    uint64_t bits = 0;
    switch (size_bytes) {
        case 1:
            std::memcpy(&bits, address, 1);
            break;
        case 2:
            std::memcpy(&bits, address, 2);
            break;
        case 4:
            std::memcpy(&bits, address, 4);
            break;
        default:
            std::memcpy(&bits, address, 8);
            break;
    }
    return bits;
}

void write_word(const void* address, uint8_t size_bytes, uint64_t bits) {
    // Loads are const; only operations on words that are not come here.
    void* const word = const_cast<void*>(address);
    switch (size_bytes) {
        case 1:
            std::memcpy(word, &bits, 1);
            break;
        case 2:
            std::memcpy(word, &bits, 2);
            break;
        case 4:
            std::memcpy(word, &bits, 4);
            break;
        default:
            std::memcpy(word, &bits, 8);
            break;
    }
}

uint64_t changed(const Operation& operation) {
    switch (operation.change) {
        case Change::nothing:
            return operation.before;
        case Change::set:
        case Change::compare:
            return operation.operand;
        case Change::add:
            return operation.before + operation.operand;
        case Change::subtract:
            return operation.before - operation.operand;
        case Change::bit_and:
            return operation.before & operation.operand;
        case Change::bit_or:
            return operation.before | operation.operand;
        case Change::bit_xor:
            return operation.before ^ operation.operand;
    }
    return operation.operand;
}

uint64_t low_bytes(uint64_t bits, uint8_t size_bytes) {
    return size_bytes == 8 ? bits : bits & ((uint64_t{1} << (8 * size_bytes)) - 1);
}

/// Reads the word, and writes it if the operation does.
void apply(Operation& operation) {
    operation.before = read_word(operation.address, operation.size_bytes);
    operation.after = operation.before;
    operation.wrote =
        operation.change != Change::nothing &&
        (operation.change != Change::compare || operation.before == operation.expected);
    if (!operation.wrote) return;
    operation.after = low_bytes(changed(operation), operation.size_bytes);
    write_word(operation.address, operation.size_bytes, operation.after);
}

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

/// Outside of threads nobody else is there.
void perform_alone(Operation& operation) {
    switch (operation.kind) {
        case StepKind::load:
        case StepKind::store:
        case StepKind::exchange:
            apply(operation);
            break;
        default:
            break;
    }
}

}  // namespace

namespace detail {

void perform(Operation& operation) {
    Execution* const execution = Execution::current();
    if (execution == nullptr) {
        perform_alone(operation);
    } else {
        execution->perform(operation);
    }
}

}  // namespace detail

template <typename Function>
void Execution::for_each_address(const Operation& operation, Function function) {
    if (operation.waits.empty()) {
        function(operation.address);
    } else {
        for (const auto& wait : operation.waits) function(static_cast<const void*>(wait.word));
    }
}

// Where threads of the process sleep, or were woken and have taken no step since: a kill would have
// kept the wake from finding them.
template <typename Function>
void Execution::for_each_bed(const Process& process, Function function) const {
    for (Slots rest = process.members; rest != 0; rest &= rest - 1) {
        const Slot& slot = slots_[std::countr_zero(rest)];
        if (slot.at == At::asleep) {
            for_each_address(*slot.pending, function);
        } else if (slot.woken_at != nullptr) {
            function(slot.woken_at);
        }
    }
}

void Execution::perform(Operation& operation) {
    if (running_ == outside) {
        perform_alone(operation);
        return;
    }
    Slot& me = slots_[running_];
    announce(me, operation);
    reschedule();
    carry_out(me, operation);
}

void Execution::announce(Slot& me, Operation& operation) {
    me.pending = &operation;
    me.at = At::announced;
    const bool is_weak = operation.kind == StepKind::load || operation.kind == StepKind::yield ||
                         operation.kind == StepKind::choice || is_buffered(operation);
    me.awaits_flush = !is_weak && !me.buffer.empty();
    if (!me.awaits_flush) enabled_ |= slot_bit(me.index);
    // After its own flushes, also those before it was announced.
    if (!is_weak && me.enabler < 0) me.enabler = me.last_flush;
    const bool gives_way = operation.kind == StepKind::yield || me.awaits_flush;
    if (gives_way && running_ == last_) gave_way_ = true;
}

void Execution::carry_out(Slot& me, Operation& operation) {
    switch (operation.kind) {
        case StepKind::futex_sleep:
            sleep(me, operation);
            return;
        case StepKind::futex_wake:
            wake(operation);
            break;
        case StepKind::choice:
            operation.after = choose(static_cast<unsigned>(operation.operand));
            break;
        case StepKind::fence:
        case StepKind::yield:
            break;
        default:
            access_word(me, operation);
            break;
    }
    if (trace_ != nullptr) {
        const bool is_failed_cas = operation.change == Change::compare && !operation.wrote;
        record(me.index, is_failed_cas ? StepKind::failed_cas : operation.kind, operation);
    }
    finish_step(me);
}

void Execution::finish_step(Slot& me) {
    if (options_.kills_max > 0 && me.process != nullptr) {
        touches_.push_back({&me.process->steps, touched_word});
    }
    if (!runs_free_) chooser_->stepped(*this);
    me.enabler = -1;
    me.woken_at = nullptr;
}

void Execution::access_word(Slot& me, Operation& operation) {
    if (is_buffered(operation)) {
        put_into_buffer(me, operation);
        return;
    }
    apply(operation);
    if (!me.buffer.empty()) {
        // A load looks into its own thread's buffer first. It depends on the flush all the same.
        for (const Store& store : me.buffer) {
            if (store.address == operation.address) operation.before = store.value;
        }
        operation.after = operation.before;
    }
    uint8_t how = touched_word;
    if (operation.wrote) how |= touched_write;
    touch(operation.address, how);
    if (!watches_reads_) return;
    if (operation.wrote) {
        tell_readers(me.index, operation.address);
    } else {
        note_read(me, operation.address);
    }
}

// --- store buffers

bool Execution::is_buffered(const Operation& operation) const {
    // `expected` of a store says that it is sequentially consistent: an exchange on x86.
    return options_.memory == Memory::tso && operation.kind == StepKind::store &&
           operation.expected == 0;
}

void Execution::put_into_buffer(Slot& me, Operation& operation) {
    operation.after = operation.operand;
    me.buffer.push_back(
        {operation.address, operation.operand, operation.size_bytes, static_cast<int>(step_)});
    enabled_ |= slot_bit(first_flusher_ + me.index);
}

void Execution::flush(unsigned slot) {
    Slot& owner = slots_[slot - first_flusher_];
    const Store store = owner.buffer.front();
    owner.buffer.erase(owner.buffer.begin());
    Operation operation;
    operation.kind = StepKind::flush;
    operation.change = Change::set;
    operation.address = store.address;
    operation.size_bytes = store.size_bytes;
    operation.operand = store.value;
    apply(operation);
    touch(store.address, touched_word | touched_write);
    if (watches_reads_) tell_readers(owner.index, store.address);
    if (trace_ != nullptr) record(owner.index, StepKind::flush, operation);
    slots_[slot].enabler = store.step;
    owner.last_flush = static_cast<int>(step_);
    if (!owner.buffer.empty()) {
        enabled_ |= slot_bit(slot);
    } else if (owner.awaits_flush && owner.at == At::announced) {
        owner.awaits_flush = false;
        owner.enabler = owner.last_flush;
        enabled_ |= slot_bit(owner.index);
    }
    if (!runs_free_) chooser_->stepped(*this);
}

unsigned Execution::choose(unsigned count) {
    if (count <= 1 || runs_free_) return 0;
    const unsigned choice = chooser_->choose(*this, count);
    decisions_.back().choice = static_cast<uint16_t>(choice);
    return choice;
}

// --- futex

void Execution::sleep(Slot& me, Operation& operation) {
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
        CHECK(ways <= UINT16_MAX, "too many ways to choose whom a wake wakes");
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
    for (size_t i = 0; i < operation.waits.size(); ++i) {
        if (operation.waits[i].word == address) {
            operation.index = static_cast<unsigned>(i);
        } else {
            touch(operation.waits[i].word, touched_queue);
        }
    }
}

// --- rests

void Execution::note_read(Slot& me, const void* address) {
    for (const Read& read : me.reads) {
        if (read.address == address) return;
    }
    me.reads.push_back({address, 0, -1});
}

void Execution::tell_readers(unsigned writer, const void* address) {
    for (unsigned slot = 0; slot < threads_; ++slot) {
        if (slot == writer) continue;
        for (Read& read : slots_[slot].reads) {
            if (read.address != address) continue;
            ++read.writes;
            read.last_write = static_cast<int>(step_);
            if ((resting_ & slot_bit(slot)) != 0) {
                resting_ &= ~slot_bit(slot);
                enabled_ |= slot_bit(slot);
                slots_[slot].at = At::announced;
            }
        }
    }
}

void Execution::rest() {
    if (running_ == outside) return;
    if (!watches_reads_) {
        // What the threads read so far was not noted: start over, with open eyes.
        watches_reads_ = wants_restart_ = true;
        cut_off_ = true;
        fail("");
    }
    Slot& me = slots_[running_];
    Operation operation;
    operation.kind = StepKind::spin;
    me.pending = &operation;
    if (running_ == last_) gave_way_ = true;
    const bool goes_on = std::ranges::any_of(me.reads, [](const Read& r) { return r.writes > 0; });
    me.at = goes_on ? At::announced : At::resting;
    (goes_on ? enabled_ : resting_) |= slot_bit(running_);
    reschedule();
    go_on_spinning(me);
}

void Execution::go_on_spinning(Slot& me) {
    for (const Read& read : me.reads) touch(read.address, touched_word);
    if (trace_ != nullptr) record(me.index, StepKind::spin, *me.pending);
    finish_step(me);
    me.reads.clear();
}

// --- kills

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
        Operation operation;
        operation.kind = StepKind::load;
        operation.size_bytes = sizeof(uint32_t);
        operation.address = &processes_[i].killed;
        perform(operation);
        return operation.before != 0;
    }
    return false;
}

// --- dependence

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
    const Operation& operation = *it.pending;
    if (operation.kind == StepKind::spin) {
        for (const Read& read : it.reads) function(read.address, uint8_t{touched_word});
        return;
    }
    for_each_address(operation, [&](const void* address) { function(address, mode); });
    if (it.at == At::asleep) return;
    if (operation.kind != StepKind::futex_wake) return;
    for (Slots rest = asleep_; rest != 0; rest &= rest - 1) {
        const Operation& sleeper = *slots_[std::countr_zero(rest)].pending;
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
