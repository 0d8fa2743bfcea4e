// SPDX-License-Identifier: Apache-2.0
// One-shot timers of a lane, owned by whoever waits.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"

namespace braidway::loop {

/// A one-shot timer. The owner embeds it and disarms it before it goes. `fire` runs on the lane,
/// from the loop; it may arm the timer again.
struct Timer {
    using Fire = void (*)(Timer& timer, Instant now);

    Fire fire = nullptr;
    void* owner = nullptr;  ///< For `fire`.
    Instant deadline;
    int32_t place = -1;  ///< In the heap; -1 = not armed.

    bool armed() const { return place >= 0; }
};

/// The armed timers of one lane: a binary heap by deadline. Arming and disarming are
/// O(log armed); no timer armed means no wake-up.
///
/// Threads: one.
class TimerHeap {
  public:
    /// Arms `timer`, or moves it when it is armed.
    void arm(Timer& timer, Instant deadline);
    /// Does nothing when `timer` is not armed.
    void disarm(Timer& timer);
    /// When the next timer is due; `never` when none is armed.
    Instant next_deadline() const;
    /// Fires every timer that was due at `now` when the call began, earliest first. One that is
    /// armed meanwhile is not due before `now` + 1 ns, so this ends. Returns how many fired.
    unsigned fire_due(Instant now);

  private:
    void place_at(size_t place, Timer* timer);
    void sift_up(size_t place);
    void sift_down(size_t place);

    std::vector<Timer*> heap_;
    Instant earliest_{INT64_MIN};  ///< No deadline is earlier; matters while timers fire.
};

}  // namespace braidway::loop
