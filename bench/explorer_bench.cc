// SPDX-License-Identifier: Apache-2.0
// How many executions the explorer runs in a second of processor time.
#include <sys/resource.h>

#include <cstdint>
#include <cstdio>

#include "braidway/explore/explorer.h"
#include "braidway/explore/policy.h"
#include "braidway/sync/mutex.h"

namespace braidway::explore {
namespace {

constexpr double target_per_second = 500'000;
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
    int& value = world.share<int>("value", 0);
    for (const char* name : {"one", "two"}) {
        world.thread(name, [&mutex, &value] {
            mutex.lock();
            ++value;
            mutex.unlock();
        });
    }
    world.finally([&value] { check(value == 2, "both have counted"); });
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
    return 0;
}

}  // namespace
}  // namespace braidway::explore

int main() {
    return braidway::explore::run();
}
