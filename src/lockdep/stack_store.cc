// SPDX-License-Identifier: Apache-2.0
#include "lockdep/stack_store.h"

#include "lockdep/mixing.h"

namespace braidway::lockdep {

bool StackStore::start() {
    by_hash_ = arena_.allocate_array<StackId>(buckets);
    return by_hash_ != nullptr;
}

StackId StackStore::add(std::span<const uintptr_t> frames) {
    StackId id = 0;
    for (size_t at = frames.size(); at > 0; --at) {
        id = child(id, frames[at - 1]);
        if (id == 0) return 0;
    }
    return id;
}

std::span<const uintptr_t> StackStore::get(StackId id, std::span<uintptr_t> room) const {
    size_t count = 0;
    for (; id != 0 && count < room.size(); id = node(id).parent) room[count++] = node(id).frame;
    return room.first(count);
}

StackId StackStore::child(StackId parent, uintptr_t frame) {
    StackId& bucket = by_hash_[mixed(frame ^ (uint64_t{parent} << 40)) % buckets];
    for (StackId id = bucket; id != 0; id = node(id).next_in_bucket)
        if (node(id).frame == frame && node(id).parent == parent) return id;
    if (used_ == nodes_max) return 0;
    std::atomic<Node*>& chunk = chunks_[used_ / chunk_nodes];
    Node* nodes = chunk.load(std::memory_order_relaxed);
    if (nodes == nullptr) {
        nodes = arena_.allocate_array<Node>(chunk_nodes);
        if (nodes == nullptr) return 0;
        chunk.store(nodes, std::memory_order_release);
    }
    nodes[used_ % chunk_nodes] = {frame, parent, bucket};
    bucket = used_;
    return used_++;
}

}  // namespace braidway::lockdep
