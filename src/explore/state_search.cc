// SPDX-License-Identifier: Apache-2.0
#include "explore/state_search.h"

#include <bit>

#include "explore/execution.h"

namespace braidway::explore {

unsigned StateSearch::pick(const Execution& execution) {
    const unsigned index = execution.step();
    if (index < prefix_) {
        const Node& node = nodes_[index];
        return node.shape == execution.shape() ? node.slot : diverged;
    }
    if (!seen_.insert(execution.state())) return cut_off;
    Node node{};
    node.shape = execution.shape();
    node.rest = execution.enabled();
    const Slots required = node.rest & ~execution.optional();
    node.slot = static_cast<uint8_t>(std::countr_zero(required));
    node.rest &= ~slot_bit(node.slot);
    nodes_.push_back(node);
    return node.slot;
}

unsigned StateSearch::choose(const Execution& execution, unsigned count) {
    Node& node = nodes_[execution.step()];
    node.choices = static_cast<uint16_t>(count);
    return node.choice < count ? node.choice : 0;
}

bool StateSearch::next() {
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
