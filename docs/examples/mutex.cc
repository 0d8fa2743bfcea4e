// SPDX-License-Identifier: Apache-2.0
// A queue that one thread fills and another empties.
#include <braidway/sync/mutex.h>

#include <cstdio>
#include <deque>
#include <thread>

using namespace braidway;

class Queue {
  public:
    void push(int value) {
        {
            const sync::MutexLock lock(mutex_);
            values_.push_back(value);
        }
        filled_.notify_one();
    }

    int pop() {
        const sync::MutexLock lock(mutex_);
        while (values_.empty()) filled_.wait(mutex_);
        const int value = values_.front();
        values_.pop_front();
        return value;
    }

  private:
    sync::Mutex mutex_;
    sync::CondVar filled_;
    std::deque<int> values_ BRAIDWAY_GUARDED_BY(mutex_);
};

int main() {
    Queue queue;
    std::jthread producer([&] {
        for (int value = 1; value <= 100; ++value) queue.push(value);
    });
    int sum = 0;
    for (int count = 0; count < 100; ++count) sum += queue.pop();
    std::printf("the sum is %d\n", sum);
    return sum == 5050 ? 0 : 1;
}
