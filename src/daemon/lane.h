// SPDX-License-Identifier: Apache-2.0
// One lane of the daemon: a thread with an event loop, its buffer pool, and a way to have
// something done there and wait for it.
#pragma once

#include <functional>
#include <memory>

#include "base/error.h"
#include "base/limits.h"
#include "loop/lane.h"
#include "memory/buffer_pool.h"

namespace braidway::daemon {

/// A lane of the daemon. Everything that lives on it is made, used and destroyed through call().
///
/// Threads: made and destroyed by one thread; call() from any thread but the lane's own.
class Lane {
  public:
    /// Errors: no descriptors, no address space, the asked-for backend refused by the kernel.
    static Result<std::unique_ptr<Lane>> start(loop::Backend backend, size_t pool_bytes);
    /// Stops the loop and joins the thread. Whatever lived on it is gone by then.
    ~Lane() = default;
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    /// Runs `work` on the lane and waits for it, at most `deadline`. False: the lane has not come
    /// to it in time; `work` still runs later, so it owns what it uses.
    bool call(std::function<void()> work, Duration deadline);

    loop::Loop& loop() { return lane_->loop(); }
    memory::BufferPool& pool() { return *pool_; }

  private:
    Lane(std::unique_ptr<loop::Lane> lane, std::unique_ptr<memory::BufferPool> pool);

    std::unique_ptr<memory::BufferPool> pool_;
    std::unique_ptr<loop::Lane> lane_;  ///< Goes first: it joins the thread that uses the pool.
};

}  // namespace braidway::daemon
