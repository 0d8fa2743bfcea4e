// SPDX-License-Identifier: Apache-2.0
// Writers in the order in which they came, one at work and the others waiting.
#pragma once

#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "base/time.h"
#include "memory/reclaim/cancel.h"
#include "sync/mutex.h"

namespace braidway::apps {

/// One write and how its writer is answered.
struct WriteJob {
    /// Returns 0 or an errno value; EINTR when it was cancelled.
    std::function<int(const memory::Cancel&)> work;
    /// Called exactly once, on the queue's thread, or in sweep() or in stop().
    std::function<void(int error)> answer;
    /// Given by whoever no longer wants it; see sweep().
    memory::Cancel cancel;
};

/// Works on one job after the other on a thread of its own, so that the thread that takes requests
/// from the kernel is free to hear of interrupts and reads.
///
/// Threads: any.
class WriteQueue {
  public:
    WriteQueue();
    /// Waits for the job at work, however long that takes.
    ~WriteQueue();
    WriteQueue(const WriteQueue&) = delete;
    WriteQueue& operator=(const WriteQueue&) = delete;

    /// False when limits::control_writers_max are waiting, or after stop(): then it is not
    /// answered.
    bool push(std::shared_ptr<WriteJob> job);
    /// Answers the jobs that wait and were cancelled with EINTR. One that is at work ends by
    /// itself.
    void sweep();
    /// Cancels all jobs, answers those that wait with EINTR, and waits at most that long for the
    /// one at work. False when it is still at work then: a call of the kernel that hears nothing.
    bool stop(Duration patience);

  private:
    void work();

    sync::Mutex mutex_;
    sync::CondVar changed_;
    std::deque<std::shared_ptr<WriteJob>> waiting_ GUARDED_BY(mutex_);
    std::shared_ptr<WriteJob> at_work_ GUARDED_BY(mutex_);
    bool stopped_ GUARDED_BY(mutex_) = false;
    std::promise<void> ended_;
    std::future<void> end_ = ended_.get_future();
    std::thread worker_;
};

}  // namespace braidway::apps
