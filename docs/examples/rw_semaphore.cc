// SPDX-License-Identifier: Apache-2.0
// A table that many threads read and a few change. A writer gets its turn however many read.
#include <braidway/sync/rw_semaphore.h>

#include <cstdio>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

using namespace braidway;

class Table {
  public:
    void set(const std::string& key, int value) {
        const std::unique_lock lock(semaphore_);
        values_[key] = value;
    }

    int get(const std::string& key) const {
        const std::shared_lock lock(semaphore_);
        const auto found = values_.find(key);
        return found == values_.end() ? 0 : found->second;
    }

  private:
    mutable sync::RwSemaphore semaphore_;
    std::map<std::string, int> values_;
};

int main() {
    Table table;
    {
        std::vector<std::jthread> readers;
        for (int reader = 0; reader < 3; ++reader) {
            // Without an end but the writer's last turn: here a lock that prefers readers may hang.
            readers.emplace_back([&] {
                while (table.get("turns") < 1000) {}
            });
        }
        for (int turn = 1; turn <= 1000; ++turn) table.set("turns", turn);
    }
    std::printf("the writer had %d turns\n", table.get("turns"));
    return 0;
}
