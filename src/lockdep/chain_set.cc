// SPDX-License-Identifier: Apache-2.0
#include "lockdep/chain_set.h"

#include "lockdep/stack_store.h"

namespace braidway::lockdep {

static_assert(StackStore::nodes_max == 1u << 18, "a slot has room for so many");

bool ChainSet::start() {
    slots_ = arena_.allocate_array<Slot>(slots);
    return slots_ != nullptr;
}

ChainSet::Known ChainSet::find(uint64_t key) const {
    const Slot* const slot = slot_of(key);
    if (slot == nullptr) return {};
    return {true, static_cast<StackId>(slot->load(std::memory_order_acquire) & stack_mask)};
}

uint32_t ChainSet::variants(uint64_t key) const {
    const Slot* const slot = slot_of(key);
    if (slot == nullptr) return 0;
    return static_cast<uint32_t>(variants_in(slot->load(std::memory_order_relaxed)));
}

void ChainSet::add(uint64_t key, uint64_t base, StackId stack) {
    put(key, stack);
    if (base == key) return;
    Slot& slot = put(base, stack);
    const uint64_t word = slot.load(std::memory_order_relaxed);
    if (variants_in(word) < variants_max)
        slot.store(word + (uint64_t{1} << stack_bits), std::memory_order_release);
}

ChainSet::Slot* ChainSet::slot_of(uint64_t key) const {
    Slot* const first = window_of(key);
    const uint64_t tag = tag_of(key);
    for (Slot* slot = first; slot != first + window; ++slot)
        if ((slot->load(std::memory_order_relaxed) & tag_mask) == tag) return slot;
    return nullptr;
}

ChainSet::Slot& ChainSet::put(uint64_t key, StackId stack) {
    Slot* slot = slot_of(key);
    if (slot != nullptr) return *slot;
    Slot* const first = window_of(key);
    for (Slot* other = first; other != first + window && slot == nullptr; ++other)
        if (other->load(std::memory_order_relaxed) == 0) slot = other;
    if (slot == nullptr) slot = first + turn_++ % window;
    slot->store(tag_of(key) | (stack & stack_mask), std::memory_order_release);
    return *slot;
}

}  // namespace braidway::lockdep
