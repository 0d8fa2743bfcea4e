// SPDX-License-Identifier: Apache-2.0
// A hash table of numbers that grows by one bucket at a time.
#pragma once

#include <cstdint>

#include "lockdep/paged_array.h"

namespace braidway::lockdep {

/// Chains of items by hash. The items live elsewhere and have room for the number of the next item
/// in their chain; `Items` tells both: `uint32_t& next_of(uint32_t)` and `uint32_t
/// hash_of(uint32_t)`. Item 0 is none.
///
/// Shapes:  one bucket for every items_per_bucket items, up to buckets_max.
/// Errors:  insert() is false only when there is no memory at all; without memory to grow, chains
///          become longer.
/// Threads: one at a time.
/// Source:  linear hashing (Litwin, 1980; in pages: Larson, 1988).
template <uint32_t buckets_max, uint32_t items_per_bucket = 1>
class GrowingHash {
  public:
    explicit GrowingHash(Arena& arena) : buckets_(arena) {}

    /// The first item of the chain in which those with `hash` are.
    uint32_t first(uint32_t hash) const { return count_ == 0 ? 0 : buckets_[bucket_of(hash)]; }

    template <typename Items>
    bool insert(Items& items, uint32_t item) {
        if (count_ == 0) {
            if (!buckets_.reach(first_buckets)) return false;
            count_ = half_ = first_buckets;
        }
        if (++items_ / items_per_bucket > count_ && buckets_.reach(count_)) split(items);
        uint32_t& head = buckets_[bucket_of(items.hash_of(item))];
        items.next_of(item) = head;
        head = item;
        return true;
    }

    template <typename Items>
    void erase(Items& items, uint32_t item) {
        uint32_t* link = &buckets_[bucket_of(items.hash_of(item))];
        while (*link != item) link = &items.next_of(*link);
        *link = items.next_of(item);
        --items_;
    }

  private:
    static constexpr uint32_t first_buckets = 64;

    uint32_t bucket_of(uint32_t hash) const {
        const uint32_t bucket = hash & (2 * half_ - 1);
        return bucket < count_ ? bucket : hash & (half_ - 1);
    }

    template <typename Items>
    void split(Items& items) {
        uint32_t item = buckets_[count_ - half_];
        uint32_t* stay = &buckets_[count_ - half_];
        uint32_t* move = &buckets_[count_];
        while (item != 0) {
            uint32_t*& end = (items.hash_of(item) & (2 * half_ - 1)) == count_ ? move : stay;
            *end = item;
            end = &items.next_of(item);
            item = *end;
        }
        *stay = *move = 0;
        if (++count_ == 2 * half_) half_ = count_;
    }

    PagedArray<uint32_t, 1024, buckets_max> buckets_;
    uint32_t count_ = 0;  ///< Buckets in use: from half_ to 2 * half_ - 1.
    uint32_t half_ = 0;   ///< A power of two.
    uint32_t items_ = 0;
};

}  // namespace braidway::lockdep
