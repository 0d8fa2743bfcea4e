// SPDX-License-Identifier: Apache-2.0
// Back-pressure: a volume that cannot take more asks its exports to stop reading clients.
#pragma once

#include <cstdint>

#include "base/intrusive_list.h"

namespace braidway::block {

/// Someone who waits until a gate opens. `opened` runs on the lane, once per wait.
struct GateWaiter : ListNode<> {
    using Opened = void (*)(GateWaiter& waiter);
    Opened opened = nullptr;
    void* owner = nullptr;
    uint64_t after_opening = 0;  ///< The gate's: how often it had opened when this one came.
};

/// Open: take requests from clients. Closed: leave them in the socket, wait here.
///
/// Threads: one lane.
class Gate {
  public:
    bool open() const { return open_; }
    void close() { open_ = false; }
    /// Opens and tells every waiter, first come first served.
    void reopen();
    /// `waiter` hears of the next opening; it must leave() before it goes.
    void wait(GateWaiter& waiter) {
        if (waiter.linked()) return;
        waiter.after_opening = openings_;
        waiters_.push_back(waiter);
    }
    void leave(GateWaiter& waiter) {
        if (waiter.linked()) waiters_.remove(waiter);
    }

  private:
    bool open_ = true;
    uint64_t openings_ = 0;
    IntrusiveList<GateWaiter> waiters_;
};

}  // namespace braidway::block
