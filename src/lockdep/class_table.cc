// SPDX-License-Identifier: Apache-2.0
#include "lockdep/class_table.h"

#include "lockdep/mixing.h"

namespace braidway::lockdep {

bool ClassTable::start() {
    slots_ = arena_.allocate_array<LockClass>(slots);
    return slots_ != nullptr;
}

LockClass* ClassTable::get(uint64_t key) {
    size_t at = mixed(key) % slots;
    while (slots_[at].key != 0) {
        if (slots_[at].key == key) return &slots_[at];
        at = (at + 1) % slots;
    }
    if (count_ == classes_max) return nullptr;
    slots_[at].key = key;
    slots_[at].id = ++count_;
    return &slots_[at];
}

const Lock* ClassTable::example_of(NodeId node) const {
    for (size_t at = 0; at < slots && node != 0; ++at)
        if (slots_[at].node == node) return slots_[at].example;
    return nullptr;
}

}  // namespace braidway::lockdep
