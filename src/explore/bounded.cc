// SPDX-License-Identifier: Apache-2.0
#include "explore/bounded.h"

#include "explore/execution.h"

namespace braidway::explore {

unsigned BoundedSearch::pick(const Execution& execution) {
    return stack_.pick(execution, [&](Node& node, const Node* before) {
        open(execution, node, before);
        return true;
    });
}

void BoundedSearch::open(const Execution& execution, Node& node, const Node* before) const {
    const Slots enabled = execution.enabled();
    node.rest = node.free = enabled;
    if (before != nullptr) {
        const bool is_preemption = (before->free & slot_bit(before->slot)) == 0;
        node.preemptions = before->preemptions + (is_preemption ? 1 : 0);
    }
    const Slots last = execution.last() < slots_max ? slot_bit(execution.last()) : 0;
    const bool goes_on = (last & enabled) != 0;
    if (goes_on && !execution.last_gave_way()) {
        node.free = last | execution.beside();
        if (node.preemptions >= preemptions_max_) node.rest = node.free;
    }
    const Slots required = node.rest & ~execution.optional();
    node.begin_with((node.rest & last) != 0 ? last : required);
}

}  // namespace braidway::explore
