// SPDX-License-Identifier: Apache-2.0
// What the validator reports.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

struct Lock;

/// One step: a thread that holds one lock wants another. Where a finding is about one lock only,
/// `wants` is nullptr.
struct Chain {
    ThreadNumber thread = 0;
    const Lock* holds = nullptr;  ///< May be nullptr: something is wanted and nothing held.
    Hold holds_as = Hold::exclusive;
    StackId holds_stack = 0;
    const Lock* wants = nullptr;
    Want wants_as = Want::write;
    StackId wants_stack = 0;
    /// Locks that the thread held besides, as far as they matter and there is room; nullptr behind
    /// the last one. Of a step that was taken in several ways, those that are common to them.
    std::array<const Lock*, also_held_max> also_held = {};
};

/// A finding or a note. Locks in it are described as they were: a Lock that has been forgotten
/// since keeps its description until the report is done.
struct Finding {
    static constexpr size_t chains_max = limits::lockdep_ring_steps_max;

    FindingKind kind = FindingKind::order;
    bool note = false;  ///< Leaves the program's exit status alone.
    /// What is special about it, a literal for the report, or nullptr: "no writer was seen".
    const char* remark = nullptr;
    uint32_t chain_count = 0;
    std::array<Chain, chains_max> chains;
    /// A ring longer than chains_max: how many steps it has.
    uint32_t ring_length = 0;

    std::span<const Chain> steps() const { return {chains.data(), chain_count}; }
};

}  // namespace braidway::lockdep
