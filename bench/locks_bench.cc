// SPDX-License-Identifier: Apache-2.0
// Our locks beside their peers, in turns: `./dev bench locks`. docs/benchmarking.md says what the
// columns mean.
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/random.h"
#include "locks_peers.h"

namespace braidway::bench {
namespace {

/// What the command line asks for.
struct Settings {
    unsigned rounds = 9;
    double seconds_each = 0.08;  ///< Of one timed column of one lock in one round.
    double seconds_flood = 0.3;  ///< Of one writer under a flood of readers.
    unsigned flood_every = 2;    ///< Rounds from one flood to the next.
    bool quick = false;          ///< Too short to mean anything.
    std::string json;
};

/// What was measured of one lock, one value for each round.
using Samples = std::map<std::string, std::vector<double>, std::less<>>;

struct Lock {
    std::string name;
    size_t bytes = 0;
    Samples samples;
    std::function<void(Lock&, const Settings&)> flood;
};

constexpr std::array<std::string_view, 5> timed_columns{"read", "write", "2 readers", "90/10",
                                                        "2 writers"};

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The processors that this process may use, read before any thread is bound to one.
const cpu_set_t& usable_processors() {
    static const cpu_set_t usable = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CHECK(sched_getaffinity(0, sizeof(set), &set) == 0, "a process may ask where it runs");
        return set;
    }();
    return usable;
}

/// Binds the calling thread to the processor number `which` of those that there are.
void run_on(int which) {
    which %= CPU_COUNT(&usable_processors());
    for (int processor = 0; processor < CPU_SETSIZE; ++processor) {
        if (!CPU_ISSET(processor, &usable_processors()) || which-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(processor, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

/// A lock and what it guards, on cache lines of their own so that no lock's size helps it.
template <typename Peer>
struct Guarded {
    alignas(64) Peer peer;
    alignas(64) uint64_t value = 0;
};

/// Which operations write, decided beforehand so that choosing costs nothing.
constexpr size_t pattern_size = 1024;
using Pattern = std::array<bool, pattern_size>;

Pattern pattern_of(unsigned writes_percent, uint64_t seed) {
    Pattern writes{};
    Random random(seed);
    for (bool& write : writes) write = random.below(100) < writes_percent;
    return writes;
}

/// Every thread of `state` takes the lock again and again; `writes_percent` of its turns write.
template <typename Peer>
void take_turns(benchmark::State& state, unsigned writes_percent) {
    static Guarded<Peer> guarded;
    run_on(state.thread_index());
    const Pattern writes =
        pattern_of(writes_percent, 1 + static_cast<uint64_t>(state.thread_index()));
    uint64_t seen = 0;
    if (writes_percent == 0) {
        for (auto _ : state) guarded.peer.reading([&] { seen += guarded.value; });
    } else if (writes_percent == 100) {
        for (auto _ : state) guarded.peer.writing([&] { ++guarded.value; });
    } else {
        size_t at = 0;
        for (auto _ : state) {
            if (writes[at++ % pattern_size])
                guarded.peer.writing([&] { ++guarded.value; });
            else
                guarded.peer.reading([&] { seen += guarded.value; });
        }
    }
    benchmark::DoNotOptimize(seen);
}

/// How often a writer gets its turn while two readers hold the lock nearly all the time, 20 us
/// each, out of step. It rests between its turns, so that no lock wins by keeping the readers out.
/// The wait that was going on at the end counts for the worst.
template <typename Peer>
void flood(Lock& lock, const Settings& settings) {
    constexpr int64_t hold_ns = 20'000;
    constexpr std::chrono::microseconds rest(100);
    const auto guarded = std::make_unique<Guarded<Peer>>();
    std::atomic<bool> stop = false;
    const auto reader = [&](int number) {
        run_on(number);
        const auto wait_until = [](int64_t ns) {
            while (monotonic_now().ns < ns) {}
        };
        wait_until(monotonic_now().ns + number * hold_ns / 2);
        while (!stop.load(std::memory_order_relaxed))
            guarded->peer.reading([&] { wait_until(monotonic_now().ns + hold_ns); });
    };
    uint64_t turns = 0;
    int64_t worst_ns = 0;
    const auto writer = [&] {
        sched_setaffinity(0, sizeof(cpu_set_t), &usable_processors());
        while (!stop.load(std::memory_order_relaxed)) {
            const int64_t before = monotonic_now().ns;
            int64_t waited = 0;
            guarded->peer.writing([&] { waited = monotonic_now().ns - before; });
            if (!stop.load(std::memory_order_relaxed)) ++turns;
            worst_ns = std::max(worst_ns, waited);
            std::this_thread::sleep_for(rest);
        }
    };
    std::array threads{std::thread(reader, 0), std::thread(reader, 1), std::thread(writer)};
    std::this_thread::sleep_for(std::chrono::duration<double>(settings.seconds_flood));
    stop = true;
    for (std::thread& thread : threads) thread.join();
    lock.samples["flood"].push_back(static_cast<double>(turns));
    lock.samples["worst ms"].push_back(static_cast<double>(worst_ns) / 1e6);
}

/// Files what Google Benchmark measured by lock and column; prints nothing.
class Collector : public benchmark::BenchmarkReporter {
  public:
    explicit Collector(std::vector<Lock>& locks) : locks_(locks) {}

    bool ReportContext(const Context& /*context*/) override { return true; }

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            const std::string_view name = run.run_name.function_name;
            const size_t slash = name.find('|');
            const auto lock = std::ranges::find(locks_, name.substr(0, slash), &Lock::name);
            CHECK(lock != locks_.end(), "only locks of the list are measured");
            // Nanoseconds of one thread for one turn: the iterations are those of all threads.
            const double ns = run.real_accumulated_time / static_cast<double>(run.iterations) *
                              static_cast<double>(run.threads) * 1e9;
            lock->samples[std::string(name.substr(slash + 1))].push_back(ns);
        }
    }

  private:
    std::vector<Lock>& locks_;
};

std::vector<Lock> register_locks(const Settings& settings) {
    std::vector<Lock> locks;
    const auto enter = [&]<typename Peer>(const char* name) {
        locks.push_back({name, sizeof(typename Peer::Measured), {}, &flood<Peer>});
        const auto add = [&](std::string_view column, int threads, unsigned writes_percent) {
            benchmark::RegisterBenchmark(fmt::format("{}|{}", name, column).c_str(),
                                         [writes_percent](benchmark::State& state) {
                                             take_turns<Peer>(state, writes_percent);
                                         })
                ->Threads(threads)
                ->UseRealTime()
                ->MinTime(settings.seconds_each);
        };
        add("read", 1, 0);
        add("write", 1, 100);
        add("2 readers", 2, 0);
        add("90/10", 2, 10);
        add("2 writers", 2, 100);
    };
    for_each_peer(enter);
    return locks;
}

// --- what is printed -----------------------------------------------------------------------------

const Lock& named(const std::vector<Lock>& locks, std::string_view name) {
    const auto found = std::ranges::find(locks, name, &Lock::name);
    CHECK(found != locks.end(), "a lock that is always measured");
    return *found;
}

double figure(const Lock& lock, std::string_view column) {
    const auto found = lock.samples.find(column);
    return found == lock.samples.end() ? 0 : median(found->second);
}

double quotient(double ours, double theirs) {
    return theirs > 0 ? ours / theirs : 0;
}

void print_table(const std::vector<Lock>& locks) {
    fmt::print("{:<24}{:>6}", "ns per turn, medians", "bytes");
    for (const std::string_view column : timed_columns) fmt::print("{:>11}", column);
    fmt::print("{:>11}{:>11}\n", "flood", "worst ms");
    for (const Lock& lock : locks) {
        fmt::print("{:<24}{:>6}", lock.name, lock.bytes);
        for (const std::string_view column : timed_columns)
            fmt::print("{:>11.1f}", figure(lock, column));
        fmt::print("{:>11.0f}{:>11.1f}\n", figure(lock, "flood"), figure(lock, "worst ms"));
    }
}

/// RwSemaphore beside each lock that has readers, Mutex beside those that have none.
void print_ratios(const std::vector<Lock>& locks) {
    fmt::print("\n{:<34}", "ours / theirs");
    for (const std::string_view column : timed_columns) fmt::print("{:>11}", column);
    fmt::print("{:>11}\n", "flood");
    for (const Lock& lock : locks) {
        if (lock.name.starts_with("sync::")) continue;
        const Lock& ours =
            named(locks, lock.name == "std::mutex" ? "sync::Mutex" : "sync::RwSemaphore");
        fmt::print("{:<34}", fmt::format("{} / {}", ours.name.substr(6), lock.name));
        for (const std::string_view column : timed_columns)
            fmt::print("{:>10.2f}x", quotient(figure(ours, column), figure(lock, column)));
        fmt::print("{:>10.1f}x\n", quotient(figure(ours, "flood"), figure(lock, "flood")));
    }
}

const char* verdict(bool holds) {
    return holds ? "holds" : "MISSED";
}

/// The three lines that say which targets hold.
void print_targets(const std::vector<Lock>& locks) {
    const Lock& ours = named(locks, "sync::RwSemaphore");
    const Lock& standard = named(locks, "std::shared_mutex");
    const Lock& fair = named(locks, "pthread fair");
    const auto beside = [&](const char* column) {
        return quotient(figure(ours, column), figure(standard, column));
    };
    const double mixed = quotient(figure(fair, "90/10"), figure(ours, "90/10"));
    // A lock that let no writer in at all counts as one turn.
    const double turns = figure(ours, "flood");
    const double turns_of_standard = std::max(1.0, figure(standard, "flood"));
    fmt::print(
        "\nspeed {}: beside std::shared_mutex read {:.2f}x (target 0.85x), write {:.2f}x (0.6x), "
        "two readers {:.2f}x (0.8x); 90/10 {:.1f} times as fast as pthread fair (3)\n",
        verdict(beside("read") <= 0.85 && beside("write") <= 0.6 && beside("2 readers") <= 0.8 &&
                mixed >= 3),
        beside("read"), beside("write"), beside("2 readers"), mixed);
    fmt::print(
        "fairness {}: a writer under a flood of readers had {:.0f} turns, {:.0f} times the {:.0f} "
        "with std::shared_mutex (target 30)\n",
        verdict(turns >= 30 * turns_of_standard), turns, turns / turns_of_standard,
        figure(standard, "flood"));
    const Lock& shared = named(locks, "sync::SharedRwSemaphore");
    fmt::print(
        "size {}: RwSemaphore {} bytes (target 16), SharedRwSemaphore {} (64) and a table of {} "
        "bytes "
        "for each holder\n",
        verdict(ours.bytes <= 16 && shared.bytes <= 64), ours.bytes, shared.bytes,
        sizeof(SharedPeer::Semaphore::Slot));
}

bool write_json(const std::vector<Lock>& locks, const Settings& settings) {
    std::FILE* const file = std::fopen(settings.json.c_str(), "w");
    if (file == nullptr) return false;
    fmt::print(file,
               "{{\"schema_version\": 1, \"rounds\": {}, \"flood_seconds\": {},\n \"locks\": [",
               settings.rounds, settings.seconds_flood);
    for (const Lock& lock : locks) {
        fmt::print(file, "{}\n  {{\"name\": \"{}\", \"bytes\": {}", &lock == &locks[0] ? "" : ",",
                   lock.name, lock.bytes);
        for (const auto& [column, values] : lock.samples)
            fmt::print(
                file, ",\n   \"{}\": {{\"median\": {:.3f}, \"best\": {:.3f}, \"all\": [{:.3f}]}}",
                column, median(values), *std::ranges::min_element(values), fmt::join(values, ", "));
        fmt::print(file, "}}");
    }
    fmt::print(file, "\n]}}\n");
    return std::fclose(file) == 0;
}

constexpr const char* usage =
    "Usage: locks_bench [--quick] [--rounds N] [--json FILE]\n"
    "  --quick      2 rounds with short turns: does it run at all?\n"
    "  --rounds N   how often every lock is visited (default: 9)\n"
    "  --json FILE  writes every sample, too; flood counts turns, all else is ns or ms\n";

bool read_settings(int argc, char** argv, Settings& settings) {
    for (int at = 1; at < argc; ++at) {
        const std::string_view word = argv[at];
        const std::string_view next = at + 1 < argc ? argv[at + 1] : "";
        if (word == "--quick") {
            settings = {.rounds = 2,
                        .seconds_each = 0.01,
                        .seconds_flood = 0.05,
                        .flood_every = 1,
                        .quick = true,
                        .json = settings.json};
        } else if (word == "--json" && !next.empty()) {
            settings.json = argv[++at];
        } else if (word == "--rounds" && !next.empty()) {
            const auto [end, error] =
                std::from_chars(next.data(), next.data() + next.size(), settings.rounds);
            if (error != std::errc() || *end != '\0' || settings.rounds == 0) return false;
            ++at;
        } else {
            return false;
        }
    }
    return true;
}

int run(int argc, char** argv) {
    Settings settings;
    if (!read_settings(argc, argv, settings)) {
        std::fputs(usage, stderr);
        return 2;
    }
    usable_processors();
    benchmark::Initialize(&argc, argv);
    std::vector<Lock> locks = register_locks(settings);
    Collector collector(locks);
    for (unsigned round = 0; round < settings.rounds; ++round) {
        // One visit to every lock and column, in turns.
        benchmark::RunSpecifiedBenchmarks(&collector);
        if (round % settings.flood_every != 0) continue;
        for (Lock& lock : locks) lock.flood(lock, settings);
    }
    fmt::print(
        "{} rounds, {} processors; writers' turns in {} s against two readers that hold 20 us\n",
        settings.rounds, CPU_COUNT(&usable_processors()), settings.seconds_flood);
    print_table(locks);
    print_ratios(locks);
    if (settings.quick)
        fmt::print("\nA quick run: it shows that the bench runs, not who holds what.\n");
    print_targets(locks);
    if (!settings.json.empty() && !write_json(locks, settings)) {
        std::fprintf(stderr, "locks_bench: cannot write %s\n", settings.json.c_str());
        return 1;
    }
    return 0;
}

}  // namespace
}  // namespace braidway::bench

int main(int argc, char** argv) {
    return braidway::bench::run(argc, argv);
}
