// SPDX-License-Identifier: Apache-2.0
#include "explore/bounded.h"

#include <bit>

#include "explore/execution.h"

namespace braidway::explore {

unsigned BoundedSearch::pick(const Execution& execution) {
    const unsigned index = execution.step();
    if (index < prefix_) {
        const Node& node = nodes_[index];
        return node.shape == execution.shape() ? node.slot : diverged;
    }
    Node node{};
    node.shape = execution.shape();
    node.enabled = node.rest = node.free = execution.enabled();
    if (index > 0) {
        const Node& before = nodes_[index - 1];
        const bool is_preemption = (before.free & slot_bit(before.slot)) == 0;
        node.preemptions = before.preemptions + (is_preemption ? 1 : 0);
    }
    const Slots last = execution.last() < slots_max ? slot_bit(execution.last()) : 0;
    const bool goes_on = (last & node.enabled) != 0;
    if (goes_on && !execution.last_gave_way()) {
        node.free = last | execution.beside();
        if (node.preemptions >= preemptions_max_) node.rest = node.free;
    }
    const Slots required = node.rest & ~execution.optional();
    const Slots first = (node.rest & last) != 0 ? last : required;
    node.slot = static_cast<uint8_t>(std::countr_zero(first));
    node.rest &= ~slot_bit(node.slot);
    nodes_.push_back(node);
    return node.slot;
}

unsigned BoundedSearch::choose(const Execution& execution, unsigned count) {
    Node& node = nodes_[execution.step()];
    node.choices = static_cast<uint16_t>(count);
    return node.choice < count ? node.choice : 0;
}

bool BoundedSearch::next() {
    while (!nodes_.empty()) {
        Node& node = nodes_.back();
        prefix_ = nodes_.size();
        if (node.choice + 1 < node.choices) {
            ++node.choice;
            return true;
        }
        if (node.rest != 0) {
            node.slot = static_cast<uint8_t>(std::countr_zero(node.rest));
            node.rest &= node.rest - 1;
            node.choice = node.choices = 0;
            return true;
        }
        nodes_.pop_back();
    }
    prefix_ = 0;
    return false;
}

}  // namespace braidway::explore
