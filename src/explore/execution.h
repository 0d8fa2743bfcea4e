// SPDX-License-Identifier: Apache-2.0
// One run of the test's program, with every step decided by a Chooser.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "braidway/explore/atomic.h"
#include "braidway/explore/explorer.h"
#include "explore/arena.h"
#include "explore/chooser.h"
#include "explore/fiber.h"
#include "explore/state_set.h"

namespace braidway::explore {

/// A thread that does not go on at the end of a deadlock or livelock.
struct Stuck {
    unsigned thread;
    bool rests;           ///< It spins, and does not sleep.
    const void* address;  ///< The word that it waits for: the first, if there are several.

    bool operator==(const Stuck&) const = default;
};

/// Runs the program again and again: fibers, memory and tables are made once.
///
/// A thread runs until it announces its next visible operation. When all have, the chooser picks
/// who carries its operation out; that thread then runs on to its next announcement. There is no
/// scheduler of its own: whoever announces decides, on its own stack, and switches only when
/// somebody else is picked.
///
/// Slots 0 to threads - 1 are the threads, in the order of World::thread(); behind them the killers
/// of processes, and under TSO a flusher for each thread.
///
/// Threads: one; one execution at a time in a thread.
class Execution {
  public:
    /// `lent`, when given, is where shared objects are made instead of an Arena of its own.
    Execution(const Options& options, const std::function<void(World&)>& setup,
              Arena* lent = nullptr);
    ~Execution();
    Execution(const Execution&) = delete;
    Execution& operator=(const Execution&) = delete;

    /// Runs the program once. `trace`, when given, is filled in.
    Finding run(Chooser& chooser, Trace* trace = nullptr);

    // --- what the last run did
    const std::string& message() const { return message_; }
    const Decisions& decisions() const { return decisions_; }
    /// Who did not go on at the end of a deadlock or livelock, by thread.
    const std::vector<Stuck>& stuck() const { return stuck_; }
    bool was_cut_off() const { return cut_off_; }
    unsigned steps() const { return steps_; }

    // --- for choosers
    unsigned threads() const { return threads_; }
    unsigned slots() const { return slots_count_; }
    /// Who can take a step now. While a step is under way its slot is not among them.
    Slots enabled() const { return enabled_; }
    /// Slots whose steps need not happen: kills.
    Slots optional() const { return optional_; }
    /// Slots whose next step is to let a process be that might have been killed: in the end, when
    /// nobody else can move.
    Slots spared() const { return in_endgame_ ? spared_ : 0; }
    /// Slots that are no threads.
    Slots beside() const { return enabled_ & ~(slot_bit(threads_) - 1); }
    /// Which thread took the last step; slots_max before the first.
    unsigned last() const { return last_; }
    /// Whether the last thread gives way of its own: it yields, sleeps, rests or has ended.
    bool last_gave_way() const { return gave_way_; }
    /// The index of the step that is being decided or under way.
    unsigned step() const { return step_; }
    /// What the step touched, and in short: the bits of all its touches.
    const std::vector<Touch>& touches() const { return touches_; }
    uint8_t mode() const { return mode_; }
    /// Slots that could have taken a step before this one, which took it from them.
    Slots robbed() const { return robbed_; }
    /// Threads that wait for a mutex which another one holds.
    Slots locked_out() const { return locked_out_; }
    /// Which mutex `slot`, one of those, waits for.
    const void* awaited_mutex(unsigned slot) const { return slots_[slot].pending->address; }
    /// The step that let `slot` go on after a sleep, or -1.
    int enabler(unsigned slot) const { return slots_[slot].enabler; }
    /// What `slot` would do next.
    StepKind pending(unsigned slot) const;
    /// What can happen now, in a number: when a program is run again the same way, it is the same.
    uint64_t shape() const {
        uint64_t shape = enabled_;
        for (Slots rest = enabled_; rest != 0; rest &= rest - 1) {
            const unsigned slot = static_cast<unsigned>(std::countr_zero(rest));
            shape = shape * 31 + static_cast<uint64_t>(pending(slot));
        }
        return shape;
    }
    /// Whether the step under way depends on the next step of `slot`, which touched `mode` when it
    /// was carried out in this state.
    bool conflicts(unsigned slot, uint8_t mode) const;
    /// Whether the spin under way would have gone on also without step `without`.
    /// `precedes(a, b)` says whether step a happened before step b.
    template <typename Precedes>
    bool spins_without(int without, Precedes precedes) const {
        for (const Read& read : slots_[running_].reads) {
            if (read.writes >= 2) return true;
            if (read.writes == 1 && read.last_write != without &&
                !precedes(without, read.last_write)) {
                return true;
            }
        }
        return false;
    }

    // --- for the code under test, through the functions of the public headers
    static Execution* current();
    void perform(detail::Operation& operation);
    /// Ends the run as failed, with `before` and `sentence` as its message. The thread stops where
    /// it is, so nothing in its frames may own memory.
    [[noreturn]] void fail(std::string_view sentence, std::string_view before = {});
    /// Whether one of the threads runs, and not setup or finally().
    bool is_in_thread() const { return running_ != outside; }
    void rest();
    void note(std::string_view text);
    void observe(sync::LockEvent event, sync::LockMode mode, const void* lock);
    bool process_killed(unsigned process);
    /// Of World: `object` has a name in traces.
    void share(std::string_view name, void* object, size_t size_bytes) {
        if (trace_ != nullptr) names_.push_back({std::string(name), object, size_bytes});
    }
    unsigned spin_turns() const { return options_.spin_turns; }
    /// The state before the step that is being decided, in a number: see states.cc.
    StateKey state() const;

  private:
    friend class World;
    static constexpr unsigned outside = 0xFF;
    static constexpr unsigned free_steps_max = 2'000;
    static constexpr std::string_view takes_words = "futex_wait_any() takes 1 to 128 words";

    enum class At : uint8_t { ready, announced, asleep, resting, done, killed };

    /// A word that a thread read since its last rest.
    struct Read {
        const void* address;
        unsigned writes;  ///< By others, since.
        int last_write;
    };
    /// A store on its way to memory.
    struct Store {
        const void* address;
        uint64_t value;
        uint8_t size_bytes;
        int step;
    };
    struct Process {
        unsigned number = 0;
        Slots members = 0;
        Slots threads = 0;    ///< Those that have not ended.
        bool spent = false;   ///< Its killer has moved.
        uint32_t killed = 0;  ///< A word that process_killed() loads.
        uint32_t steps = 0;   ///< Its address stands for all steps of the process.
    };
    struct Slot {
        Execution* execution = nullptr;
        unsigned index = 0;
        std::unique_ptr<Fiber> fiber;
        bool is_idle = true;  ///< The fiber stands before its body, not in it.
        std::function<void()> body;
        std::string name;
        Process* process = nullptr;
        detail::Operation* pending = nullptr;
        At at = At::done;
        int enabler = -1;
        const void* woken_at = nullptr;  ///< By `enabler`, and no step since.
        std::vector<Read> reads;
        std::vector<Store> buffer;  ///< Oldest first.
        int last_flush = -1;
        bool awaits_flush = false;        ///< Its next operation needs an empty buffer.
        const char* live_from = nullptr;  ///< The stack from here on is the thread's state.
    };
    struct Shared {
        void* object;
        void (*destroy)(void*);
    };

    // --- execution.cc: the course of a run
    void reset(Chooser& chooser, Trace* trace);
    void set_up();
    [[noreturn]] void stop();
    void make_room_beside_threads();
    void run_finally();
    void clean_up();
    static void clean_up(Slot& slot);
    static void thread_main(void* argument);
    void run_body(Slot& slot);
    void reschedule();
    void enter(unsigned next);
    unsigned next_slot();
    bool conclude();
    void note_stuck(const Slot& slot);
    void end_run(Finding finding, std::string_view message);
    void add_thread(std::string_view name, unsigned process, std::function<void()> body);
    Fiber& fiber_of(Slot& slot);

    // --- steps.cc: what steps do
    void step_alone(detail::Operation& operation);
    void carry_out(Slot& me, detail::Operation& operation);
    void access_word(Slot& me, detail::Operation& operation);
    void sleep(Slot& me, detail::Operation& operation);
    void return_from_sleep(Slot& me, detail::Operation& operation);
    void wake(detail::Operation& operation);
    void wake_slot(unsigned slot, const void* address);
    void go_on_spinning(Slot& me);
    void kill(unsigned slot);
    void note_read(Slot& me, const void* address);
    void tell_readers(unsigned writer, const void* address);
    void step(detail::Operation& operation);
    void rest_until_told();
    template <typename Function>
    void with_state_noted(Function function);
    void announce(Slot& me, detail::Operation& operation);
    void enable_announced(Slot& me);
    void lock_mutex(Slot& me, detail::Operation& operation);
    void unlock_mutex(detail::Operation& operation);
    bool is_buffered(const detail::Operation& operation) const;
    void put_into_buffer(Slot& me, detail::Operation& operation);
    void flush(unsigned slot);
    unsigned choose(unsigned count);
    void touch(const void* address, uint8_t how) {
        touches_.push_back({address, how});
        mode_ |= how;
    }
    void finish_step(Slot& me);
    template <typename Function>
    static void for_each_address(const detail::Operation& operation, Function function) {
        if (operation.waits.empty()) {
            function(operation.address);
        } else {
            for (const auto& wait : operation.waits) function(static_cast<const void*>(wait.word));
        }
    }
    /// Where threads of the process sleep, or were woken and have taken no step since: a kill would
    /// have kept the wake from finding them.
    template <typename Function>
    void for_each_bed(const Process& process, Function function) const {
        for (Slots rest = process.members; rest != 0; rest &= rest - 1) {
            const Slot& slot = slots_[std::countr_zero(rest)];
            if (slot.at == At::asleep) {
                for_each_address(*slot.pending, function);
            } else if (slot.woken_at != nullptr) {
                function(slot.woken_at);
            }
        }
    }
    template <typename Function>
    void visit_touches(unsigned slot, uint8_t mode, Function function) const;

    // --- record.cc: traces
    void record(unsigned slot, StepKind kind, const detail::Operation& operation);
    void record_states();

    const Options options_;
    const std::function<void(World&)>& setup_;

    Chooser* chooser_ = nullptr;
    Trace* trace_ = nullptr;
    Context main_;
    unsigned running_ = outside;
    unsigned threads_ = 0;
    unsigned slots_count_ = 0;
    unsigned first_flusher_ = slots_max;
    Slots unprimed_ = 0;  ///< Ran into nothing visible yet since they began or were woken.
    Slots enabled_ = 0;
    Slots asleep_ = 0;
    Slots resting_ = 0;
    Slots locked_out_ = 0;  ///< Announced to take a mutex that is held.
    Slots optional_ = 0;
    Slots spared_ = 0;
    Slots robbed_ = 0;
    unsigned last_ = slots_max;
    bool gave_way_ = true;
    unsigned step_ = 0;
    unsigned steps_ = 0;
    unsigned spurious_left_ = 0;
    unsigned kills_left_ = 0;
    unsigned steps_alone_ = 0;  ///< Of finally().
    bool sets_up_ = false;
    bool is_over_ = false;
    bool cut_off_ = false;
    bool runs_free_ = false;
    bool watches_reads_ = false;  ///< Somebody rested in an earlier run.
    bool in_endgame_ = false;
    uint8_t mode_ = 0;
    Finding finding_ = Finding::nothing;
    std::string message_;
    std::vector<Stuck> stuck_;
    std::vector<Touch> touches_;
    Decisions decisions_;
    std::array<Slot, slots_max + 1> slots_;  ///< The last one runs finally().
    std::array<Process, slots_max> processes_;
    unsigned processes_count_ = 0;
    std::function<void()> finally_;
    Arena own_arena_;
    Arena& arena_;
    std::vector<Shared> shared_;
    std::vector<NamedObject> names_;
    bool wants_restart_ = false;

  public:
    /// A thread rested for the first time, which changes how steps are watched: what was explored
    /// so far is to be forgotten.
    bool wants_restart() { return std::exchange(wants_restart_, false); }
    /// Runs every killer in the end, also when nothing can be killed any more: a search by races
    /// must see that a kill was possible.
    void play_endgames() { plays_endgames_ = true; }

  private:
    bool plays_endgames_ = false;
};

}  // namespace braidway::explore
