// SPDX-License-Identifier: Apache-2.0
// A fixed number of objects made once and lent out; an empty pool is back-pressure, not an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "base/check.h"

namespace braidway {

/// A pool of `capacity` default-constructed T. The memory is touched as objects are first used,
/// and the object that came back last is lent first, so that little of it stays warm.
///
/// Shapes:  T is default-constructible; objects keep their state between loans.
/// Errors:  take() returns nullptr when all are lent.
/// Threads: one.
template <typename T>
class SlotPool {
  public:
    explicit SlotPool(uint32_t capacity)
        : slots_(std::make_unique_for_overwrite<Slot[]>(capacity)), capacity_(capacity) {}
    ~SlotPool() {
        CHECK(in_use_ == 0, "a pool must get its objects back before it goes");
        for (uint32_t at = 0; at < made_; ++at) std::destroy_at(object(slots_[at]));
    }
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    T* take() {
        Slot* slot = free_;
        if (slot != nullptr) {
            free_ = slot->next;
        } else if (made_ < capacity_) {
            slot = &slots_[made_++];
            std::construct_at(object(*slot));
        } else {
            return nullptr;
        }
        ++in_use_;
        return object(*slot);
    }

    void give_back(T* taken) {
        Slot* slot = reinterpret_cast<Slot*>(reinterpret_cast<std::byte*>(taken));
        CHECK(slot >= slots_.get() && slot < slots_.get() + capacity_,
              "not an object of this pool");
        slot->next = free_;
        free_ = slot;
        --in_use_;
    }

    uint32_t in_use() const { return in_use_; }
    uint32_t capacity() const { return capacity_; }

  private:
    struct Slot {
        alignas(T) std::byte memory[sizeof(T)];
        Slot* next;
    };
    static T* object(Slot& slot) { return std::launder(reinterpret_cast<T*>(slot.memory)); }

    std::unique_ptr<Slot[]> slots_;
    Slot* free_ = nullptr;
    uint32_t capacity_;
    uint32_t made_ = 0;
    uint32_t in_use_ = 0;
};

}  // namespace braidway
