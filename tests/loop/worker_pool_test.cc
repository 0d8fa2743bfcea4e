// SPDX-License-Identifier: Apache-2.0
#include "loop/worker_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <set>

#include "sync/mailbox.h"

namespace braidway::loop {
namespace {

/// Takes what the workers have finished, and counts them. A worker stays in finished() until the
/// gate is open.
struct Sink {
    sync::Mailbox<Operation> mailbox;
    std::atomic<bool> gate = true;
    std::atomic<int> count = 0;
    sync::Mutex mutex;
    std::set<std::thread::id> threads GUARDED_BY(mutex);

    static void finished(void* owner, Operation& operation) {
        auto& self = *static_cast<Sink*>(owner);
        {
            sync::MutexLock lock(self.mutex);
            self.threads.insert(std::this_thread::get_id());
        }
        self.gate.wait(false);
        self.mailbox.push(operation);
        ++self.count;
        self.count.notify_all();
    }
    void wait_for(int wanted) {
        for (int now = count; now < wanted; now = count) count.wait(now);
    }
    size_t threads_seen() {
        sync::MutexLock lock(mutex);
        return threads.size();
    }
};

Operation& sync_of(std::deque<Operation>& operations, int fd) {
    Operation& operation = operations.emplace_back();
    operation.kind = Operation::Kind::sync_data;
    operation.file = {fd, -1};
    return operation;
}

TEST(WorkerPool, RunsEveryOperationOfABatchOnAtMostSoManyThreads) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    Sink sink;
    WorkerPool pool(Sink::finished, &sink);
    std::deque<Operation> operations;
    IntrusiveList<Operation> batch;
    for (int count = 0; count < 500; ++count) batch.push_back(sync_of(operations, fd));
    pool.submit(batch);
    EXPECT_TRUE(batch.empty());
    sink.wait_for(500);
    for (const Operation& operation : operations) EXPECT_EQ(operation.result, -EINVAL);
    EXPECT_LE(sink.threads_seen(), limits::io_workers_max);
    EXPECT_EQ(pool.submit(batch), 0u) << "nothing to do costs nothing";
    pool.stop();
    close(fd);
}

TEST(WorkerPool, GivesBackWhatHasNotBegun) {
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    Sink sink;
    sink.gate = false;
    WorkerPool pool(Sink::finished, &sink);
    std::deque<Operation> operations;
    IntrusiveList<Operation> batch;
    constexpr int more = limits::io_workers_max + 20;
    for (int count = 0; count < more; ++count) batch.push_back(sync_of(operations, fd));
    pool.submit(batch);
    // Each worker has at most one, and stays with it: 20 at least have not begun.
    int withdrawn = 0;
    for (Operation& operation : operations) {
        if (!pool.withdraw(operation)) continue;
        EXPECT_FALSE(pool.withdraw(operation)) << "only once";
        ++withdrawn;
    }
    EXPECT_GE(withdrawn, 20);
    sink.gate = true;
    sink.gate.notify_all();
    sink.wait_for(more - withdrawn);
    pool.stop();
    EXPECT_EQ(sink.count, more - withdrawn);
    close(fd);
}

}  // namespace
}  // namespace braidway::loop
