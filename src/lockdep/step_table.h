// SPDX-License-Identifier: Apache-2.0
// The nodes of the lock order and the steps between them: what is known, without judging it.
#pragma once

#include <array>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/gate_sets.h"
#include "lockdep/growing_hash.h"
#include "lockdep/paged_array.h"
#include "lockdep/step.h"

namespace braidway::lockdep {

/// One way to take a step, or to write a node: how, under which gates, and who did it. Several
/// ways of one step, or of writing one node, are a list.
struct Way {
    GateSetId gates = 0;
    uint32_t link = 0;  ///< The next way's number << 4 | by handler << 3 | want << 1 | hold.
    Evidence evidence;

    static constexpr uint32_t mode_mask = 15;

    uint32_t next() const { return link >> 4; }
    Hold hold() const { return static_cast<Hold>(link & 1); }
    Want want() const { return static_cast<Want>(link >> 1 & 3); }
    bool by_handler() const { return (link & 8) != 0; }
    static uint32_t mode(Hold hold, Want want, bool by_handler = false) {
        return (by_handler ? 8u : 0u) | static_cast<uint32_t>(want) << 1 |
               static_cast<uint32_t>(hold);
    }
};

/// All ways from one node to another. The first is in place, for most steps have but one.
struct StepRecord {
    NodeId from = 0;
    NodeId to = 0;
    uint32_t hash_next = 0;
    uint32_t out_next = 0;  ///< The next one with this `from`.
    uint32_t in_next = 0;   ///< The next one with this `to`.
    Way first;
};

/// A node, and what those who search the graph note down at it.
struct Node {
    enum class State : uint8_t {
        free,  ///< add_node() may give out its number.
        live,  ///< In use.
        kept,  ///< Its lock has gone: no search sees it, but its steps wait for
               ///< OrderGraph::merge().
        dead,  ///< Removed; steps from and to it are still in lists until the next sweep.
    };

    uint32_t first_out = 0;
    uint32_t first_in = 0;
    uint32_t writers = 0;  ///< The first Way to write it, or 0.
    NodeId family = 0;
    NodeId first_member = 0;  ///< Of the family that this node is.
    NodeId next_member = 0;   ///< Of the family that it belongs to; of free nodes, the next.

    NodeId merges_into = 0;  ///< Of one that is kept, in a merge: the whole.

    // The order (NodeOrder).
    NodeId component = 0;
    NodeId next_in_component = 0;  ///< Around in a circle.
    uint32_t component_size = 0;
    NodeId before = 0;
    NodeId after = 0;
    State state = State::free;
    bool loosened = false;  ///< Its component was taken apart, its steps are to be looked at.
    bool on_path = false;
    uint64_t place = 0;

    // Of the search that goes on.
    uint32_t epoch = 0;
    uint32_t distance[2] = {};
    NodeId queue_next[2] = {};
};

/// Nodes, steps, ways and writers.
///
/// A way that demands less than another (fewer gates, less strongly held; and a hold and a want
/// that block at least as often) stands for it, which is then not kept; one by a handler stands
/// only for others by handlers, since the findings differ. Of more than ways_max that stand side by
/// side the one whose gates are the most common among them goes: the others can do what it can most
/// likely do, too.
///
/// Removing a node takes its steps out of the count at once, but out of the lists only when as
/// many are dead as half of those that live, in one sweep, so that each costs a constant time.
///
/// Shapes:  nodes_max nodes, steps_max steps, extra_ways_max ways besides the first of each step.
/// Errors:  functions that need memory say so; dropped is counted by the caller.
/// Threads: one at a time.
class StepTable {
  public:
    static constexpr uint32_t nodes_max = limits::lockdep_nodes_max;
    static constexpr uint32_t steps_max = limits::lockdep_steps_max;
    static constexpr uint32_t extra_ways_max = limits::lockdep_extra_ways_max;
    static constexpr unsigned ways_max = limits::lockdep_ways_max;

    explicit StepTable(Arena& arena)
        : gates_(arena), nodes_(arena), records_(arena), extra_(arena), hash_(arena) {}
    StepTable(const StepTable&) = delete;
    StepTable& operator=(const StepTable&) = delete;

    // --- nodes -----------------------------------------------------------------------------------

    /// 0: no room, or none before the next sweep().
    NodeId add_node(NodeId family);
    /// Takes a live node out of sight; it keeps its steps and writers until it is killed.
    void retire(NodeId node);
    /// Marks a live or kept node dead and forgets its writers; its steps count no more.
    void kill(NodeId node);
    /// So many are dead that a sweep is worth its time.
    bool wants_sweep() const { return dead_ > 128 + (live_nodes_ + live_steps_) / 2; }
    bool has_dead() const { return dead_ != 0; }
    /// Takes what is dead out of all lists. Its memory and its numbers are used again.
    void sweep();

    bool is_live(NodeId node) const {
        return node != 0 && node <= used_nodes_ && nodes_[node].state == Node::State::live;
    }
    bool is_kept(NodeId node) const {
        return node != 0 && node <= used_nodes_ && nodes_[node].state == Node::State::kept;
    }
    bool is_used(NodeId node) const {
        return is_there(node) && (nodes_[node].writers != 0 || count_steps(node).there != 0);
    }
    /// All members of `from` become members of `to`.
    void adopt_members(NodeId from, NodeId to);
    Node& node(NodeId id) { return nodes_[id]; }
    const Node& node(NodeId id) const { return nodes_[id]; }
    /// Marks of searches before this one (Node::epoch) are void from here on.
    uint32_t new_epoch() {
        if (++epoch_ == 0) {
            for (NodeId id = 1; id <= used_nodes_; ++id) nodes_[id].epoch = 0;
            epoch_ = 1;
        }
        return epoch_;
    }
    NodeId last_node() const { return used_nodes_; }  ///< The highest number that was given out.

    // --- steps -----------------------------------------------------------------------------------

    /// The step's record, or 0.
    uint32_t find(NodeId from, NodeId to) const;
    /// Makes the record of a step that is not there, between nodes that are not dead. 0: no room.
    uint32_t insert(NodeId from, NodeId to, const Way& first);
    StepRecord& step(uint32_t record) { return records_[record]; }
    const StepRecord& step(uint32_t record) const { return records_[record]; }

    /// Way `index` of a step, or nullptr behind the last.
    const Way* way(uint32_t record, uint32_t index) const;
    /// The way behind one of a step's ways, or nullptr: for who looks at all of them.
    const Way* next_way(const Way& way) const {
        return way.next() == 0 ? nullptr : &extra_[way.next()];
    }
    /// Writer `index` of a node, those of its family last; nullptr behind the last.
    const Way* writer(NodeId node, uint32_t index) const;

    /// Does a known way stand for this one?
    bool knows_way(uint32_t record, uint32_t mode, const GateView& gates) const;
    bool knows_writer(NodeId node, const GateView& gates) const;
    /// Adds a way, which takes over its gate set's use. False: it had to be dropped for memory.
    bool keep_way(uint32_t record, const Way& way);
    bool keep_writer(NodeId node, const Way& way);

    GateSets& gates() { return gates_; }
    const GateSets& gates() const { return gates_; }
    uint32_t live_nodes() const { return live_nodes_; }
    uint64_t live_steps() const { return live_steps_; }

    // For GrowingHash.
    uint32_t& next_of(uint32_t record) { return records_[record].hash_next; }
    uint32_t hash_of(uint32_t record) const {
        return hash(records_[record].from, records_[record].to);
    }

  private:
    using Ways = std::array<Way, ways_max + 1>;
    /// Steps of one node: those that searches see, and all that are not dead.
    struct Counts {
        uint64_t live = 0;
        uint64_t there = 0;
    };

    static uint32_t hash(NodeId from, NodeId to) {
        uint64_t mixed = (uint64_t{from} << 32 | to) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 29;
        return static_cast<uint32_t>((mixed * 0xbf58476d1ce4e5b9) >> 32);
    }
    bool stands_for(const Way& known, uint32_t mode, const GateView& gates) const;
    uint32_t add_to(Ways& ways, uint32_t count, const Way& way);
    uint32_t most_common(const Ways& ways, uint32_t count) const;
    Counts count_steps(NodeId node) const;
    uint32_t new_extra();
    void free_extra(uint32_t way);
    uint32_t read_list(const Way* first, Ways& ways, std::array<uint32_t, ways_max>& slots) const;
    void free_list(uint32_t way);
    void sweep_out(NodeId node);
    void sweep_in(NodeId node);
    void sweep_members(NodeId node);
    void free_record(uint32_t record);
    bool is_live(const StepRecord& step) const { return is_live(step.from) && is_live(step.to); }
    bool is_there(NodeId node) const { return is_live(node) || is_kept(node); }
    bool is_dead(const StepRecord& step) const {
        return !is_there(step.from) || !is_there(step.to);
    }

    GateSets gates_;
    PagedArray<Node, 64, nodes_max + 1> nodes_;
    PagedArray<StepRecord, 128, steps_max> records_;
    PagedArray<Way, 128, extra_ways_max> extra_;
    GrowingHash<steps_max> hash_;
    uint32_t epoch_ = 0;
    uint32_t used_nodes_ = 0;
    uint32_t used_records_ = 0;
    uint32_t used_extra_ = 0;
    uint32_t free_node_ = 0;
    uint32_t free_record_ = 0;  ///< By out_next.
    uint32_t free_extra_ = 0;   ///< By link.
    uint32_t live_nodes_ = 0;
    uint64_t live_steps_ = 0;
    uint64_t dead_ = 0;  ///< Nodes and steps.
};

}  // namespace braidway::lockdep
