// SPDX-License-Identifier: Apache-2.0
// The wish to stop, given by another thread or a signal handler.
#pragma once

#include <atomic>

#include "base/time.h"

namespace braidway::memory {

/// Cancelled once, for good.
/// Threads: any. cancel() may be called in a signal handler.
class Cancel {
  public:
    Cancel();
    ~Cancel();
    Cancel(const Cancel&) = delete;
    Cancel& operator=(const Cancel&) = delete;

    void cancel() noexcept;
    bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }
    /// Waits that long; false at once when cancelled.
    bool pause(Duration length) const;
    /// Becomes readable when cancelled, for poll().
    int descriptor() const { return event_; }

  private:
    std::atomic<bool> cancelled_ = false;
    int event_ = -1;  ///< An eventfd; stays readable.
};

}  // namespace braidway::memory
