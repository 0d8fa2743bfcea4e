// SPDX-License-Identifier: Apache-2.0
// When a loop looks for what is about to come, before it sleeps.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/limits.h"

namespace braidway::loop {

/// Whether looking is worth it, learnt from how it went: each time in vain doubles how often it is
/// left out afterwards, each success halves that. So a peer that is slow, or that waits for our
/// CPU, costs next to nothing.
///
/// Threads: one.
/// Source:  the idea of QEMU's AioContext polling (poll-max-ns), with a back-off instead of a
///          length that grows and shrinks.
class Lookout {
  public:
    /// To be asked once for each time it would look.
    bool worth_it() {
        if (left_out_ == 0) return true;
        --left_out_;
        return false;
    }
    /// How it went.
    void looked(bool found) {
        pause_ =
            found ? pause_ / 2
                  : std::clamp(2 * pause_, limits::looks_left_out_min, limits::looks_left_out_max);
        if (!found) left_out_ = pause_;
    }

  private:
    uint32_t pause_ = 0;     ///< How often it was left out after the last time in vain, or less.
    uint32_t left_out_ = 0;  ///< So many times still.
};

}  // namespace braidway::loop
