// SPDX-License-Identifier: Apache-2.0
#include "explore/state_search.h"

#include "explore/execution.h"

namespace braidway::explore {

unsigned StateSearch::pick(const Execution& execution) {
    return stack_.pick(execution, [&](DepthFirstNode& node, const DepthFirstNode* /*before*/) {
        if (!seen_.insert(execution.state())) return false;
        node.rest = execution.enabled();
        node.begin_with(node.rest & ~execution.optional());
        return true;
    });
}

}  // namespace braidway::explore
