// SPDX-License-Identifier: Apache-2.0
#include "loop/blocking_threads.h"

#include "base/check.h"
#include "loop/named_thread.h"

namespace braidway::loop {

BlockingThreads::~BlockingThreads() {
    {
        sync::MutexLock lock(mutex_);
        CHECK(calls_.empty(), "threads go after their calls");
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

bool BlockingThreads::run(BlockingCall& call) {
    if (!has_thread_for_one_more()) return false;
    call.loop = &loop_;
    call.run = [](Message& message) {
        auto& ended = static_cast<BlockingCall&>(message);
        ended.done(ended);
    };
    {
        sync::MutexLock lock(mutex_);
        calls_.push_back(call);
    }
    changed_.notify_one();
    return true;
}

bool BlockingThreads::withdraw(BlockingCall& call) {
    sync::MutexLock lock(mutex_);
    for (BlockingCall* one = calls_.front(); one != nullptr; one = calls_.after(*one)) {
        if (one != &call) continue;
        calls_.remove(call);
        return true;
    }
    return false;
}

/// Starts a thread unless one is without work, or there are enough.
bool BlockingThreads::has_thread_for_one_more() {
    {
        sync::MutexLock lock(mutex_);
        if (calls_.size() < idle_) return true;
    }
    if (threads_.size() < threads_max_)
        if (auto started = start_thread(name_, [this] { run_calls(); }))
            threads_.push_back(std::move(*started));
    return !threads_.empty();
}

void BlockingThreads::run_calls() {
    while (BlockingCall* call = next_call()) {
        call->work(*call);
        loop_.post(*call);
    }
}

/// Waits for a call; null when the thread shall end.
BlockingCall* BlockingThreads::next_call() {
    sync::MutexLock lock(mutex_);
    while (calls_.empty() && !stopping_) {
        ++idle_;
        changed_.wait(mutex_);
        --idle_;
    }
    return calls_.pop_front();
}

}  // namespace braidway::loop
