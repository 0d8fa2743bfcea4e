// SPDX-License-Identifier: Apache-2.0
// Every interleaving, each class of equivalent ones once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "explore/chooser.h"
#include "explore/execution.h"
#include "explore/objects.h"

namespace braidway::explore {

/// Depth-first search with dynamic partial-order reduction: source sets and sleep sets.
///
/// Two steps depend on each other when they touch the same object and one changes it, as they did
/// in this execution: a compare-exchange that failed was a read. After each new step its races with
/// earlier ones are found by vector clocks; a race that may go the other way round adds a thread to
/// the backtrack set before its first step, unless one that covers the reversal is there. A thread
/// whose step was explored sleeps in the branches beside it until a step depends on its own; a
/// branch where all are asleep is cut off. So no two executions that end are equivalent.
///
/// A step that takes the next step from another slot (a wake from a sleeper that might have timed
/// out, a kill) races with that step although it never happens.
///
/// Two locks of one ProvenMutex race although an unlock lies between them, which cannot come later
/// than the second: it is no racer, but happens before it. A thread that is locked out in the end
/// races with the lock that keeps it out, as if its own step had come.
///
/// Threads: one.
/// Source:  Abdulla, Aronis, Jonsson, Sagonas, "Optimal dynamic partial order reduction", POPL
/// 2014:
///          the algorithm with source sets.
class SourceDpor final : public Chooser {
  public:
    enum class Reduction : uint8_t {
        races,  ///< What this is for.
        none,   ///< Every interleaving, equivalent or not: what tests compare with.
    };
    explicit SourceDpor(Reduction reduction = Reduction::races) : reduction_(reduction) {}

    void begin(const Execution& execution) override;
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& execution, unsigned count) override;
    void stepped(const Execution& execution) override;
    void ended(const Execution& execution) override;
    bool next() override;

    /// A number that equivalent executions share, and others hardly ever: of the last execution.
    uint64_t signature() const;

  private:
    struct Node {
        uint64_t shape;
        Slots enabled;
        Slots backtrack;  ///< Explored, under way, or to be explored.
        Slots sleep;      ///< Explored here, or asleep when the node was reached.
        uint8_t slot;     ///< Whose step is under way,
        uint8_t mode;     ///< what it touched, over all its outcomes,
        StepKind kind;    ///< and what it does.
        bool is_new;      ///< It has not been carried out yet.
        uint16_t choice;
        uint16_t choices;                       ///< 0: not known yet.
        uint32_t sequence;                      ///< The step's number in its slot, from 1 on.
        std::array<uint8_t, slots_max> modes;   ///< Of those in `sleep`.
        std::array<uint32_t, slots_max> clock;  ///< Steps of each slot that happened before it.
    };

    void start_clock(const Execution& execution, unsigned index);
    void join(Node& node, int step);
    void analyse(const Execution& execution, unsigned index);
    void reverse_race(unsigned earlier, unsigned later);
    void write_history(const Execution& execution, unsigned index);
    bool precedes(unsigned earlier, unsigned later) const {
        return nodes_[later].clock[nodes_[earlier].slot] >= nodes_[earlier].sequence;
    }

    const Reduction reduction_;
    std::vector<Node> nodes_;  ///< One for each step of the execution under way.
    size_t prefix_ = 0;        ///< So many steps are prescribed.
    ObjectTable objects_;
    std::array<int, slots_max> last_of_;
    unsigned slots_ = 0;
    Slots child_sleep_ = 0;
    std::array<uint8_t, slots_max> child_modes_;
    std::vector<int> racers_;
};

}  // namespace braidway::explore
