// SPDX-License-Identifier: Apache-2.0
#include "loop/helper_thread.h"

#include "loop/named_thread.h"

namespace braidway::loop {

void HelperThread::run(BlockingCall& call) {
    if (!thread_.joinable()) {
        auto started = start_thread("bw-helper", [this] { run_calls(); });
        if (!started) {
            // Blocking the lane is better than never answering.
            call.work(call);
            finished(call);
            return;
        }
        thread_ = std::move(*started);
    }
    {
        sync::MutexLock lock(mutex_);
        calls_.push_back(call);
    }
    changed_.notify_one();
}

HelperThread::~HelperThread() {
    if (!thread_.joinable()) return;
    {
        sync::MutexLock lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
}

void HelperThread::run_calls() {
    while (BlockingCall* call = next_call()) {
        call->work(*call);
        finished(*call);
    }
}

/// Waits for a call; null when the thread shall end.
BlockingCall* HelperThread::next_call() {
    sync::MutexLock lock(mutex_);
    while (calls_.empty() && !stopping_) changed_.wait(mutex_);
    return calls_.pop_front();
}

void HelperThread::finished(BlockingCall& call) {
    call.run = [](Message& message) {
        auto& self = static_cast<BlockingCall&>(message);
        --self.loop->in_flight_;
        self.done(self);
    };
    call.loop->post(call);
}

}  // namespace braidway::loop
