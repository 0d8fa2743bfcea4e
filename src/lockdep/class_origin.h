// SPDX-License-Identifier: Apache-2.0
// How the locks of a class came to be, for who finds out which classes are one.
#pragma once

#include "lockdep/lock.h"

namespace braidway::lockdep {

/// The first lock of a class: of those that are of one class by their making, one stands for all.
struct ClassOrigin {
    uint32_t class_id = 0;
    uint32_t bytes = 0;  ///< Of the lock. 0: nothing is known of this class.
    LockType type = LockType::mutex;
    Place place = Place::unknown;
    bool initialised = false;
    StackId stack = 0;              ///< Of the call that initialised it; 0 if none did.
    const void* address = nullptr;  ///< Where it is or was.
    uint64_t block_bytes = 0;       ///< These as in Making.
    uint64_t offset_bytes = 0;
    uint64_t block_made_at = 0;
};

/// What is kept of `lock`.
inline ClassOrigin origin_of(const Lock& lock) {
    const Making& making = lock.making;
    return {.class_id = lock.class_id.load(std::memory_order_relaxed),
            .bytes = lock.bytes,
            .type = lock.traits.type,
            .place = making.place,
            .initialised = making.initialised,
            .stack = making.stack,
            .address = lock.address.load(std::memory_order_relaxed),
            .block_bytes = making.block_bytes,
            .offset_bytes = making.offset_bytes,
            .block_made_at = making.block_made_at};
}

}  // namespace braidway::lockdep
