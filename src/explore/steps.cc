// SPDX-License-Identifier: Apache-2.0
// What the visible steps of an execution do.
#include <setjmp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "explore/execution.h"
#include "explore/word_access.h"

namespace braidway::explore {
namespace {

using detail::Change;
using detail::Operation;

constexpr std::string_view nobody_left = "setup or finally() waits, and nobody is there to wake it";

/// What a wait finds where nobody else is there; false when it would wait for ever.
bool returns_alone(Operation& operation) {
    bool is_changed = false;
    if (operation.waits.empty()) {
        operation.before = read_word(operation.address, operation.size_bytes);
        is_changed = operation.before != low_bytes(operation.expected, operation.size_bytes);
    }
    for (const auto& wait : operation.waits) {
        is_changed |= read_word(wait.word, sizeof(uint32_t)) != wait.expected;
    }
    if (is_changed) {
        operation.outcome = sync::FutexOutcome::changed;
    } else if (operation.timed) {
        operation.outcome = sync::FutexOutcome::timed_out;
    }
    return is_changed || operation.timed;
}

/// Outside of threads nobody else is there.
void perform_alone(Operation& operation) {
    switch (operation.kind) {
        case StepKind::load:
        case StepKind::store:
        case StepKind::exchange:
        case StepKind::mutex_lock:
        case StepKind::mutex_unlock:
            apply(operation);
            break;
        default:
            break;
    }
}

/// Whoever is called next finds nothing of those who were called before.
[[gnu::noinline]] void wipe_below() {
    std::array<char, 1024> dead;
    dead.fill(0);
    asm volatile("" : : "r"(dead.data()) : "memory");
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

// The thread's state is its stack from here on, and the registers that a called function keeps: in
// `registers`, or where this function and its callers have put them.
template <typename Function>
[[gnu::noinline]] void Execution::with_state_noted(Function function) {
    jmp_buf registers;
    std::memset(&registers, 0, sizeof(registers));
    (void)_setjmp(registers);
    Slot& me = slots_[running_];
    me.live_from = reinterpret_cast<const char*>(&registers);
    CHECK(
        me.fiber->has_on_stack(me.live_from),
        "locals are not on the stack: states are not explored with detect_stack_use_after_return");
    function();
    wipe_below();
}

void Execution::perform(Operation& operation) {
    if (running_ == outside) {
        step_alone(operation);
        return;
    }
    if (options_.method == Method::states && !runs_free_) {
        with_state_noted([&] { step(operation); });
    } else {
        step(operation);
    }
}

void Execution::step(Operation& operation) {
    Slot& me = slots_[running_];
    announce(me, operation);
    reschedule();
    carry_out(me, operation);
}

// In setup or finally().
void Execution::step_alone(Operation& operation) {
    if (!sets_up_ && ++steps_alone_ > options_.steps_max) {
        end_run(Finding::endless, "more steps than steps_max in finally()");
        stop();
    }
    const bool is_lock = operation.kind == StepKind::mutex_lock;
    if (is_lock && read_word(operation.address, operation.size_bytes) != 0) fail(nobody_left);
    if (operation.kind != StepKind::futex_sleep) {
        perform_alone(operation);
        return;
    }
    if (operation.address == nullptr && operation.waits.empty()) fail(takes_words);
    if (!returns_alone(operation)) fail(nobody_left);
}

void Execution::announce(Slot& me, Operation& operation) {
    me.pending = &operation;
    me.at = At::announced;
    const bool is_weak = operation.kind == StepKind::load || operation.kind == StepKind::yield ||
                         operation.kind == StepKind::choice || is_buffered(operation);
    me.awaits_flush = !is_weak && !me.buffer.empty();
    if (!me.awaits_flush) enable_announced(me);
    // After its own flushes, also those before it was announced.
    if (!is_weak && me.enabler < 0) me.enabler = me.last_flush;
    const bool gives_way = operation.kind == StepKind::yield || me.awaits_flush ||
                           (locked_out_ & slot_bit(me.index)) != 0;
    if (gives_way && running_ == last_) gave_way_ = true;
}

// Nothing of its own keeps the thread from its next step.
void Execution::enable_announced(Slot& me) {
    const Operation& operation = *me.pending;
    const bool is_lock = operation.kind == StepKind::mutex_lock;
    // A thread that is killed before its first step, locked out, would race with nothing.
    CHECK(!is_lock || options_.kills_max == 0, "a ProvenMutex knows no kills");
    const bool is_locked_out = is_lock && read_word(operation.address, operation.size_bytes) != 0;
    (is_locked_out ? locked_out_ : enabled_) |= slot_bit(me.index);
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
        case StepKind::mutex_lock:
            lock_mutex(me, operation);
            break;
        case StepKind::mutex_unlock:
            unlock_mutex(operation);
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
    if (operation.before != operation.after) tell_readers(me.index, operation.address);
    // Also an exchange that wrote: who spins on a test-and-set has read the word.
    if (operation.kind != StepKind::store) note_read(me, operation.address);
}

// --- mutexes of one step

// The mutex is free: else the step was not enabled. Who wants it too is locked out from now on.
void Execution::lock_mutex(Slot& me, Operation& operation) {
    apply(operation);
    touch(operation.address, touched_lock);
    for (Slots rest = enabled_ & (slot_bit(threads_) - 1); rest != 0; rest &= rest - 1) {
        const unsigned slot = static_cast<unsigned>(std::countr_zero(rest));
        const Slot& other = slots_[slot];
        if (slot == me.index || other.at != At::announced) continue;
        if (other.pending->kind != StepKind::mutex_lock) continue;
        if (other.pending->address != operation.address) continue;
        enabled_ &= ~slot_bit(slot);
        locked_out_ |= slot_bit(slot);
    }
}

void Execution::unlock_mutex(Operation& operation) {
    apply(operation);
    touch(operation.address, touched_unlock);
    for (Slots rest = locked_out_; rest != 0; rest &= rest - 1) {
        const unsigned slot = static_cast<unsigned>(std::countr_zero(rest));
        if (awaited_mutex(slot) != operation.address) continue;
        locked_out_ &= ~slot_bit(slot);
        enabled_ |= slot_bit(slot);
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
    if (watches_reads_ && operation.before != operation.after) {
        tell_readers(owner.index, store.address);
    }
    if (trace_ != nullptr) record(owner.index, StepKind::flush, operation);
    slots_[slot].enabler = store.step;
    owner.last_flush = static_cast<int>(step_);
    if (!owner.buffer.empty()) {
        enabled_ |= slot_bit(slot);
    } else if (owner.awaits_flush && owner.at == At::announced) {
        owner.awaits_flush = false;
        owner.enabler = owner.last_flush;
        enable_announced(owner);
    }
    if (!runs_free_) chooser_->stepped(*this);
}

unsigned Execution::choose(unsigned count) {
    if (count <= 1 || runs_free_) return 0;
    const unsigned choice = chooser_->choose(*this, count);
    decisions_.back().choice = static_cast<uint16_t>(choice);
    return choice;
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
    if (running_ == outside) {
        CHECK(!sets_up_, "setup waits, and nobody is there");
        fail(nobody_left);
    }
    if (!watches_reads_) {
        // What the threads read so far was not noted: start over, with open eyes.
        watches_reads_ = wants_restart_ = true;
        cut_off_ = true;
        fail("");
    }
    if (options_.method == Method::states && !runs_free_) {
        with_state_noted([this] { rest_until_told(); });
    } else {
        rest_until_told();
    }
}

void Execution::rest_until_told() {
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

}  // namespace braidway::explore
