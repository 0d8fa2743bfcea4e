// SPDX-License-Identifier: Apache-2.0
// In which order the nodes can be taken, kept up while steps are added: rings are looked for only
// where there can be one.
#pragma once

#include <cstdint>

#include "lockdep/step_table.h"

namespace braidway::lockdep {

/// A topological order of the graph's components. A component is a node, or nodes that steps of
/// whatever kind lead from each to each; a ring lies within one. So a step from one component to
/// another closes none, and whether it does is read off the order: a comparison.
///
/// A step against the order starts two searches at once, forward from where it leads and backward
/// from where it comes from, both within the stretch of the order between the two. The first to
/// end without meeting the other moves what it saw to the far side of the other end. When they
/// meet, all that lies on a way around becomes one component. Chains told from either end cost a
/// constant time per step, and random graphs little more.
///
/// Components never fall apart by themselves; forget_dead() takes those apart that lost a node.
///
/// Errors:  none, and needs no memory.
/// Threads: one at a time.
/// Source:  the stretch that is searched: Pearce and Kelly, 2006; both ends at once, in an order
///          that is a list: Alpern, Hoover, Rosen, Sweeney, Zadeck, 1990; components: Bender,
///          Fineman, Gilbert, Tarjan, 2016. The list's numbers: Bender, Cole, Demaine,
///          Farach-Colton, Zito, 2002.
class NodeOrder {
  public:
    explicit NodeOrder(StepTable& table) : table_(table) {}
    NodeOrder(const NodeOrder&) = delete;
    NodeOrder& operator=(const NodeOrder&) = delete;

    /// A node without steps: a component of its own, behind all others.
    void add_node(NodeId node);
    /// A step is in the table now.
    void add_step(NodeId from, NodeId to);
    /// Before the table's sweep: dead nodes leave the order.
    void forget_dead();
    /// After the sweep: puts the parts of components that fell apart together again.
    void settle();

    bool together(NodeId left, NodeId right) const {
        return table_.node(left).component == table_.node(right).component;
    }
    /// Steps looked at so far; for tests of what it costs.
    uint64_t looks() const { return looks_; }

  private:
    enum class Side : uint32_t { forward, backward };
    enum class Look : uint8_t { goes_on, ended, met };

    /// One of the two searches: components in the order in which they were seen, and how far the
    /// steps of their nodes were looked at.
    struct Frontier {
        Side side = Side::forward;
        uint64_t bound = 0;  ///< Components beyond this place are of no interest.
        NodeId first = 0;
        NodeId last = 0;
        NodeId component = 0;
        NodeId node = 0;
        uint32_t record = 0;
    };

    Frontier start(Side side, NodeId component, uint64_t bound);
    Look look(Frontier& frontier);
    uint32_t next_record(Frontier& frontier);
    void note(Frontier& frontier, NodeId component);
    void unite(NodeId from, NodeId to);
    void merge(NodeId left, NodeId right);
    NodeId sorted(NodeId first);
    void move_behind(NodeId behind, NodeId first);
    void take_apart(NodeId component);
    void unlink(NodeId component);
    void link_behind(NodeId behind, NodeId component);
    bool spread(NodeId behind, NodeId first, uint64_t count);
    void make_room(NodeId behind);
    void make_single(NodeId node);

    uint64_t end_place(NodeId after) const {
        return after == 0 ? places_end : table_.node(after).place;
    }

    static constexpr uint64_t places_end = uint64_t{1} << 62;
    static constexpr uint64_t stride = uint64_t{1} << 42;  ///< Between nodes as they come.

    StepTable& table_;
    NodeId first_ = 0;
    NodeId last_ = 0;
    uint32_t epoch_ = 0;
    uint64_t looks_ = 0;
};

}  // namespace braidway::lockdep
