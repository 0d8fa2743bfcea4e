// SPDX-License-Identifier: Apache-2.0
#include "lockdep/node_order.h"

namespace braidway::lockdep {

void NodeOrder::add_node(NodeId node) {
    make_single(node);
    link_behind(last_, node);
}

void NodeOrder::add_step(NodeId from_node, NodeId to_node) {
    const NodeId from = table_.node(from_node).component;
    const NodeId to = table_.node(to_node).component;
    if (from == to || table_.node(from).place < table_.node(to).place) return;
    epoch_ = table_.new_epoch();
    Frontier forward = start(Side::forward, to, table_.node(from).place);
    Frontier backward = start(Side::backward, from, table_.node(to).place);
    for (;;) {
        const Look ahead = look(forward);
        if (ahead == Look::met) return unite(from, to);
        if (ahead == Look::ended) return move_behind(from, sorted(forward.first));
        const Look behind = look(backward);
        if (behind == Look::met) return unite(from, to);
        if (behind == Look::ended) {
            const NodeId first = sorted(backward.first);
            return move_behind(table_.node(to).before, first);
        }
    }
}

NodeOrder::Frontier NodeOrder::start(Side side, NodeId component, uint64_t bound) {
    Frontier frontier;
    frontier.side = side;
    frontier.bound = bound;
    note(frontier, component);
    return frontier;
}

/// Notes a component down as seen. distance[0] says by which search, queue_next[0] links them.
void NodeOrder::note(Frontier& frontier, NodeId component) {
    Node& node = table_.node(component);
    node.epoch = epoch_;
    node.distance[0] = static_cast<uint32_t>(frontier.side);
    node.queue_next[0] = 0;
    if (frontier.last == 0) {
        frontier.first = component;
    } else {
        table_.node(frontier.last).queue_next[0] = component;
    }
    frontier.last = component;
}

/// The next step of what was seen, or 0 when all were looked at.
uint32_t NodeOrder::next_record(Frontier& frontier) {
    while (frontier.record == 0) {
        if (frontier.node != 0) {
            frontier.node = table_.node(frontier.node).next_in_component;
        }
        if (frontier.node == frontier.component) {
            frontier.component = frontier.component == 0
                                     ? frontier.first
                                     : table_.node(frontier.component).queue_next[0];
            if (frontier.component == 0) return 0;
            frontier.node = frontier.component;
        }
        const Node& node = table_.node(frontier.node);
        frontier.record = frontier.side == Side::forward ? node.first_out : node.first_in;
    }
    const uint32_t record = frontier.record;
    const StepRecord& step = table_.step(record);
    frontier.record = frontier.side == Side::forward ? step.out_next : step.in_next;
    return record;
}

/// Looks at one step.
NodeOrder::Look NodeOrder::look(Frontier& frontier) {
    // Behind the last component node and component are 0 and it would start anew: never called
    // again then.
    const uint32_t record = next_record(frontier);
    if (record == 0) return Look::ended;
    ++looks_;
    const StepRecord& step = table_.step(record);
    if (!table_.is_live(step.from) || !table_.is_live(step.to)) return Look::goes_on;
    const bool forward = frontier.side == Side::forward;
    const NodeId component = table_.node(forward ? step.to : step.from).component;
    const Node& node = table_.node(component);
    if (node.epoch == epoch_) {
        return node.distance[0] == static_cast<uint32_t>(frontier.side) ? Look::goes_on : Look::met;
    }
    if (forward ? node.place > frontier.bound : node.place < frontier.bound) return Look::goes_on;
    note(frontier, component);
    return Look::goes_on;
}

/// A step from `from` to `to` closes a circle: all components on a way from `to` to `from` become
/// one, at the place of `from`; what else lies beyond `to` moves behind it.
void NodeOrder::unite(NodeId from, NodeId to) {
    epoch_ = table_.new_epoch();
    Frontier forward = start(Side::forward, to, table_.node(from).place);
    while (look(forward) != Look::ended) {}
    // Backward within what was seen forward: those get distance[0] == backward.
    Node& start_node = table_.node(from);
    start_node.distance[0] = static_cast<uint32_t>(Side::backward);
    start_node.queue_next[1] = 0;
    NodeId last = from;
    for (NodeId component = from; component != 0;
         component = table_.node(component).queue_next[1]) {
        NodeId node = component;
        do {
            for (uint32_t i = table_.node(node).first_in; i != 0; i = table_.step(i).in_next) {
                ++looks_;
                const StepRecord& step = table_.step(i);
                if (!table_.is_live(step.from) || !table_.is_live(step.to)) continue;
                const NodeId other = table_.node(step.from).component;
                Node& seen = table_.node(other);
                if (seen.epoch != epoch_ || seen.distance[0] != 0) continue;
                seen.distance[0] = static_cast<uint32_t>(Side::backward);
                seen.queue_next[1] = 0;
                table_.node(last).queue_next[1] = other;
                last = other;
            }
            node = table_.node(node).next_in_component;
        } while (node != component);
    }
    // The rest keeps its list by queue_next[0], without those that merge.
    NodeId rest = 0;
    for (NodeId component = forward.first; component != 0;) {
        Node& node = table_.node(component);
        const NodeId next = node.queue_next[0];
        if (node.distance[0] == 0) {
            node.queue_next[0] = rest;
            rest = component;
        }
        component = next;
    }
    NodeId whole = from;
    for (NodeId component = table_.node(from).queue_next[1]; component != 0;) {
        const NodeId next = table_.node(component).queue_next[1];
        merge(whole, component);
        whole = table_.node(whole).component;
        component = next;
    }
    if (rest != 0) move_behind(whole, sorted(rest));
}

/// Makes one component of two, at the place of `left`. The smaller one's nodes are renamed.
void NodeOrder::merge(NodeId left, NodeId right) {
    NodeId large = left;
    NodeId small = right;
    if (table_.node(right).component_size > table_.node(left).component_size) {
        large = right;
        small = left;
        unlink(right);
        // In the place of `left`, which leaves.
        Node& old = table_.node(left);
        Node& now = table_.node(right);
        now.before = old.before;
        now.after = old.after;
        now.place = old.place;
        (now.before == 0 ? first_ : table_.node(now.before).after) = right;
        (now.after == 0 ? last_ : table_.node(now.after).before) = right;
    } else {
        unlink(right);
    }
    NodeId node = small;
    do {
        table_.node(node).component = large;
        node = table_.node(node).next_in_component;
    } while (node != small);
    const NodeId behind = table_.node(large).next_in_component;
    table_.node(large).next_in_component = table_.node(small).next_in_component;
    table_.node(small).next_in_component = behind;
    table_.node(large).component_size += table_.node(small).component_size;
}

/// Sorts a list by queue_next[0] by place: merges runs of rising length.
NodeId NodeOrder::sorted(NodeId first) {
    for (uint64_t run = 1;; run *= 2) {
        NodeId rest = first;
        NodeId head = 0;
        NodeId last = 0;
        uint32_t merges = 0;
        while (rest != 0) {
            ++merges;
            NodeId left = rest;
            uint64_t left_count = 0;
            while (rest != 0 && left_count < run) {
                rest = table_.node(rest).queue_next[0];
                ++left_count;
            }
            uint64_t right_count = run;
            while (left_count > 0 || (right_count > 0 && rest != 0)) {
                const bool from_left =
                    left_count > 0 && (right_count == 0 || rest == 0 ||
                                       table_.node(left).place < table_.node(rest).place);
                NodeId& taken = from_left ? left : rest;
                --(from_left ? left_count : right_count);
                (last == 0 ? head : table_.node(last).queue_next[0]) = taken;
                last = taken;
                taken = table_.node(taken).queue_next[0];
            }
        }
        table_.node(last).queue_next[0] = 0;
        first = head;
        if (merges <= 1) return first;
    }
}

/// Moves a sorted list (by queue_next[0]) in its order behind `behind`, which is not in it, or to
/// the front (0).
void NodeOrder::move_behind(NodeId behind, NodeId first) {
    uint64_t count = 0;
    for (NodeId id = first; id != 0; id = table_.node(id).queue_next[0]) {
        unlink(id);
        ++count;
    }
    if (spread(behind, first, count)) return;
    for (NodeId id = first; id != 0; id = table_.node(id).queue_next[0]) {
        link_behind(behind, id);
        behind = id;
    }
}

/// Links a whole list behind `behind`, evenly; false when there are not enough places for that.
bool NodeOrder::spread(NodeId behind, NodeId first, uint64_t count) {
    const NodeId after = behind == 0 ? first_ : table_.node(behind).after;
    const uint64_t begin = behind == 0 ? 0 : table_.node(behind).place;
    const uint64_t gap = (end_place(after) - begin) / (count + 1);
    if (gap == 0) return false;
    uint64_t place = begin;
    for (NodeId id = first; id != 0; id = table_.node(id).queue_next[0]) {
        Node& node = table_.node(id);
        node.place = place += gap;
        node.before = behind;
        (behind == 0 ? first_ : table_.node(behind).after) = id;
        behind = id;
    }
    table_.node(behind).after = after;
    (after == 0 ? last_ : table_.node(after).before) = behind;
    return true;
}

void NodeOrder::unlink(NodeId component) {
    const Node& node = table_.node(component);
    (node.before == 0 ? first_ : table_.node(node.before).after) = node.after;
    (node.after == 0 ? last_ : table_.node(node.after).before) = node.before;
}

/// Links a component behind another one, or to the front (0).
void NodeOrder::link_behind(NodeId behind, NodeId component) {
    const NodeId after = behind == 0 ? first_ : table_.node(behind).after;
    uint64_t begin = behind == 0 ? 0 : table_.node(behind).place;
    if (end_place(after) - begin < 2) {
        make_room(behind == 0 ? after : behind);
        begin = behind == 0 ? 0 : table_.node(behind).place;
    }
    const uint64_t gap = end_place(after) - begin;
    Node& node = table_.node(component);
    node.place = begin + (after == 0 && gap > 2 * stride ? stride : gap / 2);
    node.before = behind;
    node.after = after;
    (behind == 0 ? first_ : table_.node(behind).after) = component;
    (after == 0 ? last_ : table_.node(after).before) = component;
}

/// Spreads the components around `around`, so that there are at least 4 places for each. The
/// stretch is the smallest power of two that is not too crowded: the larger, the emptier.
void NodeOrder::make_room(NodeId around) {
    const uint64_t place = table_.node(around).place;
    NodeId first = around;
    NodeId last = around;
    uint64_t count = 1;
    double most = 1;
    for (uint64_t size = 2; size <= places_end; size *= 2) {
        // 2^k places may have 1.4^k components: room for places_end^(log2 1.4), 10^9.
        most *= 1.4;
        const uint64_t begin = place & ~(size - 1);
        for (NodeId id; (id = table_.node(first).before) != 0; ++count, first = id) {
            if (table_.node(id).place < begin) break;
        }
        for (NodeId id; (id = table_.node(last).after) != 0; ++count, last = id) {
            if (table_.node(id).place >= begin + size) break;
        }
        if (static_cast<double>(count) > most || size / (count + 1) < 4) continue;
        const uint64_t gap = size / (count + 1);
        uint64_t now = begin;
        for (NodeId id = first;; id = table_.node(id).after) {
            table_.node(id).place = now += gap;
            if (id == last) return;
        }
    }
}

void NodeOrder::make_single(NodeId id) {
    Node& node = table_.node(id);
    node.component = id;
    node.next_in_component = id;
    node.component_size = 1;
}

void NodeOrder::forget_dead() {
    for (NodeId id = 1; id <= table_.last_node(); ++id) {
        const Node& node = table_.node(id);
        const bool gone = node.state == Node::State::dead || node.state == Node::State::kept;
        if (gone && node.component != 0) take_apart(node.component);
    }
}

/// Makes every live node of a component single, in its place; the dead ones go.
void NodeOrder::take_apart(NodeId component) {
    NodeId behind = table_.node(component).before;
    unlink(component);
    NodeId node = component;
    do {
        const NodeId next = table_.node(node).next_in_component;
        if (table_.is_live(node)) {
            make_single(node);
            table_.node(node).loosened = true;
            link_behind(behind, node);
            behind = node;
        } else {
            table_.node(node).component = 0;
        }
        node = next;
    } while (node != component);
}

void NodeOrder::settle() {
    for (NodeId id = 1; id <= table_.last_node(); ++id) {
        if (!table_.node(id).loosened) continue;
        table_.node(id).loosened = false;
        for (uint32_t i = table_.node(id).first_out; i != 0; i = table_.step(i).out_next) {
            if (table_.is_live(table_.step(i).to)) add_step(id, table_.step(i).to);
        }
    }
}

}  // namespace braidway::lockdep
