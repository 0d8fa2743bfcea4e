// SPDX-License-Identifier: Apache-2.0
// A thread with an event loop: where a map, its paths and its connections live.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "loop/loop.h"

namespace braidway::loop {

/// One lane. What lives on it is made and taken down there (post, call), or before start() and
/// after join().
///
/// Threads: create, start, join, destroy: one. post, call, stop: any.
class Lane {
  public:
    /// Makes the loop; the thread is not started yet. Errors: as Loop::create().
    static Result<std::unique_ptr<Lane>> create(Backend backend = Backend::automatic);
    /// Stops and joins.
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    Loop& loop() { return *loop_; }

    /// Starts the thread. Errors: the system has no room for another thread.
    Result<void> start();
    void post(Message& message) { loop_->post(message); }
    /// Runs `function` on the lane, once. Allocates: for control, not for I/O.
    void call(std::function<void()> function);
    /// Asks the loop to return; what was posted and called before still runs.
    void stop() { loop_->stop(); }
    /// Waits for the end of the thread; returns at once when it does not run.
    void join();

  private:
    explicit Lane(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}

    std::unique_ptr<Loop> loop_;
    std::thread thread_;
};

}  // namespace braidway::loop
