// SPDX-License-Identifier: Apache-2.0
#include "lockdep/step_table.h"

namespace braidway::lockdep {

NodeId StepTable::add_node(NodeId family) {
    NodeId id = free_node_;
    if (id != 0) {
        free_node_ = nodes_[id].next_member;
    } else {
        if (!nodes_.reach(used_nodes_ + 1)) return 0;
        id = ++used_nodes_;
    }
    Node& node = nodes_[id];
    node = Node{};
    node.state = Node::State::live;
    if (is_live(family)) {
        node.family = family;
        node.next_member = nodes_[family].first_member;
        nodes_[family].first_member = id;
    }
    ++live_nodes_;
    return id;
}

void StepTable::retire(NodeId id) {
    live_steps_ -= count_steps(id).live;
    --live_nodes_;
    nodes_[id].state = Node::State::kept;
}

void StepTable::kill(NodeId id) {
    const Counts steps = count_steps(id);
    Node& node = nodes_[id];
    live_nodes_ -= node.state == Node::State::live;
    live_steps_ -= steps.live;
    dead_ += steps.there + 1;
    free_list(node.writers);
    node.writers = 0;
    node.state = Node::State::dead;
}

StepTable::Counts StepTable::count_steps(NodeId id) const {
    Counts counts;
    const auto count = [&](const StepRecord& step) {
        counts.there += !is_dead(step);
        counts.live += is_live(step);
    };
    for (uint32_t i = node(id).first_out; i != 0; i = step(i).out_next) count(step(i));
    for (uint32_t i = node(id).first_in; i != 0; i = step(i).in_next)
        if (step(i).from != id) count(step(i));
    return counts;
}

void StepTable::adopt_members(NodeId from, NodeId to) {
    NodeId& first = nodes_[from].first_member;
    while (first != 0) {
        const NodeId member = first;
        first = nodes_[member].next_member;
        nodes_[member].family = to;
        nodes_[member].next_member = nodes_[to].first_member;
        nodes_[to].first_member = member;
    }
}

void StepTable::sweep() {
    if (dead_ == 0) return;
    // Every dead step leaves both of its lists before its record is used again: it is unlinked
    // from the list of what comes in, then from the one of what goes out, and freed there.
    for (NodeId id = 1; id <= used_nodes_; ++id) {
        sweep_in(id);
        sweep_members(id);
    }
    for (NodeId id = 1; id <= used_nodes_; ++id) sweep_out(id);
    for (NodeId id = 1; id <= used_nodes_; ++id) {
        Node& node = nodes_[id];
        if (node.family != 0 && !is_live(node.family)) node.family = 0;
    }
    for (NodeId id = used_nodes_; id != 0; --id) {
        Node& node = nodes_[id];
        if (node.state != Node::State::dead) continue;
        node.state = Node::State::free;
        node.next_member = free_node_;
        free_node_ = id;
    }
    dead_ = 0;
}

void StepTable::sweep_in(NodeId id) {
    for (uint32_t* link = &nodes_[id].first_in; *link != 0;) {
        StepRecord& step = records_[*link];
        if (is_dead(step)) {
            *link = step.in_next;
        } else {
            link = &step.in_next;
        }
    }
}

void StepTable::sweep_out(NodeId id) {
    for (uint32_t* link = &nodes_[id].first_out; *link != 0;) {
        const uint32_t record = *link;
        if (is_dead(records_[record])) {
            *link = records_[record].out_next;
            free_record(record);
        } else {
            link = &records_[record].out_next;
        }
    }
}

void StepTable::sweep_members(NodeId id) {
    for (uint32_t* link = &nodes_[id].first_member; *link != 0;) {
        Node& member = nodes_[*link];
        if (member.state != Node::State::live) {
            *link = member.next_member;
        } else {
            link = &member.next_member;
        }
    }
}

uint32_t StepTable::find(NodeId from, NodeId to) const {
    uint32_t record = hash_.first(hash(from, to));
    while (record != 0 && (step(record).from != from || step(record).to != to)) {
        record = step(record).hash_next;
    }
    return record;
}

uint32_t StepTable::insert(NodeId from, NodeId to, const Way& first) {
    uint32_t record = free_record_;
    if (record == 0) {
        if (!records_.reach(used_records_ + 1)) return 0;
        record = ++used_records_;
    } else {
        free_record_ = records_[record].out_next;
    }
    StepRecord& step = records_[record];
    step = {from, to, 0, nodes_[from].first_out, nodes_[to].first_in, first};
    step.first.link &= Way::mode_mask;
    if (!hash_.insert(*this, record)) {
        step.out_next = free_record_;
        free_record_ = record;
        return 0;
    }
    nodes_[from].first_out = record;
    nodes_[to].first_in = record;
    live_steps_ += is_live(step);
    return record;
}

void StepTable::free_record(uint32_t record) {
    StepRecord& step = records_[record];
    hash_.erase(*this, record);
    free_list(step.first.next());
    gates_.release(step.first.gates);
    step.out_next = free_record_;
    free_record_ = record;
}

const Way* StepTable::way(uint32_t record, uint32_t index) const {
    const Way* way = &records_[record].first;
    for (; index > 0 && way != nullptr; --index) {
        way = way->next() == 0 ? nullptr : &extra_[way->next()];
    }
    return way;
}

const Way* StepTable::writer(NodeId node, uint32_t index) const {
    const NodeId family = nodes_[node].family;
    const uint32_t lists[] = {nodes_[node].writers, is_live(family) ? nodes_[family].writers : 0};
    for (uint32_t way : lists) {
        for (; way != 0; way = extra_[way].next()) {
            if (index-- == 0) return &extra_[way];
        }
    }
    return nullptr;
}

bool StepTable::stands_for(const Way& known, uint32_t mode, const GateView& gates) const {
    // Of both hold and want the lower number blocks more often.
    if ((known.link & 1) > (mode & 1) || (known.link & 6) > (mode & 6)) return false;
    if ((known.link & 8) > (mode & 8)) return false;
    return covers(gates, gates_.view(known.gates));
}

bool StepTable::knows_way(uint32_t record, uint32_t mode, const GateView& gates) const {
    const Way* way = &records_[record].first;
    while (!stands_for(*way, mode, gates)) {
        if (way->next() == 0) return false;
        way = &extra_[way->next()];
    }
    return true;
}

bool StepTable::knows_writer(NodeId node, const GateView& gates) const {
    for (uint32_t i = 0; const Way* known = writer(node, i); ++i) {
        if (covers(gates, gates_.view(known->gates))) return true;
    }
    return false;
}

bool StepTable::keep_way(uint32_t record, const Way& way) {
    Ways ways;
    std::array<uint32_t, ways_max> slots;
    StepRecord& step = records_[record];
    uint32_t count = read_list(&step.first, ways, slots);
    const uint32_t room = count;  // The first in place, and room - 1 others.
    uint32_t extra = count - 1;
    for (uint32_t i = 0; i < extra; ++i) slots[i] = slots[i + 1];
    count = add_to(ways, count, way);
    bool kept = true;
    if (count > room) {
        slots[extra] = new_extra();
        kept = slots[extra] != 0;
        if (kept) {
            ++extra;
        } else {
            gates_.release(way.gates);
            --count;
        }
    }
    while (extra > count - 1) free_extra(slots[--extra]);
    for (uint32_t i = 0; i < count; ++i) {
        Way& place = i == 0 ? step.first : extra_[slots[i - 1]];
        place = ways[i];
        place.link = (ways[i].link & Way::mode_mask) | (i + 1 < count ? slots[i] << 4 : 0);
    }
    return kept;
}

bool StepTable::keep_writer(NodeId node, const Way& way) {
    Ways ways;
    std::array<uint32_t, ways_max> slots;
    const uint32_t head = nodes_[node].writers;
    uint32_t count = head == 0 ? 0 : read_list(&extra_[head], ways, slots);
    if (count > 0) slots[0] = head;
    uint32_t room = count;
    count = add_to(ways, count, way);
    bool kept = true;
    if (count > room) {
        slots[room] = new_extra();
        kept = slots[room] != 0;
        if (kept) {
            ++room;
        } else {
            gates_.release(way.gates);
            --count;
        }
    }
    while (room > count) free_extra(slots[--room]);
    for (uint32_t i = 0; i < count; ++i) {
        extra_[slots[i]] = ways[i];
        extra_[slots[i]].link =
            (ways[i].link & Way::mode_mask) | (i + 1 < count ? slots[i + 1] << 4 : 0);
    }
    nodes_[node].writers = count == 0 ? 0 : slots[0];
    return kept;
}

/// Copies a list. slots[i] is the number of way i; of the first, nothing (it may be in place).
uint32_t StepTable::read_list(const Way* first, Ways& ways,
                              std::array<uint32_t, ways_max>& slots) const {
    uint32_t count = 0;
    slots[0] = 0;
    for (const Way* way = first;; way = &extra_[slots[count]]) {
        ways[count++] = *way;
        if (way->next() == 0) return count;
        slots[count] = way->next();
    }
}

/// Adds a way at the end of `ways`; those it stands for go, and if there are too many, one goes.
/// Returns how many there are, at most ways_max.
uint32_t StepTable::add_to(Ways& ways, uint32_t count, const Way& way) {
    Way fresh = way;
    fresh.link &= Way::mode_mask;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; ++i) {
        if (stands_for(fresh, ways[i].link & Way::mode_mask, gates_.view(ways[i].gates))) {
            gates_.release(ways[i].gates);
        } else {
            ways[left++] = ways[i];
        }
    }
    ways[left++] = fresh;
    if (left <= ways_max) return left;
    const uint32_t victim = most_common(ways, left);
    gates_.release(ways[victim].gates);
    for (uint32_t i = victim; i + 1 < left; ++i) ways[i] = ways[i + 1];
    return left - 1;
}

/// The way whose gates are shared by the most others; the newest of several.
uint32_t StepTable::most_common(const Ways& ways, uint32_t count) const {
    uint32_t victim = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const GateView mine = gates_.view(ways[i].gates);
        uint32_t shared = 0;
        for (uint32_t j = 0; j < count; ++j) {
            const GateView other = gates_.view(ways[j].gates);
            for (uint32_t a = 0; a < mine.count; ++a) {
                for (uint32_t b = 0; b < other.count; ++b) shared += mine.lock(a) == other.lock(b);
            }
        }
        if (shared < most) continue;
        most = shared;
        victim = i;
    }
    return victim;
}

uint32_t StepTable::new_extra() {
    const uint32_t way = free_extra_;
    if (way != 0) {
        free_extra_ = extra_[way].link;
        return way;
    }
    return extra_.reach(used_extra_ + 1) ? ++used_extra_ : 0;
}

void StepTable::free_extra(uint32_t way) {
    extra_[way].link = free_extra_;
    free_extra_ = way;
}

void StepTable::free_list(uint32_t way) {
    while (way != 0) {
        const uint32_t next = extra_[way].next();
        gates_.release(extra_[way].gates);
        free_extra(way);
        way = next;
    }
}

}  // namespace braidway::lockdep
