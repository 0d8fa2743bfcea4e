// SPDX-License-Identifier: Apache-2.0
// Threads that do file I/O for a loop whose kernel interface cannot.
#pragma once

#include <thread>
#include <vector>

#include "base/limits.h"
#include "loop/operation.h"
#include "sync/mutex.h"

namespace braidway::loop {

/// Up to limits::io_workers_max threads that run read, write, sync_data and allocate operations by
/// ordinary system calls. They are started on demand, as long as there is more to do than threads
/// without work, and stay. The lane wakes one of them at most per batch; each that finds more to do
/// wakes the next.
///
/// Threads: one lane, but for `finished`, which is called on the workers' threads.
class WorkerPool {
  public:
    /// Takes an operation whose `result` is set.
    using Finished = void (*)(void* owner, Operation& operation);

    WorkerPool(Finished finished, void* owner) : finished_(finished), owner_(owner) {}
    ~WorkerPool() { stop(); }
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    /// Takes over all of `batch`. Returns how many system calls that took.
    unsigned submit(IntrusiveList<Operation>& batch) EXCLUDES(mutex_);
    /// Ends the workers, and waits until none will call `finished` any more. Nothing may be left to
    /// do.
    void stop() EXCLUDES(mutex_);
    /// Takes `operation` back if no worker has begun it.
    bool withdraw(Operation& operation) EXCLUDES(mutex_);

  private:
    void start_worker();
    void work() EXCLUDES(mutex_);
    Operation* next() EXCLUDES(mutex_);

    const Finished finished_;
    void* const owner_;
    std::vector<std::thread> threads_;
    sync::Mutex mutex_;
    sync::CondVar changed_;
    IntrusiveList<Operation> queue_ GUARDED_BY(mutex_);
    size_t idle_ GUARDED_BY(mutex_) = 0;
    bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace braidway::loop
