// SPDX-License-Identifier: Apache-2.0
// The first example of docs/explorer.md. What stands between the lines `example` is quoted there.
#pragma once

// example
#include <cstdint>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/report.h"

namespace explore = braidway::explore;
using braidway::sync::FutexScope;
using braidway::sync::LockEvent;
using braidway::sync::LockMode;

// A lock of two words: is it held, and how many sleep. `gives_up_first` is how it should be.
template <typename Policy, bool gives_up_first>
class Lock {
  public:
    void lock() {
        Policy::observe(LockEvent::wanted, LockMode::exclusive, this);
        uint32_t expected = 0;
        while (!held_.compare_exchange_strong(expected, 1)) {
            sleepers_.fetch_add(1);
            Policy::futex_wait(held_, 1, FutexScope::process_private);
            sleepers_.fetch_sub(1);
            expected = 0;
        }
        Policy::observe(LockEvent::acquired, LockMode::exclusive, this);
    }

    void unlock() {
        Policy::observe(LockEvent::released, LockMode::exclusive, this);
        if (gives_up_first) held_.store(0);
        const bool anybody = sleepers_.load() > 0;
        if (!gives_up_first) held_.store(0);
        if (anybody) Policy::futex_wake(&held_, 1, FutexScope::process_private);
    }

  private:
    typename Policy::FutexWord held_ = 0;
    typename Policy::FutexWord sleepers_ = 0;
};

// Two threads count under the lock.
template <bool gives_up_first>
void two_threads_count(explore::World& world) {
    auto& lock = world.share<Lock<explore::Policy, gives_up_first>>("lock");
    // A word of the policy: between the load and the store the other thread may come.
    auto& count = world.share<explore::Atomic<int>>("count", 0);
    for (const char* name : {"one", "two"}) {
        world.thread(name, [&] {
            lock.lock();
            count.store(count.load() + 1);
            lock.unlock();
        });
    }
    world.finally([&] { explore::check(count.load() == 2, "both have counted"); });
}
// example
