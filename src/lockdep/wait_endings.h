// SPDX-License-Identifier: Apache-2.0
// Which waits at conditions were ended by somebody who held a lock besides.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"
#include "lockdep/mixing.h"
#include "lockdep/taken_locks.h"
#include "lockdep/words.h"

namespace braidway::lockdep {

/// Somebody notified a condition and held locks.
struct Notification {
    static constexpr size_t holds_max = limits::lockdep_wait_holds_max;

    LockId condition = 0;
    uint32_t ticket = 0;  ///< Lock::notified afterwards.
    ThreadNumber thread = 0;
    StackId stack = 0;
    size_t count = 0;
    std::array<Taken, holds_max> holds = {};
};

/// The last notification of some conditions by one who held locks.
///
/// Shapes:  one entry for several conditions, of which the last one has it.
/// Threads: one at a time.
class Notifications {
  public:
    Notification& of(LockId condition) { return entries_[mixed(condition) % entries_.size()]; }

  private:
    std::array<Notification, 64> entries_;
};

/// A wait that ended with this notification, and with no other: enough for whoever waits at this
/// place of the program. It counts once the thread has not gone back to wait.
struct WaitEnding {
    uintptr_t place = 0;  ///< 0: none.
    uintptr_t site = 0;   ///< Of the call that waited, by which its mutex is held from then on.
    Lock* condition = nullptr;
    Notification by = {};
};

/// The last such ending for some places and conditions.
///
/// Shapes:  one entry for several, of which the last one has it: the others are forgotten.
/// Threads: one at a time.
class WaitEndings {
  public:
    WaitEnding& at(LockId condition, uintptr_t place) {
        return entries_[mixed(mixed(condition) + place) % entries_.size()];
    }
    const WaitEnding* find(LockId condition, uintptr_t place) {
        const WaitEnding& entry = at(condition, place);
        return entry.place == place && entry.by.condition == condition ? &entry : nullptr;
    }

  private:
    std::array<WaitEnding, 64> entries_;
};

}  // namespace braidway::lockdep
