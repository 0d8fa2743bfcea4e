// SPDX-License-Identifier: Apache-2.0
// What a program does with its locks all day, timed: the program that bench/lockcheck.py runs as it
// is, under lockcheck and under its peers. It needs nothing of ours, so that any compiler with any
// sanitizer can build it.
//
//     lockcheck_load SECONDS [COLUMN...]     prints "COLUMN nanoseconds" for each
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <shared_mutex>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

double now_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

pthread_mutex_t mutex_a = PTHREAD_MUTEX_INITIALIZER;
pthread_mutex_t mutex_b = PTHREAD_MUTEX_INITIALIZER;
pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
pthread_spinlock_t spinlock;
volatile uint64_t guarded = 0;

void touch() {
    guarded = guarded + 1;
}

/// `turns` pairs of taking and giving back; the columns with one thread.
double mutex_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        pthread_mutex_lock(&mutex_a);
        touch();
        pthread_mutex_unlock(&mutex_a);
    }
    return now_ns() - begun;
}

double nested_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        pthread_mutex_lock(&mutex_a);
        pthread_mutex_lock(&mutex_b);
        touch();
        pthread_mutex_unlock(&mutex_b);
        pthread_mutex_unlock(&mutex_a);
    }
    return now_ns() - begun;
}

double read_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        pthread_rwlock_rdlock(&rwlock);
        touch();
        pthread_rwlock_unlock(&rwlock);
    }
    return now_ns() - begun;
}

double write_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        pthread_rwlock_wrlock(&rwlock);
        touch();
        pthread_rwlock_unlock(&rwlock);
    }
    return now_ns() - begun;
}

double spin_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        pthread_spin_lock(&spinlock);
        touch();
        pthread_spin_unlock(&spinlock);
    }
    return now_ns() - begun;
}

/// The lock lives in this frame.
double stack_pairs(uint64_t turns) {
    std::mutex local;
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        const std::lock_guard held(local);
        touch();
    }
    return now_ns() - begun;
}

__attribute__((noinline)) void lock_of_one_call() {
    std::mutex local;
    const std::lock_guard held(local);
    touch();
    asm volatile("" ::"r"(&local) : "memory");
}

/// Each turn's lock lives in the frame of a call of its own.
double call_pairs(uint64_t turns) {
    const double begun = now_ns();
    for (uint64_t turn = 0; turn < turns; ++turn) {
        lock_of_one_call();
        asm volatile("" ::: "memory");
    }
    return now_ns() - begun;
}

/// A map of 16 shards, each with a mutex, under one reader/writer lock that a change of the whole
/// takes for writing once in 4096 turns.
class ShardedMap {
  public:
    ShardedMap() {
        for (uint64_t key = 0; key < keys; ++key) shard_of(key).values[key] = key;
    }

    void add(uint64_t key, uint64_t amount) {
        const std::shared_lock whole(whole_);
        Shard& shard = shard_of(key);
        const std::lock_guard part(shard.mutex);
        shard.values[key] += amount;
    }

    void change_all() {
        const std::unique_lock whole(whole_);
        ++generation_;
    }

    static constexpr uint64_t keys = 4096;

  private:
    struct alignas(64) Shard {
        std::mutex mutex;
        std::unordered_map<uint64_t, uint64_t> values;
    };

    Shard& shard_of(uint64_t key) { return shards_[key % 16]; }

    std::shared_mutex whole_;
    std::array<Shard, 16> shards_;
    uint64_t generation_ = 0;
};

/// Two threads, `turns` operations each; the time that the slower one needed.
double map_turns(uint64_t turns) {
    static ShardedMap map;
    std::atomic<int> ready = 0;
    std::array<double, 2> took{};
    const auto work = [&](unsigned number) {
        uint64_t key = 88172645463325252 + number;
        ++ready;
        while (ready.load() < 2) std::this_thread::yield();
        const double begun = now_ns();
        for (uint64_t turn = 0; turn < turns; ++turn) {
            key ^= key << 13;  // Marsaglia's xorshift: the same keys in every run.
            key ^= key >> 7;
            key ^= key << 17;
            if (turn % 4096 == 4095)
                map.change_all();
            else
                map.add(key % ShardedMap::keys, turn);
        }
        took[number] = now_ns() - begun;
    };
    std::thread other(work, 1);
    work(0);
    other.join();
    return took[0] > took[1] ? took[0] : took[1];
}

struct Column {
    std::string_view name;
    double (*run)(uint64_t turns);
};
constexpr std::array<Column, 8> columns{{{"mutex", mutex_pairs},
                                         {"nested", nested_pairs},
                                         {"rdlock", read_pairs},
                                         {"wrlock", write_pairs},
                                         {"spin", spin_pairs},
                                         {"stack", stack_pairs},
                                         {"call", call_pairs},
                                         {"map", map_turns}}};

/// Runs more and more turns until they take `seconds`; the last run counts.
void measure(const Column& column, double seconds) {
    for (uint64_t turns = 64;; turns *= 4) {
        const double took = column.run(turns);
        if (took < seconds * 1e9) continue;
        std::printf("%.*s %.3f\n", static_cast<int>(column.name.size()), column.name.data(),
                    took / static_cast<double>(turns));
        return;
    }
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 0;
    if (seconds <= 0) {
        std::fputs("Usage: lockcheck_load SECONDS [COLUMN...]\n", stderr);
        return 2;
    }
    const std::vector<std::string_view> wanted(argv + 2, argv + argc);
    pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE);
    // glibc's locks are cheaper in a process that never had a second thread: not what is asked.
    std::atomic<int> over = 0;
    std::thread idle([&] { over.wait(0); });
    for (const Column& column : columns) {
        bool chosen = wanted.empty();
        for (const std::string_view name : wanted) chosen = chosen || name == column.name;
        if (chosen) measure(column, seconds);
    }
    over = 1;
    over.notify_all();
    idle.join();
    return 0;
}
