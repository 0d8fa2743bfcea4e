// SPDX-License-Identifier: Apache-2.0
// The order in which locks are taken, as a graph, and the rings in it that can deadlock.
#pragma once

#include <cstdint>
#include <span>

#include "lockdep/arena.h"
#include "lockdep/node_order.h"
#include "lockdep/ring_search.h"
#include "lockdep/step.h"
#include "lockdep/step_table.h"

namespace braidway::lockdep {

/// The lock order graph.
///
/// A step from X to Y says that somebody held X and waited for Y without end. Steps form a ring
/// that can deadlock when
/// - at each lock the one step's want meets the next one's hold so that it blocks: the hold is
///   exclusive, or the want is to write, or the want is a fair read and somebody writes that lock
///   by an endless wait (writers(), told by add_writer());
/// - all steps, and the writers that are needed, can be taken at once: no two of them name the same
///   lock in their gates with one of them exclusive. What a step holds is among its gates.
/// A step from a node to itself is a ring of one.
///
/// Between two nodes several *ways* are kept, up to ways_max: one that demands less (fewer gates,
/// stronger hold and want) replaces those that demand more.
///
/// A step that is known, or less than one that is, costs a look-up. A new one is looked at in the
/// order of the nodes (NodeOrder): where it goes along, there is no ring and no search. Otherwise
/// RingSearch looks for a ring within the component that the step lies in: all rings are found as
/// long as no gates are in play, and the shortest one is; with gates up to a limit on the time.
///
/// Shapes:  nodes_max nodes; memory grows in the arena, is used again after remove(), and when it
///          is full steps are dropped and counted, which can only hide a ring.
/// Errors:  none; add_node() returns 0 when full.
/// Threads: one at a time (the validator's lock).
/// Source:  edges of four kinds and strong paths follow Linux' lockdep (Boqun Feng, 2020, commit
///          224ec489d3cd); gates as sets of locks that are held at both ends follow Goodlock
///          (Havelund, 2000).
class OrderGraph {
  public:
    static constexpr uint32_t nodes_max = StepTable::nodes_max;
    static constexpr unsigned ways_max = StepTable::ways_max;
    /// More are cut off (those with the highest numbers): that can only add a ring.
    static constexpr unsigned gates_max = GateView::gates_max;

    explicit OrderGraph(Arena& arena)
        : table_(arena), order_(table_), search_(arena, table_, order_) {}
    OrderGraph(const OrderGraph&) = delete;
    OrderGraph& operator=(const OrderGraph&) = delete;

    /// `family`: the class that a node of one lock belongs to, or 0; who writes the class is a
    /// writer of each of its locks, too.
    NodeId add_node(NodeId family = 0);

    /// Forgets a node, which may be retired, and all steps from and to it. Its number may be used
    /// again.
    void remove(NodeId node);

    /// The node's locks have gone: no step from or to it closes a ring any more, nor are more told.
    /// What is known of it waits for merge() or remove().
    void retire(NodeId node);

    /// Whom merge() asks and tells.
    class Merging {
      public:
        /// The node of this lock within the class, which the class node's family is; 0: none.
        virtual NodeId instance(LockId lock) = 0;
        /// A ring that was none before.
        virtual void found(const Ring& ring) = 0;

      protected:
        ~Merging() = default;
    };

    /// The nodes, which may be retired, turn out to be one class, and go; `whole`, a new node,
    /// takes what is known of them. As if they had been one from the start: steps from one to
    /// another are steps between the instances of their evidence; rings are told that a step, or a
    /// writer, closes when it is added to those that were moved before.
    void merge(std::span<const NodeId> nodes, NodeId whole, Merging& merging);

    /// Does a step that is not dead lead from or to the node, or does somebody write it?
    bool is_used(NodeId node) const { return table_.is_used(node); }

    /// Remembers a step. True when it is new and closes a ring, which is put into `ring` (one of
    /// the shortest, starting with this step).
    bool add(const Step& step, std::span<const Gate> gates, Ring& ring);

    /// Somebody waits to write `node` without end. True when that makes a ring out of steps that
    /// are known already, which is put into `ring`.
    bool add_writer(NodeId node, std::span<const Gate> gates, const Evidence& evidence, Ring& ring);

    /// Was a writer of this node, or of its family, told?
    bool has_writer(NodeId node) const;

    /// Treats every lock as if somebody wrote it, in a place of its own.
    void assume_writers(bool assume) { search_.assume_writers(assume); }

    uint32_t nodes() const { return table_.live_nodes(); }     ///< In use.
    uint64_t steps() const { return table_.live_steps(); }     ///< Pairs with a way between them.
    uint64_t dropped_steps() const { return dropped_steps_; }  ///< For which there was no room.
    uint64_t changes() const { return changes_; }              ///< Ways and writers that were new.

  private:
    bool keep_gates(const GateView& gates, GateSetId& id);
    bool insert(const Step& step, const Way& way);
    bool remember(const Step& step, const GateView& gates);
    void move_writers(NodeId from, NodeId whole, Merging& merging);
    void move_step(uint32_t record, NodeId whole, Merging& merging);
    bool search_at(NodeId node, const GateView& writer, Ring& ring);
    bool search_by(uint32_t record, const GateView& writer, Ring& ring);
    void sweep();

    StepTable table_;
    NodeOrder order_;
    RingSearch search_;
    uint64_t dropped_steps_ = 0;
    uint64_t changes_ = 0;
};

}  // namespace braidway::lockdep
