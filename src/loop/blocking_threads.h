// SPDX-License-Identifier: Apache-2.0
// Threads for calls that may sleep long, and must not make others wait.
#pragma once

#include <thread>
#include <vector>

#include "loop/loop.h"
#include "sync/mutex.h"

namespace braidway::loop {

/// A few threads that run BlockingCalls of one owner beside each other, where a lane's one helper
/// thread could stand still behind a call that does not come back. Started with the calls, as many
/// as there is work for; they stay.
///
/// Calls here do not count in Loop::in_flight(): the owner knows what it has under way, and goes
/// before the loop.
/// Threads: the lane, but for the calls' `work`.
class BlockingThreads {
  public:
    /// `name` has at most 15 bytes, and is shown by top and gdb.
    BlockingThreads(Loop& loop, const char* name, size_t threads_max)
        : loop_(loop), name_(name), threads_max_(threads_max) {}
    /// No call may be under way.
    ~BlockingThreads();
    BlockingThreads(const BlockingThreads&) = delete;
    BlockingThreads& operator=(const BlockingThreads&) = delete;

    /// Runs `call.work` on one of the threads, then `call.done` on the lane. False, and nothing
    /// happens, when there is no thread and none can be started.
    bool run(BlockingCall& call) EXCLUDES(mutex_);
    /// Takes `call` back if no thread has begun it; its `done` is not called then.
    bool withdraw(BlockingCall& call) EXCLUDES(mutex_);

  private:
    bool has_thread_for_one_more() EXCLUDES(mutex_);
    void run_calls() EXCLUDES(mutex_);
    BlockingCall* next_call() EXCLUDES(mutex_);

    Loop& loop_;
    const char* const name_;
    const size_t threads_max_;
    std::vector<std::thread> threads_;
    sync::Mutex mutex_;
    sync::CondVar changed_;
    IntrusiveList<BlockingCall> calls_ GUARDED_BY(mutex_);
    size_t idle_ GUARDED_BY(mutex_) = 0;
    bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace braidway::loop
