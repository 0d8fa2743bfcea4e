// SPDX-License-Identifier: Apache-2.0
#include "explore/execution.h"

#include <bit>
#include <exception>
#include <utility>

#include "base/check.h"
#include "sync/misuse.h"

namespace braidway::explore {
namespace {

// Read in every step; the library may be a shared one, but is not loaded late by many.
[[gnu::tls_model("initial-exec")]] constinit thread_local Execution* running_here = nullptr;

/// Leaves a setup that has failed.
struct SetupFailed {};

void fail_of_misuse(const char* what, const void* /*lock*/) {
    running_here->fail(what, "a lock was misused: ");
}

}  // namespace

Execution* Execution::current() {
    return running_here;
}

Execution::Execution(const Options& options, const std::function<void(World&)>& setup, Arena* lent)
    : options_(options), setup_(setup), arena_(lent == nullptr ? own_arena_ : *lent) {
    for (unsigned index = 0; index < slots_.size(); ++index) {
        slots_[index].execution = this;
        slots_[index].index = index;
    }
}

Execution::~Execution() = default;

Finding Execution::run(Chooser& chooser, Trace* trace) {
    CHECK(running_here == nullptr, "an exploration runs inside another one");
    reset(chooser, trace);
    running_here = this;
    set_up();
    make_room_beside_threads();
    const sync::MisuseListener former = sync::set_misuse_listener(&fail_of_misuse);
    chooser.begin(*this);
    reschedule();
    if (!cut_off_) chooser.ended(*this);
    if (trace_ != nullptr) record_states();
    if (finding_ == Finding::nothing && !cut_off_ && finally_) run_finally();
    running_ = outside;
    running_here = nullptr;
    sync::set_misuse_listener(former);
    clean_up();
    return finding_;
}

void Execution::set_up() {
    World world(*this);
    sets_up_ = true;
    try {
        setup_(world);
    } catch (const SetupFailed&) {
        // The run is over; finding_ says why.
    } catch (...) {
        sets_up_ = false;
        running_here = nullptr;
        clean_up();
        throw;
    }
    sets_up_ = false;
}

void Execution::make_room_beside_threads() {
    slots_count_ = threads_;
    first_flusher_ = slots_max;
    kills_left_ = options_.kills_max;
    if (kills_left_ > 0) {
        if (threads_ + processes_count_ > slots_max) {
            end_run(Finding::failed_check,
                    "threads and killable processes are more than 32 together");
            return;
        }
        for (unsigned i = 0; i < processes_count_; ++i) optional_ |= slot_bit(slots_count_++);
        enabled_ = optional_;
    }
    if (options_.memory == Memory::tso) {
        if (slots_count_ + threads_ > slots_max) {
            end_run(Finding::failed_check,
                    "twice the threads, for their store buffers, and killable processes are more "
                    "than 32 together");
            return;
        }
        first_flusher_ = slots_count_;
        slots_count_ += threads_;
    }
    for (unsigned slot = threads_; slot < slots_count_; ++slot) slots_[slot].enabler = -1;
}

void Execution::reset(Chooser& chooser, Trace* trace) {
    chooser_ = &chooser;
    trace_ = trace;
    threads_ = slots_count_ = processes_count_ = 0;
    unprimed_ = enabled_ = asleep_ = resting_ = locked_out_ = optional_ = spared_ = 0;
    last_ = slots_max;
    gave_way_ = true;
    step_ = steps_ = steps_alone_ = 0;
    spurious_left_ = options_.spurious_wakes_max;
    is_over_ = cut_off_ = runs_free_ = in_endgame_ = false;
    finding_ = Finding::nothing;
    message_.clear();
    stuck_.clear();
    decisions_.clear();
    if (trace_ != nullptr) *trace_ = Trace{};
}

void Execution::run_finally() {
    Slot& slot = slots_[slots_max];
    slot.body = std::move(finally_);
    Fiber& fiber = fiber_of(slot);
    slot.is_idle = false;
    is_over_ = true;
    // Not a thread: its operations are carried out at once.
    running_ = outside;
    main_.switch_to(fiber.context());
}

void Execution::clean_up() {
    for (unsigned index = 0; index < threads_; ++index) clean_up(slots_[index]);
    clean_up(slots_[slots_max]);
    finally_ = nullptr;
    for (size_t i = shared_.size(); i-- > 0;) shared_[i].destroy(shared_[i].object);
    shared_.clear();
    names_.clear();
    arena_.clear();
}

void Execution::clean_up(Slot& slot) {
    slot.body = nullptr;
    if (slot.is_idle) return;
    slot.fiber->restart();
    slot.is_idle = true;
}

Fiber& Execution::fiber_of(Slot& slot) {
    if (slot.fiber == nullptr) slot.fiber = std::make_unique<Fiber>(&thread_main, &slot);
    return *slot.fiber;
}

void Execution::thread_main(void* argument) {
    Slot& slot = *static_cast<Slot*>(argument);
    for (;;) slot.execution->run_body(slot);
}

void Execution::run_body(Slot& slot) {
    std::string thrown;
    bool has_thrown = false;
    try {
        slot.body();
    } catch (const std::exception& exception) {
        has_thrown = true;
        thrown = exception.what();
    } catch (...) {
        has_thrown = true;
        thrown = "something that is no std::exception";
    }
    slot.is_idle = true;
    slot.at = At::done;
    if (slot.index == last_) gave_way_ = true;
    if (has_thrown && !cut_off_) {
        end_run(Finding::failed_check, "an exception left its thread: " + thrown);
        std::string().swap(thrown);
    }
    if (slot.index == slots_max) {
        slot.fiber->context().switch_to(main_);
        return;
    }
    if (slot.process != nullptr && options_.kills_max > 0) {
        slot.process->threads &= ~slot_bit(slot.index);
        const Slots killer =
            slot_bit(threads_ + static_cast<unsigned>(slot.process - processes_.data()));
        if (slot.process->threads == 0 && !slot.process->spent) {
            // There is nobody left to kill, but a search by races must see that there was.
            if (plays_endgames_) {
                enabled_ |= killer;
            } else {
                enabled_ &= ~killer;
            }
        }
    }
    if (trace_ != nullptr) record(slot.index, StepKind::end, {});
    reschedule();
}

void Execution::reschedule() {
    enter(next_slot());
}

void Execution::enter(unsigned next) {
    if (next == running_) return;
    Context& from = running_ == outside ? main_ : slots_[running_].fiber->context();
    Context& to = next == outside ? main_ : slots_[next].fiber->context();
    running_ = next;
    from.switch_to(to);
}

unsigned Execution::next_slot() {
    if (is_over_) return outside;
    if (unprimed_ != 0) {
        const unsigned slot = static_cast<unsigned>(std::countr_zero(unprimed_));
        unprimed_ &= ~slot_bit(slot);
        if (slots_[slot].at == At::ready && trace_ != nullptr) record(slot, StepKind::start, {});
        slots_[slot].is_idle = false;
        return slot;
    }
    for (;;) {
        if ((enabled_ & ~optional_) == 0 && !conclude()) return outside;
        if (steps_ >= options_.steps_max && !in_endgame_) {
            end_run(Finding::endless, "more steps than steps_max");
            return outside;
        }
        step_ = static_cast<unsigned>(decisions_.size());
        unsigned slot = 0;
        if (runs_free_) {
            if (steps_++ >= free_steps_max) return outside;
            slot = static_cast<unsigned>(std::countr_zero(enabled_ & ~optional_));
        } else {
            slot = chooser_->pick(*this);
            if (slot == Chooser::cut_off) {
                if (options_.method == Method::states) {
                    // Such programs keep nothing that a destructor would have to give back.
                    cut_off_ = true;
                    return outside;
                }
                // Runs on to its end, so that destructors run, but nobody looks.
                cut_off_ = runs_free_ = true;
                steps_ = 0;
                if (finding_ != Finding::nothing || in_endgame_) return outside;
                continue;
            }
            if (slot == Chooser::diverged) {
                if (finding_ == Finding::nothing) {
                    end_run(Finding::failed_check,
                            "the program did something else when it was run again the same way");
                }
                return outside;
            }
            decisions_.push_back({static_cast<uint8_t>(slot), 0});
            ++steps_;
        }
        touches_.clear();
        mode_ = 0;
        robbed_ = 0;
        enabled_ &= ~slot_bit(slot);
        if (slot < threads_) {
            last_ = slot;
            gave_way_ = false;
            return slot;
        }
        if (slot < first_flusher_) {
            kill(slot);
        } else {
            flush(slot);
        }
    }
}

// Nobody who must move can. Returns whether the killers still move, for the search to see them.
bool Execution::conclude() {
    if (!in_endgame_) {
        Slots stuck = 0;
        bool all_rest = true;
        for (unsigned slot = 0; slot < threads_; ++slot) {
            const At at = slots_[slot].at;
            if (at == At::done || at == At::killed) continue;
            stuck |= slot_bit(slot);
            note_stuck(slots_[slot]);
            if (at != At::resting) all_rest = false;
        }
        if (stuck != 0 && !runs_free_) {
            if (all_rest) {
                end_run(Finding::livelock,
                        "only spinning threads are left, and nobody writes what they read");
            } else {
                end_run(Finding::deadlock, "no thread can go on, and not all have ended");
            }
        }
        in_endgame_ = plays_endgames_ && !runs_free_;
        is_over_ = !in_endgame_;
        for (unsigned i = 0; in_endgame_ && i < processes_count_ && options_.kills_max > 0; ++i) {
            const bool may_kill = kills_left_ > 0 || processes_[i].threads == 0;
            if (!processes_[i].spent && may_kill) enabled_ |= slot_bit(threads_ + i);
            if (processes_[i].threads != 0) spared_ |= slot_bit(threads_ + i);
        }
    }
    if (in_endgame_ && enabled_ != 0) return true;
    is_over_ = true;
    return false;
}

void Execution::note_stuck(const Slot& slot) {
    const bool rests = slot.at == At::resting;
    const void* address = slot.pending->address;
    if (rests) address = slot.reads.empty() ? nullptr : slot.reads.back().address;
    stuck_.push_back({slot.index, rests, address});
}

void Execution::end_run(Finding finding, std::string_view message) {
    is_over_ = true;
    if (cut_off_ || finding_ != Finding::nothing) return;
    finding_ = finding;
    message_ = message;
}

void Execution::fail(std::string_view sentence, std::string_view before) {
    end_run(Finding::failed_check, sentence);
    if (message_ == sentence) message_.insert(0, before);
    stop();
}

void Execution::stop() {
    if (sets_up_) throw SetupFailed{};
    // The fiber stops here for good; the next run starts it anew.
    Context& from = running_ == outside ? slots_[slots_max].fiber->context()
                                        : slots_[running_].fiber->context();
    running_ = outside;
    from.switch_to(main_);
    std::unreachable();
}

void Execution::add_thread(std::string_view name, unsigned process, std::function<void()> body) {
    if (threads_ == slots_max) fail("an exploration has at most 32 threads");
    Slot& slot = slots_[threads_];
    slot.body = std::move(body);
    slot.name = name;
    slot.pending = nullptr;
    slot.at = At::ready;
    slot.enabler = -1;
    slot.woken_at = nullptr;
    slot.reads.clear();
    slot.buffer.clear();
    slot.last_flush = -1;
    slot.awaits_flush = false;
    slot.process = nullptr;
    Fiber& fiber = fiber_of(slot);
    if (options_.method == Method::states) {
        // What an earlier run left there would look like another state.
        fiber.restart();
        fiber.wipe();
    }
    unprimed_ |= slot_bit(threads_);
    ++threads_;
    if (process == 0) return;
    Process* const end = processes_.data() + processes_count_;
    Process* at = processes_.data();
    while (at != end && at->number != process) ++at;
    if (at == end) {
        ++processes_count_;
        *at = Process{};
        at->number = process;
    }
    slot.process = at;
    at->members |= slot_bit(slot.index);
    at->threads = at->members;
}

}  // namespace braidway::explore
