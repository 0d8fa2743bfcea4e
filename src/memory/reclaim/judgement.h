// SPDX-License-Identifier: Apache-2.0
// What a call's answer means, and what to do next. Pure.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "memory/reclaim/gate.h"
#include "memory/reclaim/mechanism.h"
#include "memory/reclaim/request.h"

namespace braidway::memory {

/// What is known after one call of a mechanism.
struct Evidence {
    Kind kind = Kind::page_cache;
    uint64_t asked = 0;
    uint64_t progress = 0;  ///< Measured, of the kind.
    Answer answer{};
    Duration length{};
    NodeState state{};  ///< After the call.
    Gate gate{};
    uint64_t ballast = 0;        ///< Page cache of our own, that `state` leaves out.
    bool gated = false;          ///< The mechanism stands behind the gate.
    bool spares_mapped = false;  ///< Mapped page cache is guarded.
    uint64_t guarded = 0;        ///< Bytes of it that are locked in memory for the call.
    unsigned poor_calls = 0;     ///< In a row, before this one, that brought next to nothing.
    unsigned stats_waits = 0;    ///< How often the statistics were waited for.
    Duration busy_waited{};      ///< How long others were waited for.
};

/// What to do next.
enum class Next : uint8_t {
    again,            ///< The same mechanism, the rest.
    open_gate,        ///< When nothing can: like next_mechanism.
    wait_statistics,  ///< The kernel does not yet know what is hot.
    wait_others,      ///< Another reclaimer holds the node.
    next_mechanism,   ///< This one has no more to give; `because` says why.
};

/// What an Evidence means, and for `next_mechanism` why.
struct Judgement {
    Next next = Next::again;
    Shortfall because = Shortfall::none;
};

/// Every call of the node file that falls short has the same errno, so this looks at what moved,
/// how long it took and what is left on the node.
Judgement judge(const Evidence& evidence);

/// Of the page cache, what could be taken at once: neither dirty nor locked, nor mapped when that
/// is spared. Bytes.
uint64_t takeable_cache(const NodeState& state, bool spares_mapped, uint64_t guarded);

/// Whether `remaining` of `goal` is worth another call when the last pieces came in lumps of up to
/// `lump` bytes: stopping must not be further from the goal than going on.
bool close_enough(uint64_t remaining, uint64_t goal, uint64_t lump);

/// Within 2 % or 2 MiB of the goal, whichever is more: that much is called done.
bool is_done(uint64_t progress, uint64_t goal);

}  // namespace braidway::memory
