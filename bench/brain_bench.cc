// SPDX-License-Identifier: Apache-2.0
// What the brain of a map costs for one I/O: route() + completed(), nothing else around them.
//
// Build it in release only. `--benchmark_repetitions=9 --benchmark_report_aggregates_only=true`
// gives medians.
#include <array>
#include <memory>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

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
        ++now.ns;
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
        ++now.ns;
        Ticket& ticket = tickets[at++ % tickets.size()];
        benchmark::DoNotOptimize(map->completed(ticket, IoStatus::ok, now));
        ticket = map->route(io, now).ticket;
    }
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"paths", "groups"})->Args({8, 2});
    for (int64_t paths = 1; paths <= 1024; paths *= 4) bench->Args({paths, 1});
}

BENCHMARK_CAPTURE(one_by_one, round_robin, "round-robin")->Apply(sizes);
BENCHMARK_CAPTURE(one_by_one, service_time, "service-time")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, round_robin, "round-robin")->Apply(sizes);
BENCHMARK_CAPTURE(depth_32, service_time, "service-time")->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
