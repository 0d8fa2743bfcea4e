// SPDX-License-Identifier: Apache-2.0
// What clients may ask, and what happens when they ask for something else.
#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdRequests : public OnBackend {};

TEST_P(NbdRequests, WhatIsWrittenIsReadInEveryStyle) {
    for (const Style style : {Style::simple, Style::structured, Style::extended}) {
        World world(GetParam());
        world.serve();
        Client client(world);
        client.enter(style);
        const std::string data(4096, static_cast<char>('a' + static_cast<int>(style)));
        EXPECT_EQ(client.ask(client.write(7, 8192, data)), 0u);
        client.send(client.request(cmd_read, 0, 8, 8192, 4096));
        if (style == Style::simple) {
            EXPECT_EQ(client.simple().cookie, 8u);
            EXPECT_EQ(client.receive(4096), data);
        } else {
            const Chunk chunk = client.chunk();
            EXPECT_EQ(chunk.type, reply_offset_data);
            EXPECT_EQ(chunk.cookie, 8u);
            EXPECT_EQ(chunk.parse().u64(), 8192u);
            EXPECT_EQ(chunk.payload.substr(8), data);
        }
        EXPECT_EQ(std::memcmp(world.device.memory() + 8192, data.data(), 4096), 0);
    }
}

TEST_P(NbdRequests, BytesMayArriveOneByOne) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    const Bytes write = client.write(7, 0, std::string(512, 'x'));
    for (const std::byte& byte : write.get()) {
        client.send(std::span(&byte, 1));
        world.loop->turn(world.loop->now() + std::chrono::microseconds(50));
    }
    EXPECT_EQ(client.chunk().error(), 0u);
    EXPECT_EQ(std::to_integer<char>(world.device.memory()[511]), 'x');
}

TEST_P(NbdRequests, LargePayloadsArriveWhole) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::extended);
    std::string data(3 << 20, 0);
    for (size_t at = 0; at < data.size(); ++at) data[at] = static_cast<char>(at * 2654435761u >> 8);
    Bytes both = client.write(1, 0, data);
    both.add(client.write(2, 4 << 20, data)).add(client.request(cmd_read, 0, 3, 4096, 512));
    client.send(both);
    for (int replies = 0; replies < 3; ++replies) EXPECT_EQ(client.chunk().error(), 0u);
    EXPECT_EQ(std::memcmp(world.device.memory(), data.data(), data.size()), 0);
    EXPECT_EQ(std::memcmp(world.device.memory() + (4 << 20), data.data(), data.size()), 0);
    client.send(client.request(cmd_read, 0, 4, 4 << 20, 3 << 20));
    EXPECT_EQ(client.chunk().payload.substr(8), data);
}

TEST_P(NbdRequests, WhatWasNotNegotiatedIsEinvalAndTheConnectionGoesOn) {
    World world(GetParam());
    world.serve();
    world.device.change_geometry().can_fast_zero = false;
    Client client(world);
    client.enter(Style::simple);  // No DF, no contexts.
    for (unsigned command = 0; command < 20; ++command) {
        if (command == cmd_disc) continue;
        for (unsigned bit = 1; bit < 16; ++bit) {
            if (command == cmd_write_zeroes && bit == 1) continue;
            Bytes request = client.request(static_cast<uint16_t>(command),
                                           static_cast<uint16_t>(1u << bit), 1, 0, 512);
            if (command == cmd_write) request.zeroes(512);
            ASSERT_EQ(client.ask(request), error_einval) << command << " " << bit;
        }
    }
    EXPECT_EQ(client.ask(cmd_block_status, 0, 0, 512), error_einval);
    EXPECT_EQ(client.ask(cmd_resize, 0, 0, 512), error_einval);
    EXPECT_EQ(client.ask(UINT16_MAX, 0, 0, 512), error_einval);
    EXPECT_EQ(client.ask(cmd_flush, 0, 0, 0), 0u);
    EXPECT_EQ(world.device.submitted, 1u);
}

TEST_P(NbdRequests, AReadOnlyExportRefusesWritesAndTakesTheirPayload) {
    World world(GetParam());
    NbdExportOptions options = world.disk();
    options.read_only = true;
    world.serve(options);
    for (const Style style : {Style::simple, Style::structured, Style::extended}) {
        Client client(world);
        client.enter(style);
        EXPECT_EQ(client.ask(client.write(1, 0, std::string(1 << 20, 'x'))), error_eperm);
        EXPECT_EQ(client.ask(cmd_trim, 0, 0, 512), error_eperm);
        EXPECT_EQ(client.ask(cmd_write_zeroes, 0, 0, 512), error_eperm);
        EXPECT_EQ(client.ask(cmd_flush, 0, 0, 0), 0u);
    }
}

TEST_P(NbdRequests, ErrorsHaveTheValuesOfTheProtocol) {
    World world(GetParam());
    NbdExportOptions options = world.disk();
    options.maximum_payload = 65536;
    world.serve(options);
    const uint64_t end = 8 << 20;
    for (const Style style : {Style::simple, Style::structured, Style::extended}) {
        Client client(world);
        client.enter(style);
        const bool simple = style == Style::simple;
        EXPECT_EQ(client.ask(client.write(1, end, std::string(512, 'x'))), error_enospc);
        EXPECT_EQ(client.ask(client.write(1, end - 512, std::string(1024, 'x'))), error_enospc);
        EXPECT_EQ(client.ask(cmd_write_zeroes, 0, end, 512), error_enospc);
        EXPECT_EQ(client.ask(cmd_read, 0, end, 512), error_einval);
        EXPECT_EQ(client.ask(cmd_trim, 0, end, 512), error_einval);
        EXPECT_EQ(client.ask(cmd_read, 0, 1, 512), error_einval);
        EXPECT_EQ(client.ask(client.write(1, 512, std::string(100, 'x'))), error_einval);
        EXPECT_EQ(client.ask(client.write(1, 0, std::string(65536 + 512, 'x'))), error_einval);
        EXPECT_EQ(client.ask(cmd_read, 0, 0, 65536 + 512), simple ? error_einval : error_eoverflow);
        EXPECT_EQ(client.ask(cmd_read, 0, 0, 0), 0u);
        EXPECT_EQ(client.ask(client.write(1, 0, "")), 0u);
        EXPECT_EQ(client.ask(cmd_trim, 0, 0, 0), 0u);
    }
    EXPECT_EQ(world.device.submitted, 0u);
}

TEST_P(NbdRequests, AnAbsurdPayloadEndsTheConnection) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    client.send(client.request(cmd_write, 0, 1, 0, UINT32_MAX));
    EXPECT_TRUE(client.sees_close());
    ASSERT_EQ(world.recorder.left.size(), 1u);
    EXPECT_TRUE(world.recorder.left[0].fault);
}

TEST_P(NbdRequests, FlagsReachTheDevice) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    EXPECT_EQ(client.ask(client.write(1, 0, std::string(512, 'x'), cmd_flag_fua)), 0u);
    EXPECT_TRUE(world.device.last_fua);
    EXPECT_EQ(client.ask(client.write(1, 0, std::string(512, 'x'))), 0u);
    EXPECT_FALSE(world.device.last_fua);
    EXPECT_EQ(client.ask(cmd_write_zeroes, 0, 0, 512), 0u);
    EXPECT_TRUE(world.device.last_may_unmap);
    EXPECT_EQ(client.ask(cmd_write_zeroes, cmd_flag_no_hole | cmd_flag_fast_zero, 0, 512), 0u);
    EXPECT_FALSE(world.device.last_may_unmap);
    EXPECT_TRUE(world.device.last_fast_zero);
    EXPECT_EQ(client.ask(cmd_trim, cmd_flag_fua, 0, 512), 0u);
    EXPECT_TRUE(world.device.last_fua);
    EXPECT_EQ(client.ask(cmd_flush, 0, 12345, 67), 0u);  // Both are reserved: ignored.
    EXPECT_EQ(world.device.flushes, 1u);
    EXPECT_EQ(client.ask(cmd_cache, 0, 0, 4096), 0u);  // A hint that the device does not take.
}

TEST_P(NbdRequests, AtItsLimitAClientIsNotReadAndThenGoesOn) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter(Style::simple);
    constexpr unsigned many = limits::nbd_requests_per_connection + 100;
    static_assert(limits::nbd_requests_per_connection >= 128);
    Bytes batch;
    for (unsigned at = 0; at < many; ++at) batch.add(client.request(cmd_read, 0, at, 0, 512));
    client.send(batch);
    world.run_until(
        [&] { return world.device.held.size() == limits::nbd_requests_per_connection; });
    world.settle();
    EXPECT_EQ(world.device.held.size(), limits::nbd_requests_per_connection);
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(client.receive(many * (16 + 512)).size(), many * (16 + 512u));
}

TEST_P(NbdRequests, TheLimitIsAlsoOneOfBytes) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter(Style::simple);
    constexpr uint32_t each = 4 << 20;
    constexpr unsigned most = limits::nbd_bytes_per_connection / each;
    for (unsigned at = 0; at < most + 3; ++at)
        client.send(client.request(cmd_read, 0, at, 0, each));
    world.run_until([&] { return world.device.held.size() == most; });
    world.settle();
    EXPECT_EQ(world.device.held.size(), most);
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(client.receive((most + 3) * (16 + each)).size(), (most + 3) * size_t{16 + each});
}

TEST_P(NbdRequests, AClosedGateLeavesRequestsInTheSocket) {
    World world(GetParam());
    block::Gate gate;
    NbdExportOptions options = world.disk();
    options.gate = &gate;
    world.serve(options);
    Client client(world);
    client.enter();
    gate.close();
    Bytes batch = client.write(1, 0, std::string(4096, 'g'));
    batch.add(client.request(cmd_flush, 0, 2, 0, 0));
    client.send(batch);
    world.settle();
    EXPECT_EQ(world.device.submitted, 0u);
    EXPECT_EQ(world.pool->bytes_in_use(), 0u);
    gate.reopen();
    EXPECT_EQ(client.chunk().error(), 0u);
    EXPECT_EQ(client.chunk().error(), 0u);
    // A client that leaves while the gate is closed is forgotten by it.
    gate.close();
    client.send(client.request(cmd_read, 0, 3, 0, 512));
    world.settle();
    client.close();
    world.run_until([&] { return world.server->connections() == 0; });
    gate.reopen();
}

TEST_P(NbdRequests, AnEmptyPoolServesClientsInTheirOrder) {
    World world(GetParam(), {}, 1 << 20);
    NbdExportOptions options = world.disk();
    options.maximum_payload = 256 << 10;
    world.serve(options);
    world.device.hold = true;
    std::vector<std::unique_ptr<Client>> clients;
    for (unsigned at = 0; at < 8; ++at) {
        clients.push_back(std::make_unique<Client>(world));
        clients[at]->enter(Style::simple);
        clients[at]->send(clients[at]->request(cmd_read, 0, at, at * 512, 256 << 10));
        world.settle();
    }
    EXPECT_EQ(world.device.held.size(), 4u);  // The pool has room for four.
    std::vector<uint64_t> order;
    while (!world.device.held.empty()) {
        order.push_back(world.device.held.front()->offset_bytes / 512);
        world.device.finish(*world.device.held.front());
        world.device.held.pop_front();
        EXPECT_EQ(clients[order.back()]->receive(16 + (256 << 10)).size(), 16u + (256 << 10));
        world.settle();
    }
    EXPECT_EQ(order, (std::vector<uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST_P(NbdRequests, AVolumesSlotsAreSharedInOrder) {
    World world(GetParam());
    NbdExportOptions options = world.disk();
    options.requests_max = 2;
    world.serve(options);
    world.device.hold = true;
    Client greedy(world);
    greedy.enter(Style::simple);
    Client modest(world);
    modest.enter(Style::simple);
    for (unsigned at = 0; at < 6; ++at) greedy.send(greedy.request(cmd_read, 0, at, 0, 512));
    world.settle();
    modest.send(modest.request(cmd_read, 0, 1, 4096, 512));
    world.settle();
    std::vector<uint64_t> order;
    while (!world.device.held.empty()) {
        EXPECT_LE(world.device.held.size(), 2u);
        order.push_back(world.device.held.front()->offset_bytes);
        world.device.finish(*world.device.held.front());
        world.device.held.pop_front();
        world.settle();
    }
    // The third of the greedy one stood in line before the modest one; then they take turns.
    EXPECT_EQ(order, (std::vector<uint64_t>{0, 0, 0, 4096, 0, 0, 0}));
}

ON_BOTH_BACKENDS(NbdRequests);

}  // namespace
}  // namespace braidway::exports
