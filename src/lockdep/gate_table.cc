// SPDX-License-Identifier: Apache-2.0
#include "lockdep/gate_table.h"

namespace braidway::lockdep {

bool GateTable::add(const GateView& gates) {
    if (2 * (used_ + gates.count) >= size_ && !grow()) return false;
    for (uint32_t i = 0; i < gates.count; ++i) {
        const Entry& entry = entries_[find(gates.lock(i))];
        if (entry.holders != 0 && (entry.holders == exclusive || gates.is_exclusive(i))) {
            return false;
        }
    }
    for (uint32_t i = 0; i < gates.count; ++i) {
        Entry& entry = entries_[find(gates.lock(i))];
        if (entry.holders == 0) ++used_;
        entry.lock = gates.lock(i);
        entry.holders = gates.is_exclusive(i) ? exclusive : entry.holders + 1;
    }
    return true;
}

void GateTable::remove(const GateView& gates) {
    for (uint32_t i = 0; i < gates.count; ++i) {
        const uint32_t at = find(gates.lock(i));
        if (entries_[at].holders == 1 || entries_[at].holders == exclusive) {
            erase(at);
        } else {
            --entries_[at].holders;
        }
    }
}

/// The entry of a lock, or the free one where it would be.
uint32_t GateTable::find(LockId lock) const {
    uint32_t at = home(lock);
    while (entries_[at].holders != 0 && entries_[at].lock != lock) at = (at + 1) & (size_ - 1);
    return at;
}

/// Frees an entry and moves up those that had been pushed behind it.
void GateTable::erase(uint32_t at) {
    --used_;
    const uint32_t mask = size_ - 1;
    for (uint32_t next = (at + 1) & mask; entries_[next].holders != 0; next = (next + 1) & mask) {
        if (((next - home(entries_[next].lock)) & mask) < ((next - at) & mask)) continue;
        entries_[at] = entries_[next];
        at = next;
    }
    entries_[at].holders = 0;
}

bool GateTable::grow() {
    const uint32_t old_size = size_;
    const Entry* const old = entries_;
    const uint32_t size = old_size == 0 ? 256 : 2 * old_size;
    auto* const entries = arena_.allocate_array<Entry>(size);
    if (entries == nullptr) return false;
    entries_ = entries;
    size_ = size;
    for (uint32_t i = 0; i < old_size; ++i) {
        if (old[i].holders != 0) entries_[find(old[i].lock)] = old[i];
    }
    return true;
}

}  // namespace braidway::lockdep
