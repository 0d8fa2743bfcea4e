// SPDX-License-Identifier: Apache-2.0
// Finds the ring that a step closes.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "lockdep/gate_table.h"
#include "lockdep/node_order.h"
#include "lockdep/step_table.h"

namespace braidway::lockdep {

/// Looks for steps that lead from the end of a given step back to its start, so that all of them
/// can be waited for at once. What a ring is says OrderGraph.
///
/// First backward, breadth first, from the start of the step: how many steps lead back from each
/// node, once if entered so that any hold blocks and once if only an exclusive one does. Gates
/// count here only between each way and the given step. No way back: no ring, and that is certain.
/// Otherwise forward, depth first without recursion, along paths no longer than the distance
/// allows, which is raised as long as there are longer ones; here all gates and writers count.
///
/// Shapes:  a ring of the least length, unless the search is given up. Without gates that is only
///          for want of looks, for distances lead straight to the start, and a path can only fail
///          where it crosses itself, which means that there was a ring before. From the first way
///          that does not fit, tries_max ways are looked at, and fewer after many searches were
///          given up. Where locks are taken in every order under ever other gates, each step may
///          ask for a look at all others: after looks_max in all, searches have looks_min each.
/// Errors:  finds nothing when there is no memory.
/// Threads: one at a time.
/// Source:  entering a node twice, by strength: Linux' lockdep (commit 224ec489d3cd and after);
///          depth first within a bound that rises: Korf, 1985 (IDA*).
class RingSearch {
  public:
    /// About a millisecond. Gates that differ from step to step make the search exponential; what
    /// was not found by then is hardly a ring that somebody could follow.
    static constexpr uint32_t tries_max = limits::lockdep_search_tries_max;
    /// After so many searches that were given up, each has half the tries, down to a thousand: a
    /// program with 10^5 hopeless steps loses seconds by it, not minutes.
    static constexpr uint32_t patience = limits::lockdep_search_patience;
    /// Ways looked at backward in all searches: some tenths of a second.
    static constexpr uint64_t looks_max = limits::lockdep_search_looks_max;
    /// In one search after that: enough for all of a component of some tens of steps.
    static constexpr uint32_t looks_min = limits::lockdep_search_looks_min;

    RingSearch(Arena& arena, StepTable& table, const NodeOrder& order)
        : table_(table), order_(order), taken_(arena), frames_(arena) {}
    RingSearch(const RingSearch&) = delete;
    RingSearch& operator=(const RingSearch&) = delete;

    /// `step` is taken under `gates`. `writer`: if not nullptr, only rings count in which it waits
    /// to write step.to under these gates, and is needed for that.
    bool run(const Step& step, const GateView& gates, const GateView* writer, Ring& ring);

    /// Takes memory for short rings, so that they are found also when the tables have filled it.
    void prepare() {
        if (frames_.reach(0)) taken_.add({});
    }
    void assume_writers(bool assume) { assume_writers_ = assume; }
    uint64_t given_up() const { return given_up_; }
    uint64_t looks() const { return looks_; }  ///< For tests of what it costs.

  private:
    /// How a node was entered: does any hold block there, or only an exclusive one?
    enum Entry : uint32_t { any_blocks, exclusive_blocks };

    /// One node of the path, and what of it was tried. `step` 0: nothing is left.
    struct Frame {
        NodeId node = 0;
        Want entered_by = Want::write;
        bool chosen = false;  ///< `way` and `writer` are taken.
        bool last = false;    ///< The path has come back: only a writer is to be chosen.
        uint32_t step = 0;    ///< To try now,
        uint32_t way = 0;     ///< with this way and
        uint32_t writer = 0;  ///< this writer next.
        uint32_t chosen_way = 0;
        GateSetId way_gates = 0;
        GateSetId writer_gates = 0;
    };

    bool search(Ring& ring);
    void measure_start();
    void measure(bool whole);
    void measure_into(NodeId node, Entry entry);
    bool is_measured(NodeId node) const;
    void reach(NodeId node, Hold left_by, uint32_t distance);
    void queue(NodeId node, Entry entry, uint32_t distance);
    Node& touched(NodeId node);
    bool usable_writer(NodeId node) const;
    bool may_block(NodeId node, Want want, Hold hold) const;
    Entry entry_of(NodeId node, Want want) const;
    uint32_t distance(NodeId node, Want want) const;

    bool descend(uint32_t limit);
    bool open(uint32_t depth, NodeId node, Want entered_by);
    bool choose(uint32_t depth, uint32_t limit);
    bool choose_last(Frame& frame);
    bool worth(const Frame& frame, const StepRecord& step, const Way& way, uint32_t depth,
               uint32_t limit);
    bool take(Frame& frame, GateSetId way, GateSetId writer);
    void give_back(Frame& frame);
    /// False: this search has had its looks, and is given up.
    bool may_look() {
        ++looks_;
        if (looks_left_ != 0) --looks_left_;
        if (looks_left_ == 0) tries_ = 0;
        return looks_left_ != 0;
    }
    bool charge() { return !failed_ || (tries_ != 0 && --tries_ != 0); }

    StepTable& table_;
    const NodeOrder& order_;
    GateTable taken_;
    PagedArray<Frame, 128, StepTable::nodes_max + 2> frames_;
    bool assume_writers_ = false;
    uint64_t given_up_ = 0;
    uint64_t looks_ = 0;

    // Of the search that goes on.
    Step step_;
    GateView gates_;
    const GateView* writer_ = nullptr;
    uint32_t epoch_ = 0;
    uint32_t queue_first_ = 0;  ///< node << 1 | Entry.
    uint32_t queue_last_ = 0;
    uint32_t length_ = 0;  ///< Of the path that was found, without the step itself.
    uint32_t tries_ = 0;   ///< Left.
    uint32_t looks_left_ = 0;
    bool failed_ = false;      ///< A way did not fit; from here on tries are counted.
    uint32_t next_limit_ = 0;  ///< The length of the shortest path that was too long.
};

}  // namespace braidway::lockdep
