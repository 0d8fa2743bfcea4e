// SPDX-License-Identifier: Apache-2.0
// Which steps of this execution touched an address last.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "explore/chooser.h"

namespace braidway::explore {

/// The last steps that touched one address; -1 stands for none.
struct ObjectHistory {
    const void* address = nullptr;
    int last_write = -1;
    int last_wake = -1;
    int last_lock = -1;
    int last_unlock = -1;
    Slots readers = 0;   ///< Since the last write.
    Slots sleepers = 0;  ///< Came or left since the last wake.
    std::array<int, slots_max> last_read;
    std::array<int, slots_max> last_sleep;
};

/// Histories by address, forgotten all at once.
///
/// Threads: one.
class ObjectTable {
  public:
    ObjectTable() : cells_(64) {}

    void clear() {
        ++generation_;
        used_ = 0;
    }

    /// References live until the next call.
    ObjectHistory& at(const void* address) {
        const size_t mask = cells_.size() - 1;
        size_t cell = hash(address) & mask;
        while (cells_[cell].generation == generation_) {
            ObjectHistory& history = histories_[cells_[cell].index];
            if (history.address == address) return history;
            cell = (cell + 1) & mask;
        }
        if (used_ * 2 >= cells_.size()) {
            grow();
            return at(address);
        }
        if (used_ == histories_.size()) histories_.emplace_back();
        cells_[cell] = {generation_, static_cast<uint32_t>(used_)};
        ObjectHistory& history = histories_[used_++];
        history.address = address;
        history.last_write = history.last_wake = -1;
        history.last_lock = history.last_unlock = -1;
        history.readers = history.sleepers = 0;
        return history;
    }

  private:
    struct Cell {
        uint64_t generation = 0;
        uint32_t index = 0;
    };

    static size_t hash(const void* address) {
        return static_cast<size_t>((reinterpret_cast<uintptr_t>(address) * 0x9E3779B97F4A7C15ULL) >>
                                   40);
    }

    void grow() {
        cells_.assign(cells_.size() * 2, Cell{});
        const size_t mask = cells_.size() - 1;
        for (size_t index = 0; index < used_; ++index) {
            size_t cell = hash(histories_[index].address) & mask;
            while (cells_[cell].generation == generation_) cell = (cell + 1) & mask;
            cells_[cell] = {generation_, static_cast<uint32_t>(index)};
        }
    }

    std::vector<Cell> cells_;
    std::vector<ObjectHistory> histories_;
    size_t used_ = 0;
    uint64_t generation_ = 1;
};

}  // namespace braidway::explore
