// SPDX-License-Identifier: Apache-2.0
#include "sync/mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace braidway::sync {
namespace {

struct Counter {
    Mutex mutex;
    CondVar changed;
    int value GUARDED_BY(mutex) = 0;
};

TEST(Mutex, LetsOneThreadInAtATime) {
    Counter counter;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&counter] {
            for (int count = 0; count < 10000; ++count) {
                MutexLock lock(counter.mutex);
                ++counter.value;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(counter.mutex);
    EXPECT_EQ(counter.value, 40000);
}

TEST(CondVar, WaitReturnsWithTheMutexHeldWhenTheStateHasCome) {
    Counter counter;
    std::thread other([&counter] {
        for (int step = 0; step < 100; ++step) {
            MutexLock lock(counter.mutex);
            while (counter.value % 2 == 0) counter.changed.wait(counter.mutex);
            ++counter.value;
            counter.changed.notify_all();
        }
    });
    for (int step = 0; step < 100; ++step) {
        MutexLock lock(counter.mutex);
        while (counter.value % 2 == 1) counter.changed.wait(counter.mutex);
        ++counter.value;
        counter.changed.notify_one();
    }
    other.join();
    MutexLock lock(counter.mutex);
    EXPECT_EQ(counter.value, 200);
}

}  // namespace
}  // namespace braidway::sync
