// SPDX-License-Identifier: Apache-2.0
#include "explore/litmus.h"

#include <algorithm>
#include <deque>
#include <utility>

namespace braidway::explore::litmus {
namespace {

using Kind = Command::Kind;

/// Everything that one point of an execution consists of.
struct Machine {
    std::vector<unsigned> next;  ///< Of each thread the next command.
    Outcome outcome;
    std::vector<std::deque<std::pair<unsigned, uint32_t>>> buffers;

    auto operator<=>(const Machine&) const = default;

    explicit Machine(const Program& program)
        : next(program.threads.size()), buffers(program.threads.size()) {
        outcome.registers.resize(program.threads.size());
    }

    uint32_t read(unsigned thread, unsigned word) const {
        for (size_t at = buffers[thread].size(); at-- > 0;)
            if (buffers[thread][at].first == word) return buffers[thread][at].second;
        return outcome.words[word];
    }
};

bool needs_empty_buffer(Kind kind) {
    return kind == Kind::add || kind == Kind::compare || kind == Kind::fence;
}

/// One command of `thread`. Returns whether it wrote to memory at once.
bool execute(const Command& command, Machine& machine, unsigned thread, bool buffers) {
    uint32_t unused = 0;
    uint32_t& reg = command.reg < 0
                        ? unused
                        : machine.outcome.registers[thread][static_cast<size_t>(command.reg)];
    uint32_t& word = machine.outcome.words[command.word];
    switch (command.kind) {
        case Kind::load:
            reg = machine.read(thread, command.word);
            return false;
        case Kind::store: {
            const uint32_t value = command.value + reg;
            if (buffers)
                machine.buffers[thread].emplace_back(command.word, value);
            else
                word = value;
            return !buffers;
        }
        case Kind::add:
            reg = word;
            word += command.value;
            return true;
        case Kind::compare:
            if (word != command.expected) return false;
            word = command.value;
            return true;
        case Kind::fence:
        case Kind::leave_low:
            break;
    }
    return false;
}

/// Passes over what nobody else sees: the ends of threads.
void skip_silent(const Program& program, Machine& machine, unsigned thread) {
    const Thread& commands = program.threads[thread];
    unsigned& next = machine.next[thread];
    while (next < commands.size() && commands[next].kind == Kind::leave_low) {
        const auto reg = static_cast<size_t>(commands[next].reg);
        const bool leaves = machine.outcome.registers[thread][reg] < commands[next].value;
        next = leaves ? static_cast<unsigned>(commands.size()) : next + 1;
    }
}

/// Visits every state once.
class States {
  public:
    States(const Program& program, bool buffers) : program_(program), buffers_(buffers) {
        visit(Machine(program));
    }
    std::set<Outcome> outcomes;

  private:
    void visit(const Machine& machine) {
        if (!seen_.insert(machine).second) return;
        bool is_end = true;
        for (unsigned thread = 0; thread < program_.threads.size(); ++thread) {
            if (!machine.buffers[thread].empty()) {
                is_end = false;
                Machine flushed = machine;
                const auto [word, value] = flushed.buffers[thread].front();
                flushed.buffers[thread].pop_front();
                flushed.outcome.words[word] = value;
                visit(flushed);
            }
            Machine after = machine;
            skip_silent(program_, after, thread);
            if (after.next[thread] == program_.threads[thread].size()) continue;
            is_end = false;
            const Command& command = program_.threads[thread][after.next[thread]];
            if (needs_empty_buffer(command.kind) && !after.buffers[thread].empty()) continue;
            ++after.next[thread];
            execute(command, after, thread, buffers_);
            visit(after);
        }
        if (is_end) outcomes.insert(machine.outcome);
    }

    const Program& program_;
    bool buffers_;
    std::set<Machine> seen_;
};

/// Walks every interleaving and collects what makes them differ.
class Interleavings {
  public:
    Interleavings(const Program& program, uint64_t most) : program_(program), most_(most) {
        walk(Machine(program));
    }
    bool too_many() const { return walked_ > most_; }
    uint64_t classes() const { return classes_.size(); }

  private:
    // An event is its thread and its number there; 0 is the beginning.
    using Event = uint16_t;
    struct History {
        std::array<std::vector<Event>, words_max> writes;  ///< Of each word, in their order.
        std::vector<std::pair<Event, Event>> reads;        ///< Reader and whom it read from.
        auto operator<=>(const History&) const = default;
    };

    void walk(const Machine& machine) {
        if (too_many()) return;
        bool is_end = true;
        for (unsigned thread = 0; thread < program_.threads.size(); ++thread) {
            Machine after = machine;
            skip_silent(program_, after, thread);
            const unsigned next = after.next[thread];
            if (next == program_.threads[thread].size()) continue;
            is_end = false;
            const Command& command = program_.threads[thread][next];
            ++after.next[thread];
            const History before = history_;
            const auto event = static_cast<Event>((thread + 1) * 64 + next);
            std::vector<Event>& writes = history_.writes[command.word];
            if (command.kind != Kind::store && command.kind != Kind::fence)
                history_.reads.emplace_back(event, writes.empty() ? Event{0} : writes.back());
            if (execute(command, after, thread, false)) writes.push_back(event);
            walk(after);
            history_ = before;
        }
        if (!is_end) return;
        ++walked_;
        History sorted = history_;
        std::ranges::sort(sorted.reads);
        classes_.insert(std::move(sorted));
    }

    const Program& program_;
    uint64_t most_;
    uint64_t walked_ = 0;
    History history_;
    std::set<History> classes_;
};

}  // namespace

std::set<Outcome> outcomes(const Program& program, bool buffers) {
    return States(program, buffers).outcomes;
}

uint64_t executions(const Program& program, uint64_t interleavings_max) {
    const Interleavings all(program, interleavings_max);
    return all.too_many() ? 0 : all.classes();
}

}  // namespace braidway::explore::litmus
