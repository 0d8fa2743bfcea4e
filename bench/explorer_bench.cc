// SPDX-License-Identifier: Apache-2.0
// How many executions the explorer runs in a second of processor time, what a complete proof takes,
// and how soon a rare deadlock is found.
#include <sys/resource.h>

#include <algorithm>

#include <cstdint>
#include <cstdio>
#include <functional>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/explore/proven_mutex.h"
#include "braidway/sync/mutex.h"
#include "braidway/sync/rw_semaphore.h"
#include "futex_2005.h"

namespace braidway::explore {
namespace {

constexpr double target_per_second = 500'000;
constexpr double proof_seconds_max = 60;
constexpr uint64_t depth_first_max = 100;
constexpr uint64_t pct_max = 1'000;
constexpr int64_t run_ns = 1'000'000'000;

/// Of this thread: another program on the same processor makes an exploration no slower.
int64_t processor_time_ns() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    const auto ns = [](const timeval& time) {
        return int64_t{time.tv_sec} * 1'000'000'000 + int64_t{time.tv_usec} * 1'000;
    };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

/// Two threads take a lock, count, and give it back.
void two_threads_with_a_mutex(World& world) {
    using Mutex = sync::BasicMutex<Policy>;
    Mutex& mutex = world.share<Mutex>("mutex");
    auto& value = world.share<Atomic<int>>("value", 0);
    for (const char* name : {"one", "two"}) {
        world.thread(name, [&mutex, &value] {
            mutex.lock();
            // Two steps: with a lock that lets both in, a count is lost.
            value.store(value.load() + 1);
            mutex.unlock();
        });
    }
    world.finally([&value] { check(value.load() == 2, "both have counted"); });
}

/// Whole explorations, again and again for a second.
double measure(const char* name, Options options) {
    uint64_t executions = 0;
    uint64_t steps = 0;
    uint64_t explorations = 0;
    const int64_t begin = processor_time_ns();
    int64_t passed = 0;
    while (passed < run_ns) {
        const Verdict verdict = explore(options, two_threads_with_a_mutex);
        if (!verdict.clean()) {
            std::printf("%s: %s\n", name, verdict.message.c_str());
            return 0;
        }
        executions += verdict.executions + verdict.blocked;
        steps += verdict.steps;
        ++explorations;
        ++options.seed;
        passed = processor_time_ns() - begin;
    }
    const double seconds = static_cast<double>(passed) / 1e9;
    const double rate = static_cast<double>(executions) / seconds;
    std::printf("%-42s %10.0f executions/s %12.0f steps/s  (%.0f executions in an exploration)\n",
                name, rate, static_cast<double>(steps) / seconds,
                static_cast<double>(executions) / static_cast<double>(explorations));
    return rate;
}

/// Two readers and a writer, each once.
template <typename PolicyOfLock>
void two_readers_and_a_writer(World& world) {
    auto& semaphore = world.share<sync::BasicRwSemaphore<PolicyOfLock>>("semaphore");
    for (const char* name : {"reader 1", "reader 2"}) {
        world.thread(name, [&semaphore] {
            semaphore.lock_shared();
            semaphore.unlock_shared();
        });
    }
    world.thread("writer", [&semaphore] {
        semaphore.lock();
        semaphore.unlock();
    });
}

/// One exploration; returns its seconds, or those of no target when it is no complete proof.
double prove(const char* name, Method method, const std::function<void(World&)>& setup) {
    const int64_t begin = processor_time_ns();
    const Verdict verdict =
        explore({.method = method, .executions_max = 100'000'000, .spin_turns = 0}, setup);
    const double seconds = static_cast<double>(processor_time_ns() - begin) / 1e9;
    std::printf("%-52s %6.2f s  %s, %lu executions, %lu cut off\n", name, seconds,
                verdict.summary().c_str(), verdict.executions, verdict.blocked);
    return verdict.clean() && verdict.coverage == Coverage::exhaustive ? seconds : 1e9;
}

void measure_proofs() {
    prove("two readers, writer: every", Method::every, two_readers_and_a_writer<Policy>);
    prove("the same, the queue's lock as one step", Method::every,
          two_readers_and_a_writer<ProvenMutexPolicy>);
    prove("two readers, writer: states", Method::states, two_readers_and_a_writer<Policy>);
    const double seconds = prove("reader, reader that retries, writer: states", Method::states,
                                 futex_2005::find_scenario("retry-readers")->setup);
    std::printf("target: complete proof of two readers (one retries) and a writer in 60 s: %s\n",
                seconds <= proof_seconds_max ? "holds" : "DOES NOT HOLD");
}

void find_deadlock_of_2005() {
    const futex_2005::Scenario* const original = futex_2005::find_scenario("original");
    Options options{.spin_turns = 0, .minimise = false};
    const Verdict every = explore(options, original->setup);
    const uint64_t depth_first = every.first_failure + every.blocked;
    options.method = Method::pct;
    options.executions_max = 2 * pct_max;
    uint64_t pct = 0;
    bool is_found = every.finding == Finding::deadlock;
    for (options.seed = 1; options.seed <= 100; ++options.seed) {
        const Verdict verdict = explore(options, original->setup);
        is_found &= verdict.finding == Finding::deadlock;
        pct = std::max(pct, verdict.executions);
    }
    std::printf("deadlock of 2005: depth first in execution %lu, pct in %lu at most (100 seeds)\n",
                depth_first, pct);
    std::printf(
        "target: found in 100 executions depth first, in 1000 by pct: %s\n",
        is_found && depth_first <= depth_first_max && pct <= pct_max ? "holds" : "DOES NOT HOLD");
}

int run() {
    Options options;
    const double every = measure("two threads, mutex: every", options);
    options.method = Method::bounded;
    const double bounded = measure("two threads, mutex: bounded", options);
    options.executions_max = 100'000;
    options.method = Method::pct;
    const double pct = measure("two threads, mutex: pct", options);
    options.method = Method::random;
    const double random = measure("two threads, mutex: random", options);
    const bool holds = every >= target_per_second && bounded >= target_per_second &&
                       pct >= target_per_second && random >= target_per_second;
    std::printf("target: at least 500000 executions/s on the two-thread lock test: %s\n",
                holds ? "holds" : "DOES NOT HOLD");
    measure_proofs();
    find_deadlock_of_2005();
    return 0;
}

}  // namespace
}  // namespace braidway::explore

int main() {
    return braidway::explore::run();
}
