// SPDX-License-Identifier: Apache-2.0
// What the multipath layer costs: a path alone and a map of four, over the zero device, on one
// loop, without a client. The time of one iteration is the time of one 4 KiB read.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "block/zero.h"
#include "loop/loop.h"
#include "map/map_device.h"
#include "path/path.h"

namespace braidway {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t read_bytes = 4096;

struct NobodyListens final : map::MapObserver {
    void map_event(const std::string&, const multipath::Action&, const std::string&) override {}
};

/// Reads again and again until it has done its share.
struct Reader final : block::CompletionStage {
    block::Request request;
    iovec data{};
    block::BlockDevice* device = nullptr;
    uint64_t* left = nullptr;
    uint64_t* ended = nullptr;

    void submit() {
        request.reset();
        request.op = IoOp::read;
        request.offset_bytes = 0;
        request.length_bytes = read_bytes;
        request.data = {&data, 1};
        request.push(*this);
        device->submit(request);
    }
    void completed(block::Request& done) override {
        done.pop();
        ++*ended;
        if (*left == 0) return;
        --*left;
        submit();
    }
};

/// The devices of one benchmark: four paths, and a map over them.
struct World {
    std::unique_ptr<loop::Loop> loop = *loop::Loop::create();
    std::unique_ptr<memory::BufferPool> pool = *memory::BufferPool::create(1u << 20);
    NobodyListens nobody;
    std::vector<std::unique_ptr<path::Path>> paths;
    std::unique_ptr<map::MapDevice> map;

    explicit World(const std::string& selector) {
        map::MapConfig config;
        config.name = "bench";
        multipath::GroupSpec group{.selector = selector, .paths = {}};
        std::vector<map::Member> members;
        for (const char* name : {"a1", "a2", "b1", "b2"}) {
            // Holes: the memory is not filled, so that the layers are what is measured.
            auto zero = std::make_unique<block::ZeroDevice>(
                *loop,
                block::ZeroConfig{.size_bytes = 1u << 30, .block_bytes = 512, .holes = true});
            paths.push_back(
                std::make_unique<path::Path>(*loop, *pool, std::move(zero),
                                             path::Path::Options{.name = name, .io_timeout = 30s}));
            members.push_back({paths.back().get(), 0});
            group.paths.push_back({.name = name, .arguments = {}});
        }
        config.table.groups.push_back(std::move(group));
        map = *map::MapDevice::create(*loop, std::move(config), std::move(members), nobody);
    }

    void run(block::BlockDevice& device, std::vector<Reader>& readers, uint64_t count) {
        uint64_t ended = 0;
        const uint64_t first = std::min<uint64_t>(readers.size(), count);
        uint64_t left = count - first;
        for (uint64_t at = 0; at < first; ++at) {
            readers[at].device = &device;
            readers[at].left = &left;
            readers[at].ended = &ended;
            readers[at].submit();
        }
        while (ended < count) loop->turn(Instant{0});
    }
};

constexpr uint64_t batch = 20'000;

void measure(benchmark::State& state, World& world, block::BlockDevice& device) {
    std::vector<std::byte> memory(read_bytes);
    std::vector<Reader> readers(static_cast<size_t>(state.range(0)));
    for (Reader& reader : readers) reader.data = {memory.data(), read_bytes};
    world.run(device, readers, batch);
    while (state.KeepRunningBatch(batch)) world.run(device, readers, batch);
    state.SetItemsProcessed(state.iterations());
}

void path_alone(benchmark::State& state) {
    World world("round-robin");
    measure(state, world, *world.paths[0]);
}
void map_of_four(benchmark::State& state, const std::string& selector) {
    World world(selector);
    measure(state, world, *world.map);
}

BENCHMARK(path_alone)->Arg(32)->Arg(1)->ArgName("depth");
BENCHMARK_CAPTURE(map_of_four, round_robin, "round-robin")->Arg(32)->Arg(1)->ArgName("depth");
BENCHMARK_CAPTURE(map_of_four, service_time, "service-time")->Arg(32)->Arg(1)->ArgName("depth");

}  // namespace
}  // namespace braidway

BENCHMARK_MAIN();
