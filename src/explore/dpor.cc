// SPDX-License-Identifier: Apache-2.0
#include "explore/dpor.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace braidway::explore {
namespace {

unsigned lowest(Slots slots) {
    return static_cast<unsigned>(std::countr_zero(slots));
}

}  // namespace

void SourceDpor::begin(const Execution& execution) {
    slots_ = execution.slots();
    objects_.clear();
    last_of_.fill(-1);
    child_sleep_ = 0;
}

unsigned SourceDpor::pick(const Execution& execution) {
    const unsigned index = execution.step();
    if (index < prefix_) {
        Node& node = nodes_[index];
        if (node.shape != execution.shape()) return diverged;
        if (node.is_new) node.kind = execution.pending(node.slot);
        return node.slot;
    }
    // To spare a process is another step than to kill it, which may have been explored.
    const Slots awake = execution.enabled() & ~(child_sleep_ & ~execution.spared());
    if (awake == 0) {
        // Those asleep have been explored, but not with the others locked out.
        ended(execution);
        return cut_off;
    }
    const Slots required = awake & ~execution.optional();
    const bool goes_on =
        execution.last() < slots_max && (required & slot_bit(execution.last())) != 0;
    const unsigned slot = goes_on ? execution.last() : lowest(required != 0 ? required : awake);
    nodes_.resize(index + 1);
    Node& node = nodes_[index];
    node.shape = execution.shape();
    node.enabled = execution.enabled();
    node.backtrack = reduction_ == Reduction::races ? slot_bit(slot) : node.enabled;
    // If only kills are left to be explored, each is another end, also that which never happens.
    if (required == 0) node.backtrack |= awake;
    node.sleep = child_sleep_ & ~execution.spared();
    node.slot = static_cast<uint8_t>(slot);
    node.mode = 0;
    node.kind = execution.pending(slot);
    node.is_new = true;
    node.choice = node.choices = 0;
    std::copy_n(child_modes_.begin(), slots_, node.modes.begin());
    return slot;
}

unsigned SourceDpor::choose(const Execution& execution, unsigned count) {
    Node& node = nodes_[execution.step()];
    if (node.choices == 0) node.choices = static_cast<uint16_t>(count);
    return node.choice < count ? node.choice : 0;
}

void SourceDpor::stepped(const Execution& execution) {
    const unsigned index = execution.step();
    Node& node = nodes_[index];
    if (index + 1 >= prefix_) {
        node.mode |= execution.mode();
        node.is_new = false;
        analyse(execution, index);
        child_sleep_ = 0;
        const Slots asleep = reduction_ == Reduction::races ? node.sleep : 0;
        for (Slots rest = asleep & ~slot_bit(node.slot); rest != 0; rest &= rest - 1) {
            const unsigned slot = lowest(rest);
            if (execution.conflicts(slot, node.modes[slot])) continue;
            child_sleep_ |= slot_bit(slot);
            child_modes_[slot] = node.modes[slot];
        }
    }
    write_history(execution, index);
}

// What happened before the step in its own thread, and what let it come.
void SourceDpor::start_clock(const Execution& execution, unsigned index) {
    Node& node = nodes_[index];
    const unsigned slot = node.slot;
    auto& clock = node.clock;
    const int previous = last_of_[slot];
    if (previous >= 0) {
        std::copy_n(nodes_[previous].clock.begin(), slots_, clock.begin());
        node.sequence = nodes_[previous].sequence + 1;
    } else {
        std::fill_n(clock.begin(), slots_, 0);
        node.sequence = 1;
    }
    const int enabler = execution.enabler(slot);
    if (enabler >= 0) join(node, enabler);
}

void SourceDpor::join(Node& node, int step) {
    const auto& clock = nodes_[static_cast<unsigned>(step)].clock;
    for (unsigned i = 0; i < slots_; ++i) node.clock[i] = std::max(node.clock[i], clock[i]);
}

// Finds what happened before the step, and which of that might have happened after it.
void SourceDpor::analyse(const Execution& execution, unsigned index) {
    start_clock(execution, index);
    Node& node = nodes_[index];
    const unsigned slot = node.slot;
    auto& clock = node.clock;
    int unlock = -1;
    racers_.clear();
    for (const Touch& touch : execution.touches()) {
        const ObjectHistory& history = objects_.at(touch.address);
        if ((touch.how & touched_word) != 0) racers_.push_back(history.last_write);
        if ((touch.how & touched_queue) != 0) racers_.push_back(history.last_wake);
        if ((touch.how & touched_lock) != 0) {
            racers_.push_back(history.last_lock);
            unlock = history.last_unlock;
        }
        const Slots readers = (touch.how & touched_write) != 0 ? history.readers : 0;
        for (Slots rest = readers; rest != 0; rest &= rest - 1) {
            racers_.push_back(history.last_read[lowest(rest)]);
        }
        const Slots sleepers = (touch.how & touched_wake) != 0 ? history.sleepers : 0;
        for (Slots rest = sleepers; rest != 0; rest &= rest - 1) {
            racers_.push_back(history.last_sleep[lowest(rest)]);
        }
    }
    if (racers_.size() > 1) std::ranges::sort(racers_, std::greater<>());
    // Latest first: what happened before a later racer is no racer any more.
    size_t races = 0;
    for (const int step : racers_) {
        if (step < 0) break;
        const Node& racer = nodes_[step];
        if (racer.slot == slot || clock[racer.slot] >= racer.sequence) continue;
        racers_[races++] = step;
        join(node, step);
    }
    clock[slot] = node.sequence;
    for (size_t i = 0; i < races; ++i) {
        const int earlier = racers_[i];
        // A thread that rests until it is told cannot go on before who told it.
        if (node.kind == StepKind::spin &&
            !execution.spins_without(earlier, [this](int before, int after) {
                return precedes(static_cast<unsigned>(before), static_cast<unsigned>(after));
            })) {
            continue;
        }
        reverse_race(static_cast<unsigned>(earlier), index);
    }
    // Only now: it would hide the race with the lock before it.
    if (unlock >= 0) join(node, unlock);
    node.backtrack |= execution.robbed() & ~node.sleep & node.enabled;
}

// Those who wait for a mutex might have come before who holds it. Nobody awake takes a step any
// more.
void SourceDpor::ended(const Execution& execution) {
    if (reduction_ != Reduction::races) return;
    for (Slots rest = execution.locked_out(); rest != 0; rest &= rest - 1) {
        const unsigned index = static_cast<unsigned>(nodes_.size());
        const int earlier = objects_.at(execution.awaited_mutex(lowest(rest))).last_lock;
        if (earlier < 0) continue;
        nodes_.emplace_back().slot = static_cast<uint8_t>(lowest(rest));
        start_clock(execution, index);
        Node& node = nodes_[index];
        node.clock[node.slot] = node.sequence;
        const Node& racer = nodes_[static_cast<unsigned>(earlier)];
        const bool is_race = racer.slot != node.slot && node.clock[racer.slot] < racer.sequence;
        if (is_race) reverse_race(static_cast<unsigned>(earlier), index);
        nodes_.pop_back();
    }
}

// Makes sure that something is explored in which `later` comes before `earlier`: what does not
// depend on `earlier`, then `later`. Any thread that can begin that will do.
void SourceDpor::reverse_race(unsigned earlier, unsigned later) {
    Node& node = nodes_[earlier];
    Slots seen = 0;
    Slots initials = 0;
    std::array<uint32_t, slots_max> first;
    for (unsigned step = earlier + 1; step <= later; ++step) {
        const Node& it = nodes_[step];
        const Slots bit = slot_bit(it.slot);
        if ((seen & bit) != 0) continue;
        if (step != later && precedes(earlier, step)) continue;
        bool begins = true;
        for (Slots rest = initials; rest != 0; rest &= rest - 1) {
            if (it.clock[lowest(rest)] >= first[lowest(rest)]) begins = false;
        }
        seen |= bit;
        if (!begins) continue;
        initials |= bit;
        first[it.slot] = it.sequence;
    }
    if ((initials & (node.backtrack | node.sleep)) != 0) return;
    initials &= node.enabled;
    if (initials == 0) return;
    const Slots wanted = slot_bit(nodes_[later].slot);
    node.backtrack |= (initials & wanted) != 0 ? wanted : initials & (~initials + 1);
}

void SourceDpor::write_history(const Execution& execution, unsigned index) {
    const unsigned slot = nodes_[index].slot;
    const int step = static_cast<int>(index);
    last_of_[slot] = step;
    for (const Touch& touch : execution.touches()) {
        ObjectHistory& history = objects_.at(touch.address);
        if ((touch.how & touched_wake) != 0) {
            history.last_wake = step;
            history.sleepers = 0;
        } else if ((touch.how & touched_queue) != 0) {
            history.sleepers |= slot_bit(slot);
            history.last_sleep[slot] = step;
        }
        if ((touch.how & touched_lock) != 0) history.last_lock = step;
        if ((touch.how & touched_unlock) != 0) history.last_unlock = step;
        if ((touch.how & touched_write) != 0) {
            history.last_write = step;
            history.readers = 0;
        } else if ((touch.how & touched_word) != 0) {
            history.readers |= slot_bit(slot);
            history.last_read[slot] = step;
        }
    }
}

bool SourceDpor::next() {
    while (!nodes_.empty()) {
        Node& node = nodes_.back();
        prefix_ = nodes_.size();
        node.is_new = true;
        if (node.choice + 1 < node.choices) {
            ++node.choice;
            return true;
        }
        node.sleep |= slot_bit(node.slot);
        node.modes[node.slot] = node.mode;
        const Slots rest = node.backtrack & ~node.sleep;
        if (rest != 0) {
            node.slot = static_cast<uint8_t>(lowest(rest));
            node.mode = 0;
            node.choice = node.choices = 0;
            return true;
        }
        nodes_.pop_back();
    }
    prefix_ = 0;
    return false;
}

uint64_t SourceDpor::signature() const {
    uint64_t sum = 0;
    for (const Node& node : nodes_) {
        uint64_t hash = (uint64_t{node.slot} << 32) + node.sequence;
        const auto mix = [&hash](uint64_t value) {
            hash = (hash ^ value) * 0x9E3779B97F4A7C15ULL;
            hash ^= hash >> 29;
        };
        mix(static_cast<uint64_t>(node.kind) * 65536 + node.choice);
        for (unsigned i = 0; i < slots_; ++i) mix(node.clock[i]);
        sum += hash;
    }
    return sum;
}

}  // namespace braidway::explore
