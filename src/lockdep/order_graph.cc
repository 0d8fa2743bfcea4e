// SPDX-License-Identifier: Apache-2.0
#include "lockdep/order_graph.h"

namespace braidway::lockdep {

bool OrderGraph::add(const Step& step, std::span<const Gate> gates, Ring& ring) {
    if (!table_.is_live(step.from) || !table_.is_live(step.to)) return false;
    const GateList list(gates);
    return remember(step, list.view()) && search_.run(step, list.view(), nullptr, ring);
}

/// Adds a step to what is known. False: it is known, or there is no room.
bool OrderGraph::remember(const Step& step, const GateView& held) {
    const uint32_t known = table_.find(step.from, step.to);
    const uint32_t mode = Way::mode(step.hold, step.want, step.by_handler);
    if (known != 0 && table_.knows_way(known, mode, held)) return false;
    ++changes_;
    Way way{0, mode, step.evidence};
    if (!keep_gates(held, way.gates)) {
        ++dropped_steps_;
        return false;
    }
    if (known != 0) {
        // Also one that there is no room for, or that is not worth it, is looked at once.
        if (!table_.keep_way(known, way)) ++dropped_steps_;
    } else if (!insert(step, way)) {
        table_.gates().release(way.gates);
        ++dropped_steps_;
        return false;
    }
    return true;
}

bool OrderGraph::keep_gates(const GateView& gates, GateSetId& id) {
    if (table_.gates().keep(gates, id)) return true;
    if (!table_.has_dead()) return false;
    sweep();
    return table_.gates().keep(gates, id);
}

bool OrderGraph::insert(const Step& step, const Way& way) {
    uint32_t record = table_.insert(step.from, step.to, way);
    if (record == 0 && table_.has_dead()) {
        sweep();
        record = table_.insert(step.from, step.to, way);
    }
    if (record == 0) return false;
    if (table_.is_live(step.from) && table_.is_live(step.to)) order_.add_step(step.from, step.to);
    return true;
}

bool OrderGraph::add_writer(NodeId node, std::span<const Gate> gates, const Evidence& evidence,
                            Ring& ring) {
    if (!table_.is_live(node)) return false;
    const GateList list(gates);
    const GateView held = list.view();
    if (table_.knows_writer(node, held)) return false;
    ++changes_;
    Way way{0, Way::mode(Hold::exclusive, Want::write), evidence};
    if (!keep_gates(held, way.gates) || !table_.keep_writer(node, way)) {
        ++dropped_steps_;
        return false;
    }
    if (search_at(node, held, ring)) return true;
    for (NodeId member = table_.node(node).first_member; member != 0;
         member = table_.node(member).next_member) {
        if (table_.is_live(member) && search_at(member, held, ring)) return true;
    }
    return false;
}

/// Is there a ring in which somebody wants to read `node`, which another one reads, and waits only
/// for the writer?
bool OrderGraph::search_at(NodeId node, const GateView& writer, Ring& ring) {
    // One ring is reported: rather the one of who reads twice than a longer one.
    const uint32_t twice = table_.find(node, node);
    if (twice != 0 && search_by(twice, writer, ring)) return true;
    for (uint32_t i = table_.node(node).first_in; i != 0; i = table_.step(i).in_next) {
        const NodeId from = table_.step(i).from;
        if (i == twice || !table_.is_live(from) || !order_.together(from, node)) continue;
        if (search_by(i, writer, ring)) return true;
    }
    return false;
}

/// Is there one by a way of this step?
bool OrderGraph::search_by(uint32_t record, const GateView& writer, Ring& ring) {
    const NodeId from = table_.step(record).from;
    const NodeId to = table_.step(record).to;
    for (uint32_t i = 0; const Way* way = table_.way(record, i); ++i) {
        if (way->want() != Want::fair_read) continue;
        const Step step{from, to, way->hold(), way->want(), way->evidence, way->by_handler()};
        if (search_.run(step, table_.gates().view(way->gates), &writer, ring)) return true;
    }
    return false;
}

NodeId OrderGraph::add_node(NodeId family) {
    if (table_.live_nodes() == 0) search_.prepare();
    NodeId node = table_.add_node(family);
    if (node == 0 && table_.has_dead()) {
        sweep();
        node = table_.add_node(family);
    }
    if (node != 0) order_.add_node(node);
    return node;
}

void OrderGraph::retire(NodeId node) {
    if (table_.is_live(node)) table_.retire(node);
}

void OrderGraph::remove(NodeId node) {
    if (!table_.is_live(node) && !table_.is_kept(node)) return;
    table_.kill(node);
    if (table_.wants_sweep()) sweep();
}

void OrderGraph::sweep() {
    order_.forget_dead();
    table_.sweep();
    order_.settle();
}

bool OrderGraph::has_writer(NodeId node) const {
    return table_.is_live(node) && table_.writer(node, 0) != nullptr;
}

}  // namespace braidway::lockdep
