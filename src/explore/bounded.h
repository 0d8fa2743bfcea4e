// SPDX-License-Identifier: Apache-2.0
// Every interleaving with few preemptions.
#pragma once

#include "explore/chooser.h"
#include "explore/depth_first.h"

namespace braidway::explore {

/// Depth-first search over all interleavings with at most so many preemptions: switches away from a
/// thread that could have gone on. Switching from one that sleeps, rests, yields or has ended costs
/// nothing, nor does a kill. There is no other reduction: one by races would not be sound beside
/// the bound.
///
/// Threads: one.
/// Source:  Musuvathi, Qadeer, "Iterative context bounding for systematic testing of multithreaded
///          programs", PLDI 2007.
class BoundedSearch final : public Chooser {
  public:
    explicit BoundedSearch(unsigned preemptions_max) : preemptions_max_(preemptions_max) {}

    void begin(const Execution& /*execution*/) override {}
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& execution, unsigned count) override {
        return stack_.choose(execution, count);
    }
    bool next() override { return stack_.next(); }

  private:
    struct Node : DepthFirstNode {
        Slots free = 0;            ///< Whose choice is no preemption.
        unsigned preemptions = 0;  ///< Before this step.
    };

    void open(const Execution& execution, Node& node, const Node* before) const;

    const unsigned preemptions_max_;
    DepthFirst<Node> stack_;
};

}  // namespace braidway::explore
