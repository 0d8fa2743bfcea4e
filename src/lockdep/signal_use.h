// SPDX-License-Identifier: Apache-2.0
// How signal handlers and the code that they interrupt use one lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/lock.h"
#include "lockdep/step.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A lock that a handler takes without a limit to the wait.
struct HandlerWant {
    Lock* lock = nullptr;
    LockId id = 0;
    Want want = Want::write;
    uint64_t signals = 0;
    ThreadNumber thread = 0;
    StackId stack = 0;

    bool is_live() const { return id != 0 && lock->id.load(std::memory_order_relaxed) == id; }
};

/// Of one lock: the signals in whose handlers it is taken without a limit to the wait, and those
/// that can interrupt somebody who holds it. Bit n - 1 is signal n.
///
/// Threads: one at a time.
struct SignalUse {
    std::array<uint64_t, 3> taken = {};  ///< In handlers, by Want.
    std::array<uint64_t, 2> held = {};   ///< Interruptible, by Hold.
    SignalUse* next_idle = nullptr;
    SignalUse* next_made = nullptr;  ///< In the list of all, also of idle ones.
    Lock* lock = nullptr;            ///< nullptr: idle.
    /// What everyone held besides who held the lock interruptibly; some of it.
    static constexpr size_t gates_max = limits::lockdep_signal_gates_max;
    size_t gate_count = 0;
    std::array<Gate, gates_max> gates = {};
    ThreadNumber taker = 0;  ///< The last thread of each sort, and where it was.
    ThreadNumber holder = 0;
    StackId taker_stack = 0;
    StackId holder_stack = 0;

    /// Somebody holds the lock, `id`, so that `signals` can interrupt it, and other locks besides;
    /// it may be among them. True: that is news.
    bool note_holder(Hold hold, uint64_t signals, std::span<const Gate> others, LockId id) {
        uint64_t& known = held[static_cast<size_t>(hold)];
        const bool fresh = (known & signals) != signals;
        const bool first = (held[0] | held[1]) == 0;
        known |= signals;
        if (!first) return keep_common_gates(others) || fresh;
        for (const Gate& other : others)
            if (other.lock != id && gate_count < gates_max) gates[gate_count++] = other;
        return true;
    }

    /// Takes out the gates that are not among `all`. True: there were such.
    bool keep_common_gates(std::span<const Gate> all) {
        size_t kept = 0;
        bool changed = false;
        for (size_t at = 0; at < gate_count; ++at) {
            Gate gate = gates[at];
            bool common = false;
            for (const Gate& other : all) {
                if (other.lock != gate.lock) continue;
                common = true;
                if (gate.hold == Hold::exclusive && other.hold == Hold::shared) {
                    gate.hold = Hold::shared;
                    changed = true;
                }
            }
            if (common) gates[kept++] = gate;
        }
        changed = changed || kept != gate_count;
        gate_count = kept;
        return changed;
    }

    /// Signals whose handler waits for what the interrupted code has. `written`: somebody else
    /// writes the lock, so that fair readers may wait for readers.
    uint64_t conflicts(bool written) const {
        const uint64_t any_taken = taken[0] | taken[1] | taken[2];
        const uint64_t blocked_by_readers =
            taken[static_cast<size_t>(Want::write)] |
            (written ? taken[static_cast<size_t>(Want::fair_read)] : 0);
        return (held[static_cast<size_t>(Hold::exclusive)] & any_taken) |
               (held[static_cast<size_t>(Hold::shared)] & blocked_by_readers);
    }
};

}  // namespace braidway::lockdep
