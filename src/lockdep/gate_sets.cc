// SPDX-License-Identifier: Apache-2.0
#include "lockdep/gate_sets.h"

namespace braidway::lockdep {

bool compatible(const GateView& left, const GateView& right) {
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < left.count && j < right.count) {
        const LockId one = left.lock(i);
        const LockId other = right.lock(j);
        if (one == other && (left.is_exclusive(i) || right.is_exclusive(j))) return false;
        if (one <= other) ++i;
        if (other <= one) ++j;
    }
    return true;
}

bool covers(const GateView& more, const GateView& less) {
    if (less.count > more.count) return false;
    uint32_t i = 0;
    for (uint32_t j = 0; j < less.count; ++j, ++i) {
        while (i < more.count && more.lock(i) < less.lock(j)) ++i;
        if (i == more.count || more.lock(i) != less.lock(j)) return false;
        if (less.is_exclusive(j) && !more.is_exclusive(i)) return false;
    }
    return true;
}

GateList::GateList(std::span<const Gate> gates) {
    for (const Gate& gate : gates) insert(gate);
}

void GateList::insert(const Gate& gate) {
    const uint32_t bit = gate.hold == Hold::exclusive ? 1 : 0;
    uint32_t at = count_;
    while (at > 0 && locks_[at - 1] > gate.lock) --at;
    if (at > 0 && locks_[at - 1] == gate.lock) {
        exclusive_ |= bit << (at - 1);
        return;
    }
    if (at == GateView::gates_max) return;
    if (count_ < GateView::gates_max) ++count_;
    for (uint32_t i = count_ - 1; i > at; --i) locks_[i] = locks_[i - 1];
    locks_[at] = gate.lock;
    const uint32_t below = (uint32_t{1} << at) - 1;
    exclusive_ = (exclusive_ & below) | bit << at | (exclusive_ & ~below) << 1;
    exclusive_ &= (uint32_t{1} << count_) - 1;
}

bool GateSets::keep(const GateView& gates, GateSetId& id) {
    id = 0;
    if (gates.count == 0) return true;
    if (gates.count == 1 && gates.lock(0) <= single_mask) {
        id = is_single | (gates.is_exclusive(0) ? single_exclusive : 0) | gates.lock(0);
        return true;
    }
    for (uint32_t set = hash_.first(hash(gates)); set != 0; set = words_[set]) {
        const GateView other = view(set);
        if (other.count != gates.count || other.exclusive != gates.exclusive) continue;
        if (!covers(other, gates)) continue;
        if (words_[set + 1] / one_user < users_max) words_[set + 1] += one_user;
        id = set;
        return true;
    }
    const uint32_t set = room_for(gates.count);
    if (set == 0) return false;
    words_[set + 1] = one_user | gates.exclusive << exclusive_shift | (gates.count - 1);
    for (uint32_t i = 0; i < gates.count; ++i) words_[set + header_words + i] = gates.lock(i);
    if (!hash_.insert(*this, set)) {
        words_[set] = free_[gates.count];
        free_[gates.count] = set;
        return false;
    }
    id = set;
    return true;
}

void GateSets::release(GateSetId id) {
    if (id == 0 || (id & is_single) != 0) return;
    const uint32_t users = words_[id + 1] / one_user;
    if (users < users_max) words_[id + 1] -= one_user;
    if (users != 1) return;
    hash_.erase(*this, id);
    uint32_t& free = free_[view(id).count];
    words_[id] = free;
    free = id;
}

uint32_t GateSets::room_for(uint32_t count) {
    if (const uint32_t set = free_[count]; set != 0) {
        free_[count] = words_[set];
        return set;
    }
    const uint32_t words = header_words + count;
    // No set lies across two pages, so that its locks are one array.
    uint32_t begin = used_words_;
    if (begin % page_words + words > page_words) begin += page_words - begin % page_words;
    if (!words_.reach(begin + words - 1)) return 0;
    used_words_ = begin + words;
    return begin;
}

uint32_t GateSets::hash(const GateView& gates) {
    uint64_t mixed = gates.exclusive;
    for (uint32_t i = 0; i < gates.count; ++i) {
        mixed = (mixed ^ gates.lock(i)) * 0x9e3779b97f4a7c15;
        mixed ^= mixed >> 32;
    }
    return static_cast<uint32_t>(mixed);
}

}  // namespace braidway::lockdep
