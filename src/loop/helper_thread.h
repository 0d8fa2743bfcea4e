// SPDX-License-Identifier: Apache-2.0
// The thread on which a lane's blocking calls run.
#pragma once

#include <thread>

#include "loop/loop.h"
#include "sync/mutex.h"

namespace braidway::loop {

/// Runs BlockingCalls one after the other and posts each back to its loop. Started with the first
/// call. Joined at the end of its life: that waits for a call that is being run.
///
/// Threads: the lane, but for run_calls().
class HelperThread {
  public:
    HelperThread() = default;
    ~HelperThread();

    void run(BlockingCall& call) EXCLUDES(mutex_);

  private:
    void run_calls() EXCLUDES(mutex_);
    BlockingCall* next_call() EXCLUDES(mutex_);
    static void finished(BlockingCall& call);

    std::thread thread_;
    sync::Mutex mutex_;
    sync::CondVar changed_;
    IntrusiveList<BlockingCall> calls_ GUARDED_BY(mutex_);
    bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace braidway::loop
