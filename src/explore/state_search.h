// SPDX-License-Identifier: Apache-2.0
// Every step in every state, once.
#pragma once

#include <cstdint>

#include "explore/chooser.h"
#include "explore/depth_first.h"
#include "explore/state_set.h"

namespace braidway::explore {

/// Depth-first search over states: whoever could take a step in a state does, once. An execution
/// that comes to a state that was seen is cut off: what follows has been looked at, or is about to
/// be, further up.
///
/// Where interleavings come together again, as they do around locks, there are far fewer states
/// than even classes of interleavings.
///
/// Threads: one.
/// Source:  Holzmann, "An Analysis of Bitstate Hashing" (1998), of hash compaction: the keys of
///          states are kept, not the states.
class StateSearch final : public Chooser {
  public:
    void begin(const Execution& /*execution*/) override {}
    unsigned pick(const Execution& execution) override;
    unsigned choose(const Execution& execution, unsigned count) override {
        return stack_.choose(execution, count);
    }
    bool next() override { return stack_.next(); }
    uint64_t states() const override { return seen_.size(); }

  private:
    DepthFirst<DepthFirstNode> stack_;
    StateSet seen_;
};

}  // namespace braidway::explore
