// SPDX-License-Identifier: Apache-2.0
#include "loop/worker_pool.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "loop/named_thread.h"

namespace braidway::loop {

namespace {

ssize_t call_kernel(const Operation& operation) {
    const int fd = operation.file.fd;
    const auto offset = static_cast<off_t>(operation.offset);
    const auto count = static_cast<int>(operation.iov_count);
    switch (operation.kind) {
        case Operation::Kind::read:
            return preadv(fd, operation.iov, count, offset);
        case Operation::Kind::write:
            return pwritev2(fd, operation.iov, count, offset, operation.flags);
        case Operation::Kind::sync_data:
            return fdatasync(fd);
        case Operation::Kind::allocate:
            return fallocate(fd, operation.flags, offset, static_cast<off_t>(operation.length));
        case Operation::Kind::idle:
        case Operation::Kind::ready:
        case Operation::Kind::held:
        case Operation::Kind::receive:
        case Operation::Kind::send:
        case Operation::Kind::accept:
        case Operation::Kind::poll:
            break;
    }
    CHECK(false, "workers do file I/O only");
}

void run(Operation& operation) {
    ssize_t result = 0;
    do {
        result = call_kernel(operation);
    } while (result < 0 && errno == EINTR);
    operation.result = result < 0 ? -errno : static_cast<int32_t>(result);
}

}  // namespace

void WorkerPool::stop() {
    {
        sync::MutexLock lock(mutex_);
        CHECK(queue_.empty(), "workers go after their work is done");
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

unsigned WorkerPool::submit(IntrusiveList<Operation>& batch) {
    if (batch.empty()) return 0;
    size_t wanted = 0;
    bool wakes = false;
    {
        sync::MutexLock lock(mutex_);
        while (Operation* operation = batch.pop_front()) queue_.push_back(*operation);
        wanted = queue_.size() > idle_ ? queue_.size() - idle_ : 0;
        wakes = idle_ > 0;
    }
    if (wakes) changed_.notify_one();
    for (; wanted > 0 && threads_.size() < limits::io_workers_max; --wanted) start_worker();
    if (threads_.empty()) {
        // No thread can be started: blocking the lane is better than never answering.
        sync::MutexLock lock(mutex_);
        while (Operation* operation = queue_.pop_front()) {
            run(*operation);
            finished_(owner_, *operation);
        }
    }
    return wakes ? 1 : 0;
}

bool WorkerPool::withdraw(Operation& operation) {
    sync::MutexLock lock(mutex_);
    for (Operation* one = queue_.front(); one != nullptr; one = queue_.after(*one)) {
        if (one != &operation) continue;
        queue_.remove(operation);
        return true;
    }
    return false;
}

void WorkerPool::start_worker() {
    threads_.reserve(limits::io_workers_max);
    if (auto started = start_thread("bw-worker", [this] { work(); })) {
        threads_.push_back(std::move(*started));
    }
}

void WorkerPool::work() {
    while (Operation* operation = next()) {
        run(*operation);
        finished_(owner_, *operation);
    }
}

/// Waits for an operation; null when the worker shall end.
Operation* WorkerPool::next() {
    sync::MutexLock lock(mutex_);
    while (queue_.empty() && !stopping_) {
        ++idle_;
        changed_.wait(mutex_);
        --idle_;
    }
    Operation* operation = queue_.pop_front();
    if (!queue_.empty() && idle_ > 0) changed_.notify_one();
    return operation;
}

}  // namespace braidway::loop
