// SPDX-License-Identifier: Apache-2.0
#include "lockdep/ring_search.h"

#include <algorithm>

namespace braidway::lockdep {

namespace {

constexpr uint32_t unreached = UINT32_MAX;

GatesTold told(const GateView& gates) {
    GatesTold locks = {};
    for (uint32_t i = 0; i < std::min<size_t>(gates.count, locks.size()); ++i)
        locks[i] = gates.lock(i);
    return locks;
}

}  // namespace

bool RingSearch::run(const Step& step, const GateView& gates, const GateView* writer, Ring& ring) {
    if (!order_.together(step.from, step.to)) return false;
    step_ = step;
    gates_ = gates;
    writer_ = writer;
    if (!taken_.add(gates)) return false;
    bool found = false;
    if (writer == nullptr) {
        found = search(ring);
    } else if (taken_.add(*writer)) {
        found = search(ring);
        taken_.remove(*writer);
    }
    taken_.remove(gates);
    return found;
}

bool RingSearch::search(Ring& ring) {
    tries_ = tries_max >> std::min<uint64_t>(5, given_up_ / patience);
    looks_left_ = looks_ < looks_max ? UINT32_MAX : looks_min;
    failed_ = false;
    length_ = 0;
    epoch_ = table_.new_epoch();
    bool found = false;
    if (step_.from == step_.to) {
        const bool with_it = writer_ == nullptr || step_.hold == Hold::shared;
        found = with_it && may_block(step_.to, step_.want, step_.hold) && descend(0);
    } else {
        measure_start();
        measure(false);
        uint32_t limit = distance(step_.to, step_.want);
        while (limit != unreached && tries_ != 0 && !found) {
            next_limit_ = unreached;
            found = descend(limit);
            if (found) break;
            // Distances that were not needed for the shortest path are needed from here on.
            const bool measured = queue_first_ == 0;
            if (!measured) measure(true);
            limit = measured ? next_limit_ : limit + 1;
        }
    }
    if (!found) {
        given_up_ += tries_ == 0;
        return false;
    }
    ring.length = length_ + 1;
    ring.steps[0] = step_;
    ring.held[0] = told(gates_);
    for (uint32_t i = 0; i < length_; ++i) {
        const Frame& frame = frames_[i];
        if (i + 1 < Ring::steps_max) {
            const StepRecord& record = table_.step(frame.step);
            const Way& way = *table_.way(frame.step, frame.chosen_way);
            ring.steps[i + 1] = {record.from, record.to,    way.hold(),
                                 way.want(),  way.evidence, way.by_handler()};
            ring.held[i + 1] = told(table_.gates().view(way.gates));
        }
    }
    for (uint32_t i = 0; i <= length_; ++i) give_back(frames_[i]);
    return true;
}

// --- backward: distances -------------------------------------------------------------------------

void RingSearch::measure_start() {
    queue_first_ = queue_last_ = 0;
    const bool writer = usable_writer(step_.from);
    for (uint32_t i = table_.node(step_.from).first_in; i != 0; i = table_.step(i).in_next) {
        const NodeId node = table_.step(i).from;
        if (node == step_.from || !table_.is_live(node)) continue;
        for (const Way* way = table_.way(i, 0); way != nullptr; way = table_.next_way(*way)) {
            if (!may_look()) return;
            const bool blocks = step_.hold == Hold::exclusive || way->want() == Want::write ||
                                (way->want() == Want::fair_read && writer);
            if (!blocks || !compatible(gates_, table_.gates().view(way->gates))) continue;
            reach(node, way->hold(), 1);
        }
    }
}

/// Goes on until the distance from the end of the step is known, or all are.
void RingSearch::measure(bool whole) {
    while (queue_first_ != 0 && looks_left_ != 0 &&
           (whole || distance(step_.to, step_.want) == unreached)) {
        const NodeId node = queue_first_ >> 1;
        const auto entry = static_cast<Entry>(queue_first_ & 1);
        queue_first_ = table_.node(node).queue_next[entry];
        if (queue_first_ == 0) queue_last_ = 0;
        measure_into(node, entry);
    }
}

void RingSearch::measure_into(NodeId node, Entry entry) {
    const uint32_t distance = table_.node(node).distance[entry];
    const bool writer = usable_writer(node);
    for (uint32_t i = table_.node(node).first_in; i != 0; i = table_.step(i).in_next) {
        const NodeId from = table_.step(i).from;
        if (from == step_.from || is_measured(from)) continue;
        if (!order_.together(from, node) || !table_.is_live(from)) continue;
        for (const Way* way = table_.way(i, 0); way != nullptr; way = table_.next_way(*way)) {
            if (!may_look()) return;
            const bool any =
                way->want() == Want::write || (way->want() == Want::fair_read && writer);
            if (!any && entry == any_blocks) continue;
            if (!compatible(gates_, table_.gates().view(way->gates))) continue;
            reach(from, way->hold(), distance + 1);
        }
    }
}

/// Is there nothing more to know about the distance of this node?
bool RingSearch::is_measured(NodeId id) const {
    const Node& node = table_.node(id);
    return node.epoch == epoch_ && node.distance[any_blocks] != unreached &&
           node.distance[exclusive_blocks] != unreached;
}

/// The node can be left by a way that holds as `left_by`, and is then so far away.
void RingSearch::reach(NodeId id, Hold left_by, uint32_t distance) {
    const Node& node = touched(id);
    if (node.distance[any_blocks] == unreached) queue(id, any_blocks, distance);
    if (left_by == Hold::exclusive && node.distance[exclusive_blocks] == unreached) {
        queue(id, exclusive_blocks, distance);
    }
}

void RingSearch::queue(NodeId id, Entry entry, uint32_t distance) {
    Node& node = table_.node(id);
    node.distance[entry] = distance;
    if (id == step_.to) return;  // The path begins there and does not come back.
    node.queue_next[entry] = 0;
    const uint32_t item = id << 1 | entry;
    if (queue_last_ == 0) {
        queue_first_ = item;
    } else {
        table_.node(queue_last_ >> 1).queue_next[queue_last_ & 1] = item;
    }
    queue_last_ = item;
}

Node& RingSearch::touched(NodeId id) {
    Node& node = table_.node(id);
    if (node.epoch != epoch_) {
        node.epoch = epoch_;
        node.distance[any_blocks] = node.distance[exclusive_blocks] = unreached;
        node.on_path = false;
    }
    return node;
}

/// Does anybody write the node who goes with the step?
bool RingSearch::usable_writer(NodeId node) const {
    if (assume_writers_) return true;
    for (uint32_t i = 0; const Way* writer = table_.writer(node, i); ++i) {
        const GateView gates = table_.gates().view(writer->gates);
        if (compatible(gates_, gates) && (writer_ == nullptr || compatible(*writer_, gates))) {
            return true;
        }
    }
    return false;
}

bool RingSearch::may_block(NodeId node, Want want, Hold hold) const {
    return hold == Hold::exclusive || entry_of(node, want) == any_blocks;
}

RingSearch::Entry RingSearch::entry_of(NodeId node, Want want) const {
    if (want == Want::write) return any_blocks;
    if (want == Want::unfair_read) return exclusive_blocks;
    if (writer_ != nullptr && node == step_.to) return any_blocks;
    return usable_writer(node) ? any_blocks : exclusive_blocks;
}

uint32_t RingSearch::distance(NodeId id, Want want) const {
    const Node& node = table_.node(id);
    return node.epoch == epoch_ ? node.distance[entry_of(id, want)] : unreached;
}

// --- forward: paths ------------------------------------------------------------------------------

/// Looks for a path of at most `limit` steps. True: it is in frames_, and what its frames took is
/// still taken.
bool RingSearch::descend(uint32_t limit) {
    uint32_t depth = 0;
    if (!open(0, step_.to, step_.want)) return false;
    for (;;) {
        Frame& frame = frames_[depth];
        if (choose(depth, limit)) {
            if (frame.last) {
                length_ = depth;
                return true;
            }
            const StepRecord& step = table_.step(frame.step);
            if (open(depth + 1, step.to, table_.way(frame.step, frame.chosen_way)->want())) {
                ++depth;
            } else {
                tries_ = 0;
            }
        } else {
            failed_ = true;
            touched(frame.node).on_path = false;
            if (depth-- == 0) return false;
        }
    }
}

bool RingSearch::open(uint32_t depth, NodeId node, Want entered_by) {
    if (!frames_.reach(depth)) return false;
    Frame& frame = frames_[depth];
    frame = Frame{};
    frame.node = node;
    frame.entered_by = entered_by;
    frame.last = node == step_.from;
    frame.step = table_.node(node).first_out;
    touched(node).on_path = true;
    return true;
}

/// Takes the next thing that can be tried at this node, in place of the one taken before.
bool RingSearch::choose(uint32_t depth, uint32_t limit) {
    Frame& frame = frames_[depth];
    give_back(frame);
    if (frame.last) return choose_last(frame);
    while (frame.step != 0 && charge()) {
        const StepRecord& step = table_.step(frame.step);
        const Way* const way = table_.way(frame.step, frame.way);
        if (way == nullptr) {
            frame.step = step.out_next;
            frame.way = 0;
            continue;
        }
        if (frame.writer == 0 && !worth(frame, step, *way, depth, limit)) {
            ++frame.way;
            continue;
        }
        frame.chosen_way = frame.way;
        const bool needs_writer = way->hold() == Hold::shared &&
                                  frame.entered_by == Want::fair_read && !assume_writers_ &&
                                  (depth > 0 || writer_ == nullptr);
        const Way* const writer = needs_writer ? table_.writer(frame.node, frame.writer) : nullptr;
        if (writer != nullptr) {
            ++frame.writer;
        } else {
            ++frame.way;
            frame.writer = 0;
            if (needs_writer) continue;
        }
        if (take(frame, way->gates, writer == nullptr ? 0 : writer->gates)) return true;
        failed_ = true;
    }
    return false;
}

/// The path is back where the step begins: chooses the writer there, if one is needed.
bool RingSearch::choose_last(Frame& frame) {
    const bool needs_writer = step_.hold == Hold::shared && frame.entered_by == Want::fair_read &&
                              !assume_writers_ && (writer_ == nullptr || step_.from != step_.to);
    if (!needs_writer) return frame.writer++ == 0 && take(frame, 0, 0);
    while (const Way* const writer = table_.writer(frame.node, frame.writer)) {
        ++frame.writer;
        if (take(frame, 0, writer->gates)) return true;
        failed_ = true;
        if (!charge()) return false;
    }
    return false;
}

/// Can a path go on by this way, as far as the way by itself and the distances tell?
bool RingSearch::worth(const Frame& frame, const StepRecord& step, const Way& way, uint32_t depth,
                       uint32_t limit) {
    if (!table_.is_live(step.to)) return false;
    if (way.hold() == Hold::shared && frame.entered_by == Want::unfair_read) return false;
    if (writer_ != nullptr && depth == 0 && way.hold() == Hold::exclusive) return false;
    uint32_t rest = 0;
    if (step.to == step_.from) {
        if (!may_block(step.to, way.want(), step_.hold)) return false;
    } else {
        rest = distance(step.to, way.want());
        if (rest == unreached || table_.node(step.to).on_path) return false;
    }
    if (!compatible(gates_, table_.gates().view(way.gates))) return false;
    const uint32_t length = depth + 1 + rest;
    if (length <= limit) return true;
    next_limit_ = std::min(next_limit_, length);
    return false;
}

bool RingSearch::take(Frame& frame, GateSetId way, GateSetId writer) {
    if (!taken_.add(table_.gates().view(way))) return false;
    if (!taken_.add(table_.gates().view(writer))) {
        taken_.remove(table_.gates().view(way));
        return false;
    }
    frame.way_gates = way;
    frame.writer_gates = writer;
    frame.chosen = true;
    return true;
}

void RingSearch::give_back(Frame& frame) {
    if (!frame.chosen) return;
    taken_.remove(table_.gates().view(frame.writer_gates));
    taken_.remove(table_.gates().view(frame.way_gates));
    frame.chosen = false;
}

}  // namespace braidway::lockdep
