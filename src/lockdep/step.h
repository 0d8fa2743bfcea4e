// SPDX-License-Identifier: Apache-2.0
// One step of the lock order, and a ring of them.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// A node of the graph: a class of locks, or one lock. 0 is none.
using NodeId = uint32_t;

/// A lock that was held while a step was taken.
struct Gate {
    LockId lock = 0;
    Hold hold = Hold::exclusive;
};

/// Who took a step, for the report; the graph only keeps it.
struct Evidence {
    ThreadNumber thread = 0;
    LockId held_lock = 0;
    LockId wanted_lock = 0;
    StackId held_stack = 0;
    StackId wanted_stack = 0;
};

/// "Who held `from` as `hold` wanted `to` as `want`, and held `gates` besides or among them."
struct Step {
    NodeId from = 0;
    NodeId to = 0;
    Hold hold = Hold::exclusive;
    Want want = Want::write;
    Evidence evidence;
    /// Nobody took it: a signal handler that wants `to` may interrupt who holds `from`.
    bool by_handler = false;
};

/// Gates of one step, for the report: 0 behind the last one.
using GatesTold = std::array<LockId, also_held_max + 1>;

/// Steps of which each wants what the next one holds, and the last what the first holds. Rings
/// longer than steps_max are searched for and found, but only their first steps are kept.
struct Ring {
    static constexpr size_t steps_max = limits::lockdep_ring_steps_max;

    uint32_t length = 0;
    std::array<Step, steps_max> steps;
    /// What the taker of each kept step held at least, with the step's own lock; the oldest ones.
    std::array<GatesTold, steps_max> held = {};

    std::span<const Step> kept() const {
        return {steps.data(), length < steps_max ? length : steps_max};
    }
};

}  // namespace braidway::lockdep
