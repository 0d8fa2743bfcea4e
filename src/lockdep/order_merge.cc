// SPDX-License-Identifier: Apache-2.0
// Classes that turn out to be one.
#include <array>

#include "lockdep/order_graph.h"

namespace braidway::lockdep {
namespace {

/// Gates as they are told.
struct GateArray {
    std::array<Gate, GateView::gates_max> gates;
    uint32_t count = 0;

    explicit GateArray(const GateView& view) : count(view.count) {
        for (uint32_t i = 0; i < count; ++i)
            gates[i] = {view.lock(i), view.is_exclusive(i) ? Hold::exclusive : Hold::shared};
    }
    std::span<const Gate> all() const { return {gates.data(), count}; }
};

}  // namespace

void OrderGraph::merge(std::span<const NodeId> nodes, NodeId whole, Merging& merging) {
    if (!table_.is_live(whole)) return;
    // Out of sight before anything is added: no ring leads through one of them and the whole.
    for (const NodeId node : nodes) {
        if (!table_.is_live(node) && !table_.is_kept(node)) continue;
        table_.adopt_members(node, whole);
        retire(node);
        table_.node(node).merges_into = whole;
    }
    for (const NodeId node : nodes)
        if (table_.is_kept(node)) move_writers(node, whole, merging);
    for (const NodeId node : nodes) {
        if (!table_.is_kept(node)) continue;
        // Neither list gets new steps on the way: what is added is between other nodes.
        for (uint32_t i = table_.node(node).first_out; i != 0; i = table_.step(i).out_next)
            move_step(i, whole, merging);
        for (uint32_t i = table_.node(node).first_in; i != 0; i = table_.step(i).in_next)
            if (table_.node(table_.step(i).from).merges_into != whole) move_step(i, whole, merging);
    }
    for (const NodeId node : nodes) remove(node);
}

void OrderGraph::move_writers(NodeId from, NodeId whole, Merging& merging) {
    for (uint32_t i = 0; const Way* way = table_.writer(from, i); ++i) {
        const GateArray gates(table_.gates().view(way->gates));
        Ring ring;
        if (add_writer(whole, gates.all(), way->evidence, ring)) merging.found(ring);
    }
}

void OrderGraph::move_step(uint32_t record, NodeId whole, Merging& merging) {
    NodeId from = table_.step(record).from;
    NodeId to = table_.step(record).to;
    const bool from_merges = table_.node(from).merges_into == whole;
    const bool to_merges = table_.node(to).merges_into == whole;
    const bool within = from_merges && to_merges && from != to;
    if (from_merges) from = whole;
    if (to_merges) to = whole;
    for (uint32_t i = 0; const Way* known = table_.way(record, i); ++i) {
        const Way way = *known;
        if (within) {
            from = merging.instance(way.evidence.held_lock);
            to = merging.instance(way.evidence.wanted_lock);
            if (from == to) continue;
        }
        const GateArray gates(table_.gates().view(way.gates));
        const Step step{from, to, way.hold(), way.want(), way.evidence, way.by_handler()};
        // The other end may merge later.
        if (table_.is_kept(from) || table_.is_kept(to)) {
            remember(step, GateList(gates.all()).view());
            continue;
        }
        Ring ring;
        if (add(step, gates.all(), ring)) merging.found(ring);
    }
}

}  // namespace braidway::lockdep
