// SPDX-License-Identifier: Apache-2.0
// An I/O through map, path and device asks the heap for nothing.
#include "block/zero.h"
#include "map/fixture.h"
#include "support/heap_counter.h"

namespace braidway::map {
namespace {

using multipath::make_group;
using multipath::make_spec;

class MapAllocation : public LaneTest, public testing::WithParamInterface<std::string> {};

TEST_P(MapAllocation, AnIoAsksTheHeapForNothing) {
    Heard heard;
    std::vector<std::unique_ptr<path::Path>> paths;
    std::vector<Member> members;
    std::vector<std::string> names{"a1", "a2", "a3", "a4"};
    for (size_t at = 0; at < names.size(); ++at) {
        paths.push_back(std::make_unique<path::Path>(
            *loop_, *pool_,
            std::make_unique<block::ZeroDevice>(
                *loop_,
                block::ZeroConfig{.size_bytes = 1u << 30, .block_bytes = 512, .holes = false}),
            path::Path::Options{.name = names[at], .io_timeout = 30s}));
        members.push_back({paths.back().get(), at});
    }
    MapConfig config;
    config.name = "m";
    config.table = make_spec({make_group(names, GetParam())});
    auto map = *MapDevice::create(*loop_, std::move(config), members, heard);

    std::vector<Client> clients(32);
    uint64_t left = 0;
    const auto run = [&](uint64_t count) {
        left = count;
        for (Client& client : clients) client.submit(*map);
        while (map->counters().in_flight != 0 || loop_->in_flight() != 0) loop_->turn(Instant{0});
    };
    for (size_t at = 0; at < clients.size(); ++at) {
        if (at % 4 == 1) clients[at].prepare(IoOp::write, 0, 4096);
        if (at % 8 == 2) clients[at].prepare(IoOp::flush, 0, 0);
        clients[at].on_end = [&](Client& client) {
            if (left > 0 && --left > 0) client.submit(*map);
        };
    }
    run(1000);
    const uint64_t before = heap_requests();
    run(100'000);
    EXPECT_EQ(heap_requests() - before, 0u);
    ::operator delete(::operator new(16));  // A new-expression may be left out.
    EXPECT_GT(heap_requests(), before) << "the counter counts";
}

INSTANTIATE_TEST_SUITE_P(Selectors, MapAllocation, testing::Values("round-robin", "service-time"));

}  // namespace
}  // namespace braidway::map
