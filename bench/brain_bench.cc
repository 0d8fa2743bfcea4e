// SPDX-License-Identifier: Apache-2.0
// What the brain of a map costs for one I/O: route() + completed(), nothing else around them.
//
// `./dev bench brain` builds and runs it and prints medians. Each I/O takes a microsecond or more
// of the map's time.
#include <array>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "multipath/cpu_mask.h"
#include "multipath/multipath.h"

namespace {

using namespace braidway;
using namespace braidway::multipath;

std::unique_ptr<Multipath> make_map(const char* selector, int64_t paths, int64_t groups) {
    MultipathSpec spec;
    for (int64_t number = 0; number < groups; ++number) {
        GroupSpec& group = spec.groups.emplace_back();
        group.selector = selector;
        for (int64_t at = 0; at < paths / groups; ++at) {
            PathSpec& path = group.paths.emplace_back();
            path.name = fmt::format("p{}-{}", number, at);
            if (group.selector == "io-affinity")
                path.arguments = {cpu_mask_text({static_cast<uint32_t>(at)}, 0)};
        }
    }
    return std::move(Multipath::create(std::move(spec), Instant{1}).value());
}

/// One I/O after the other: nothing else is in flight.
void one_by_one(benchmark::State& state, const char* selector) {
    const auto map = make_map(selector, state.range(0), state.range(1));
    const IoShape io{.op = IoOp::read, .offset_bytes = 0, .length_bytes = 4096};
    Instant now{1};
    Action action;
    for (auto _ : state) {
        now.ns += 1000;
        const Route route = map->route(io, now);
        benchmark::DoNotOptimize(map->completed(route.ticket, IoStatus::ok, now));
        benchmark::DoNotOptimize(map->next_action(action));
    }
}

/// 32 I/Os in flight all the time: each answer is followed by the next request.
void depth_32(benchmark::State& state, const char* selector) {
    const auto map = make_map(selector, state.range(0), state.range(1));
    const IoShape io{.op = IoOp::read, .offset_bytes = 0, .length_bytes = 4096};
    Instant now{1};
    std::array<Ticket, 32> tickets;
    for (Ticket& ticket : tickets) ticket = map->route(io, now).ticket;
    size_t at = 0;
    for (auto _ : state) {
        now.ns += 1000;
        Ticket& ticket = tickets[at++ % tickets.size()];
        benchmark::DoNotOptimize(map->completed(ticket, IoStatus::ok, now));
        ticket = map->route(io, now).ticket;
    }
}

/// Two I/Os in flight for each path, so that no path is idle and a selector may have to look at
/// all.
void busy(benchmark::State& state, const char* selector) {
    const auto map = make_map(selector, state.range(0), state.range(1));
    const IoShape io{.op = IoOp::read, .offset_bytes = 0, .length_bytes = 4096};
    Instant now{1};
    std::vector<Ticket> tickets(static_cast<size_t>(2 * state.range(0)));
    for (Ticket& ticket : tickets) ticket = map->route(io, now).ticket;
    size_t at = 0;
    for (auto _ : state) {
        now.ns += 1000;
        Ticket& ticket = tickets[at];
        if (++at == tickets.size()) at = 0;
        benchmark::DoNotOptimize(map->completed(ticket, IoStatus::ok, now));
        ticket = map->route(io, now).ticket;
    }
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"paths", "groups"})->Args({8, 2});
    for (int64_t paths = 1; paths <= 1024; paths *= 4) bench->Args({paths, 1});
}

BENCHMARK_CAPTURE(one_by_one, round_robin, "round-robin")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, queue_length, "queue-length")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, service_time, "service-time")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, historical_service_time, "historical-service-time")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, io_affinity, "io-affinity")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, round_robin_count, "round-robin-count")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, latency, "latency")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, round_robin, "round-robin")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, queue_length, "queue-length")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, service_time, "service-time")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, historical_service_time, "historical-service-time")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, io_affinity, "io-affinity")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, round_robin_count, "round-robin-count")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, latency, "latency")->Apply(sizes);
BENCHMARK_CAPTURE(busy, round_robin, "round-robin")->Apply(sizes);
BENCHMARK_CAPTURE(busy, queue_length, "queue-length")->Apply(sizes);
BENCHMARK_CAPTURE(busy, service_time, "service-time")->Apply(sizes);
BENCHMARK_CAPTURE(busy, historical_service_time, "historical-service-time")->Apply(sizes);
BENCHMARK_CAPTURE(busy, io_affinity, "io-affinity")->Apply(sizes);
BENCHMARK_CAPTURE(busy, round_robin_count, "round-robin-count")->Apply(sizes);
BENCHMARK_CAPTURE(busy, latency, "latency")->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
