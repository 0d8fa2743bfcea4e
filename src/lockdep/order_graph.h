// SPDX-License-Identifier: Apache-2.0
// The order in which locks are taken, as a graph, and the rings in it that can deadlock.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lockdep/arena.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A node of the graph: a class of locks, or one lock. 0 is none.
using NodeId = uint32_t;

/// A lock that was held while a step was taken.
struct Gate {
    LockId lock = 0;
    Hold hold = Hold::exclusive;
};

/// Who took a step, for the report; the graph only keeps it.
struct Evidence {
    ThreadNumber thread = 0;
    LockId held_lock = 0;
    LockId wanted_lock = 0;
    StackId held_stack = 0;
    StackId wanted_stack = 0;
};

/// "Who held `from` as `hold` wanted `to` as `want`, and held `gates` besides or among them."
struct Step {
    NodeId from = 0;
    NodeId to = 0;
    Hold hold = Hold::exclusive;
    Want want = Want::write;
    Evidence evidence;
};

/// Steps of which each wants what the next one holds, and the last what the first holds. Rings
/// longer than steps_max are searched for and found, but only their first steps are kept.
struct Ring {
    static constexpr size_t steps_max = 16;

    uint32_t length = 0;
    std::array<Step, steps_max> steps;

    std::span<const Step> kept() const {
        return {steps.data(), length < steps_max ? length : steps_max};
    }
};

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
/// Shapes:  nodes_max nodes; memory grows in the arena, is used again after remove(), and when it
///          is full steps are dropped and counted, which can only hide a ring.
/// Errors:  none; add_node() returns 0 when full.
/// Threads: one at a time (the validator's lock).
/// Source:  edges of four kinds and strong paths follow Linux' lockdep (Boqun Feng, 2020, commit
///          224ec489d3cd); gates as sets of locks that are held at both ends follow Goodlock
///          (Havelund, 2000).
class OrderGraph {
  public:
    static constexpr uint32_t nodes_max = 65'536;
    static constexpr unsigned ways_max = 8;
    static constexpr unsigned gates_max = 16;  ///< More are cut off: that can only add a ring.

    explicit OrderGraph(Arena& arena);

    /// `family`: the class that a node of one lock belongs to, or 0; who writes the class is a
    /// writer of each of its locks, too.
    NodeId add_node(NodeId family = 0);

    /// Forgets a node and all steps from and to it. Its number may be used again.
    void remove(NodeId node);

    /// Remembers a step. True when it is new and closes a ring, which is put into `ring` (one of
    /// the shortest, starting with this step).
    bool add(const Step& step, std::span<const Gate> gates, Ring& ring);

    /// Somebody waits to write `node` without end. True when that makes a ring out of steps that
    /// are known already, which is put into `ring`.
    bool add_writer(NodeId node, std::span<const Gate> gates, const Evidence& evidence, Ring& ring);

    /// Was a writer of this node, or of its family, told?
    bool has_writer(NodeId node) const;

    /// Treats every lock as if somebody wrote it, in a place of its own.
    void assume_writers(bool assume) { assume_writers_ = assume; }

    uint32_t nodes() const;          ///< In use.
    uint64_t steps() const;          ///< Pairs of nodes with a way between them.
    uint64_t dropped_steps() const;  ///< For which there was no room.

  private:
    bool assume_writers_ = false;
    // The implementation's data.
};

}  // namespace braidway::lockdep
