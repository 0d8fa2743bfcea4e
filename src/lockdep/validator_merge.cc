// SPDX-License-Identifier: Apache-2.0
// Classes that turn out to be one, when somebody knows more of their locks than was seen.
#include <algorithm>

#include "base/limits.h"
#include "lockdep/mixing.h"
#include "lockdep/validator_state.h"

namespace braidway::lockdep {
/// What merges need, once made.
struct Validator::State::MergeRoom {
    size_t class_count = 0;
    size_t node_count = 0;
    size_t address_count = 0;
    size_t instance_count = 0;
    size_t finding_count = 0;
    uint32_t classes[limits::lockdep_merge_members_max];  ///< Sorted.
    NodeId nodes[limits::lockdep_merge_members_max];
    const void* addresses[limits::lockdep_merge_members_max];  ///< Of members that were a class of
                                                               ///< their own; sorted.
    struct Instance {
        LockId lock;
        NodeId node;
    };
    Instance instances[limits::lockdep_merge_instances_max];
    Finding findings[limits::lockdep_merge_findings_max];

    bool has(uint32_t class_id) const {
        return std::binary_search(classes, classes + class_count, class_id);
    }
};

/// One merge. All of it with the validator's lock held.
class Validator::State::Merge final : public OrderGraph::Merging {
  public:
    Merge(State& state, MergeRoom& room) : state_(state), room_(room) {}

    void run(std::span<const uint32_t> class_ids) {
        room_.class_count = std::min<size_t>(class_ids.size(), limits::lockdep_merge_members_max);
        std::copy_n(class_ids.begin(), room_.class_count, room_.classes);
        std::sort(room_.classes, room_.classes + room_.class_count);
        room_.node_count = room_.address_count = room_.instance_count = room_.finding_count = 0;
        take_nodes();
        if (room_.node_count < 2 || !make_whole()) return;
        rename();
        state_.graph.merge({room_.nodes, room_.node_count}, whole_->node, *this);
    }

    NodeId instance(LockId id) override {
        if (id == 0) return 0;
        Lock* const known = state_.locks.described(id);
        if (known != nullptr && known->id.load(std::memory_order_relaxed) == id)
            return state_.own_node(*known);
        for (size_t at = 0; at < room_.instance_count; ++at)
            if (room_.instances[at].lock == id) return room_.instances[at].node;
        if (room_.instance_count == limits::lockdep_merge_instances_max) return 0;
        const NodeId node = state_.graph.add_node(whole_->node);
        room_.instances[room_.instance_count++] = {id, node};
        return node;
    }

    void found(const Ring& ring) override {
        if (room_.finding_count == limits::lockdep_merge_findings_max) {
            state_.full.store(true, std::memory_order_relaxed);
            return;
        }
        Finding& finding = room_.findings[room_.finding_count];
        finding = {};
        if (state_.describe(ring, finding)) ++room_.finding_count;
    }

  private:
    void take(const ClassOrigin& origin, NodeId node) {
        if (!room_.has(origin.class_id) || room_.node_count == limits::lockdep_merge_members_max)
            return;
        if (room_.node_count == 0) first_ = origin;
        room_.nodes[room_.node_count++] = node;
        if ((origin.class_id & ClassTable::own_class) != 0)
            room_.addresses[room_.address_count++] = origin.address;
    }

    void take_nodes() {
        state_.each_typed_class(
            [&](const ClassOrigin& origin, NodeId node) { take(origin, node); });
        std::sort(room_.addresses, room_.addresses + room_.address_count);
    }

    bool make_whole() {
        uint64_t key = 0x77686f6c65;
        for (size_t at = 0; at < room_.class_count; ++at) key = mixed(key + room_.classes[at]);
        whole_ = state_.classes.get(key | 1);
        if (whole_ != nullptr && whole_->node == 0) whole_->node = state_.graph.add_node();
        if (whole_ != nullptr && whole_->node != 0 && state_.origins.reach(whole_->id)) {
            state_.origins[whole_->id] = first_;
            state_.origins[whole_->id].class_id = whole_->id;
            return true;
        }
        state_.full.store(true, std::memory_order_relaxed);
        return false;
    }

    /// From here on everything knows the whole in place of its parts.
    void rename() {
        state_.locks.for_each([&](Lock& each) {
            if (!room_.has(each.class_id.load(std::memory_order_relaxed))) return;
            each.class_id.store(whole_->id, std::memory_order_relaxed);
            each.class_node.store(whole_->node, std::memory_order_relaxed);
            if (whole_->example == nullptr) whole_->example = &each;
        });
        state_.classes.for_each([&](LockClass& each) {
            if (&each == whole_ || !room_.has(each.id)) return;
            if (whole_->example == nullptr) whole_->example = each.example;
            each.merged = true;
            each.id = whole_->id;
            each.node = whole_->node;
        });
        for (uint32_t at = 0; at < state_.formers.count(); ++at)
            if (room_.has(state_.formers[at].origin.class_id)) state_.formers[at].node = 0;
        state_.rings.rename([&](uint64_t identity) { return name_of(identity); },
                            [&](const RingClasses& ring) { state_.seen.is_new(ring.key()); });
    }

    /// What identity() of the locks of that class is now.
    uint64_t name_of(uint64_t identity) const {
        // No object lives that low.
        if (identity <= ClassTable::classes_max)
            return room_.has(static_cast<uint32_t>(identity)) ? whole_->id : identity;
        const bool merges =
            std::binary_search(room_.addresses, room_.addresses + room_.address_count,
                               reinterpret_cast<const void*>(identity));
        return merges ? whole_->id : identity;
    }

    State& state_;
    MergeRoom& room_;
    LockClass* whole_ = nullptr;
    ClassOrigin first_;
};

template <typename Visit>
void Validator::State::each_typed_class(Visit visit) {
    classes.for_each([&](const LockClass& each) {
        if (each.merged || !graph.is_used(each.node) || !origins.reach(each.id)) return;
        if (origins[each.id].bytes != 0) visit(origins[each.id], each.node);
    });
    for (uint32_t at = 0; at < formers.count(); ++at)
        if (formers[at].node != 0) visit(formers[at].origin, formers[at].node);
    locks.for_each([&](const Lock& each) {
        const NodeId node = each.class_node.load(std::memory_order_relaxed);
        const bool own = (each.class_id.load(std::memory_order_relaxed) & ClassTable::own_class);
        if (!own || !each.making.typed || each.id.load(std::memory_order_relaxed) == 0) return;
        if (graph.is_used(node)) visit(origin_of(each), node);
    });
}

size_t Validator::typed_classes(std::span<ClassOrigin> room) const {
    if (state_ == nullptr) return 0;
    const InternalGuard guard(state_->lock);
    size_t count = 0;
    state_->each_typed_class([&](const ClassOrigin& origin, NodeId) {
        if (count < room.size()) room[count++] = origin;
    });
    return count;
}

uint64_t Validator::order_changes() const {
    if (state_ == nullptr) return 0;
    const InternalGuard guard(state_->lock);
    return state_->graph.changes();
}

void Validator::frame_found(Lock& lock, uint64_t block_made_at, uint64_t offset_bytes, bool typed) {
    if (state_ == nullptr) return;
    const InternalGuard guard(state_->lock);
    if (lock.id.load(std::memory_order_relaxed) == 0 || lock.making.place != Place::stack ||
        lock.making.block_made_at != 0)
        return;
    lock.making.block_made_at = block_made_at;
    lock.making.offset_bytes = offset_bytes;
    // Of the others, the origin of their class has been noted by what was known then.
    if (lock.making.class_key == 0) lock.making.typed = typed;
}

void Validator::merge_classes(std::span<const uint32_t> class_ids) {
    if (state_ == nullptr || class_ids.size() < 2) return;
    State::MergeRoom* room = nullptr;
    {
        const InternalGuard guard(state_->lock);
        if (state_->merge_room == nullptr)
            state_->merge_room = state_->arena.allocate_array<State::MergeRoom>(1);
        room = state_->merge_room;
        if (room == nullptr) return;
        State::Merge(*state_, *room).run(class_ids);
    }
    for (size_t at = 0; at < room->finding_count; ++at) {
        state_->remember(room->findings[at]);
        state_->world.found(room->findings[at]);
    }
}

}  // namespace braidway::lockdep
