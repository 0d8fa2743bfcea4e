// SPDX-License-Identifier: Apache-2.0
// Which states of a program have been seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace braidway::explore {

/// A state in 128 bits. That two different ones among n have the same is as likely as n^2 / 2^129.
struct StateKey {
    // Not zero, or words of zero at the beginning would count for nothing.
    uint64_t low = 0x243F6A8885A308D3ULL;
    uint64_t high = 0x13198A2E03707344ULL;

    bool operator==(const StateKey&) const = default;

    void mix(uint64_t value) {
        low = (low ^ value) * 0x9E3779B97F4A7C15ULL;
        low ^= low >> 32;
        high = (high ^ value) * 0xD6E8FEB86659FD93ULL;
        high ^= high >> 29;
        high += low;
    }
};

/// Keys, in a table of open addressing.
///
/// Threads: one.
class StateSet {
  public:
    StateSet() : cells_(1024) {}

    /// False when it was there.
    bool insert(const StateKey& key) {
        if ((size_ + 1) * 2 > cells_.size()) grow();
        StateKey& cell = cell_of(key);
        if (cell == key) return false;
        cell = key;
        ++size_;
        return true;
    }
    size_t size() const { return size_; }

  private:
    /// The key's, or the free one where it would be. Into no key is nothing mixed: that one is
    /// free.
    StateKey& cell_of(const StateKey& key) {
        const size_t mask = cells_.size() - 1;
        size_t at = key.low & mask;
        while (!(cells_[at] == StateKey{}) && !(cells_[at] == key)) at = (at + 1) & mask;
        return cells_[at];
    }

    void grow() {
        std::vector<StateKey> before(cells_.size() * 2);
        before.swap(cells_);
        for (const StateKey& key : before) {
            if (!(key == StateKey{})) cell_of(key) = key;
        }
    }

    std::vector<StateKey> cells_;
    size_t size_ = 0;
};

}  // namespace braidway::explore
