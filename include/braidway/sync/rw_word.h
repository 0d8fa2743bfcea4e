// SPDX-License-Identifier: Apache-2.0
// The bits of the fair reader/writer semaphore's word. Users include rw_semaphore.h.
#pragma once

#include <cstdint>

#include "braidway/sync/policy.h"

namespace braidway::sync {

/// The bits of the word.
struct RwWord {
    static constexpr uint32_t writer = 1;  ///< Held for writing.
    static constexpr uint32_t upgradable =
        2;                                    ///< Held by the upgradable reader, not counted below.
    static constexpr uint32_t upgrading = 4;  ///< Who waits for the readers to leave.
    static constexpr uint32_t waiting = 8;    ///< The queue is not empty.
    static constexpr uint32_t sleeping = 16;  ///< Somebody may sleep on the word.
    static constexpr uint32_t reader = 256;   ///< One reader; the upper 24 bits count them.

    static constexpr uint32_t readers_of(uint32_t word) { return word / reader; }

    /// May the head of the queue enter so?
    static constexpr bool admits(uint32_t word, LockMode mode) {
        switch (mode) {
            case LockMode::exclusive:
                return (word & (writer | upgradable)) == 0 && readers_of(word) == 0;
            case LockMode::shared:
                return (word & (writer | upgrading)) == 0;
            case LockMode::upgrade:
                return (word & (writer | upgradable)) == 0;
        }
        return false;
    }

    static constexpr uint32_t gain(LockMode mode) {
        switch (mode) {
            case LockMode::exclusive:
                return writer;
            case LockMode::shared:
                return reader;
            case LockMode::upgrade:
                return upgradable;
        }
        return 0;
    }
};

}  // namespace braidway::sync
