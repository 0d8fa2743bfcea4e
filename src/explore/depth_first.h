// SPDX-License-Identifier: Apache-2.0
// What searches share that look at one thing after the other, deepest first.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "explore/chooser.h"
#include "explore/execution.h"

namespace braidway::explore {

/// One step of the execution under way, and what is left to explore in its place. A search puts
/// beside it what it wants to know of each.
struct DepthFirstNode {
    uint64_t shape = 0;
    Slots rest = 0;    ///< To be explored.
    uint8_t slot = 0;  ///< Under way.
    uint16_t choice = 0;
    uint16_t choices = 0;

    /// The first step in this place, one of `rest`.
    void begin_with(Slots candidates) {
        slot = static_cast<uint8_t>(std::countr_zero(candidates));
        rest &= ~slot_bit(slot);
    }
    /// False: there is nothing left.
    bool go_on() {
        if (choice + 1 < choices) {
            ++choice;
            return true;
        }
        if (rest == 0) return false;
        begin_with(rest);
        choice = choices = 0;
        return true;
    }
};

/// The stack of a depth-first search: answers pick(), choose() and next() of a Chooser. `Node` is a
/// DepthFirstNode.
///
/// Threads: one.
template <typename Node>
class DepthFirst {
  public:
    /// The prescribed step; or, where none is, what `open` makes of a new node: open(node, before)
    /// fills in what there is to explore, begins with one of it, and says whether the execution
    /// goes on; otherwise it is cut off. `before` is the node of the step before, or nullptr.
    template <typename Open>
    unsigned pick(const Execution& execution, Open open) {
        const unsigned index = execution.step();
        if (index < prefix_) {
            const Node& node = nodes_[index];
            return node.shape == execution.shape() ? node.slot : Chooser::diverged;
        }
        Node node;
        node.shape = execution.shape();
        if (!open(node, index > 0 ? &nodes_[index - 1] : nullptr)) return Chooser::cut_off;
        nodes_.push_back(node);
        return node.slot;
    }

    unsigned choose(const Execution& execution, unsigned count) {
        Node& node = nodes_[execution.step()];
        node.choices = static_cast<uint16_t>(count);
        return node.choice < count ? node.choice : 0;
    }

    /// The next execution goes another way in the deepest place where there is one.
    bool next() {
        while (!nodes_.empty() && !nodes_.back().go_on()) nodes_.pop_back();
        prefix_ = nodes_.size();
        return prefix_ != 0;
    }

  private:
    std::vector<Node> nodes_;
    size_t prefix_ = 0;  ///< So many steps are prescribed.
};

}  // namespace braidway::explore
