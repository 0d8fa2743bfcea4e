// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/write_queue.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/limits.h"

namespace braidway::apps {

WriteQueue::WriteQueue()
    : worker_([this] {
          work();
          ended_.set_value();
      }) {
}

WriteQueue::~WriteQueue() {
    stop(Duration(0));
    worker_.join();
}

bool WriteQueue::push(std::shared_ptr<WriteJob> job) {
    const sync::MutexLock hold(mutex_);
    if (stopped_ || waiting_.size() >= limits::control_writers_max) return false;
    waiting_.push_back(std::move(job));
    changed_.notify_one();
    return true;
}

void WriteQueue::sweep() {
    std::vector<std::shared_ptr<WriteJob>> gone;
    {
        const sync::MutexLock hold(mutex_);
        const auto stays = [](const auto& job) { return !job->cancel.cancelled(); };
        const auto rest = std::ranges::stable_partition(waiting_, stays);
        gone.assign(rest.begin(), rest.end());
        waiting_.erase(rest.begin(), rest.end());
    }
    for (const auto& job : gone) job->answer(EINTR);
}

bool WriteQueue::stop(Duration patience) {
    {
        const sync::MutexLock hold(mutex_);
        stopped_ = true;
        for (const auto& job : waiting_) job->cancel.cancel();
        if (at_work_) at_work_->cancel.cancel();
        changed_.notify_one();
    }
    sweep();
    return end_.wait_for(patience) == std::future_status::ready;
}

void WriteQueue::work() {
    for (;;) {
        std::shared_ptr<WriteJob> job;
        {
            const sync::MutexLock hold(mutex_);
            while (waiting_.empty() && !stopped_) changed_.wait(mutex_);
            if (stopped_) return;
            job = std::move(waiting_.front());
            waiting_.pop_front();
            at_work_ = job;
        }
        job->answer(job->cancel.cancelled() ? EINTR : job->work(job->cancel));
        const sync::MutexLock hold(mutex_);
        at_work_.reset();
    }
}

}  // namespace braidway::apps
