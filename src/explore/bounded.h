// SPDX-License-Identifier: Apache-2.0
// Every interleaving with few preemptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "explore/chooser.h"

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
    unsigned choose(const Execution& execution, unsigned count) override;
    bool next() override;

  private:
    struct Node {
        uint64_t shape;
        Slots enabled;
        Slots rest;            ///< To be explored.
        Slots free;            ///< Whose choice is no preemption.
        unsigned preemptions;  ///< Before this step.
        uint8_t slot;
        uint16_t choice;
        uint16_t choices;
    };

    const unsigned preemptions_max_;
    std::vector<Node> nodes_;
    size_t prefix_ = 0;
};

}  // namespace braidway::explore
