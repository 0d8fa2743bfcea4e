// SPDX-License-Identifier: Apache-2.0
// How connections begin and how they end, in good order or not.
#include "export/nbd_connection.h"

#include <dirent.h>

#include "base/random.h"
#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdConnections : public OnBackend {
  protected:
    static size_t open_descriptors() {
        size_t count = 0;
        DIR* folder = ::opendir("/proc/self/fd");
        while (::readdir(folder) != nullptr) ++count;
        ::closedir(folder);
        return count;
    }
    static void await_nobody(World& world) {
        world.run_until([&] { return world.server->connections() == 0; });
    }
};

TEST_P(NbdConnections, DisconnectAnswersWhatIsInFlightFirst) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter(Style::simple);
    Bytes batch;
    for (unsigned at = 0; at < 128; ++at) batch.add(client.request(cmd_read, 0, at, 0, 512));
    batch.add(client.request(cmd_disc, 0xFFFF, 0, 0, 0));
    batch.add(client.write(9, 0, std::string(512, 'x')));  // Behind the end: not looked at.
    client.send(batch);
    world.run_until([&] { return world.device.held.size() == 128; });
    world.settle();
    world.device.release_held();
    EXPECT_EQ(client.receive(128 * (16 + 512)).size(), 128u * (16 + 512));
    EXPECT_TRUE(client.sees_close());
    EXPECT_EQ(world.device.submitted, 128u);
    ASSERT_EQ(world.recorder.left.size(), 1u);
    EXPECT_FALSE(world.recorder.left[0].fault);
}

TEST_P(NbdConnections, HalfCloseAnswersWhatIsInFlightFirst) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter(Style::simple);
    Bytes batch;
    for (unsigned at = 0; at < 300; ++at) batch.add(client.request(cmd_read, 0, at, 0, 512));
    client.send(batch);
    client.half_close();
    world.run_until([&] { return world.device.held.size() >= 128; });
    world.settle();
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(client.receive(300 * (16 + 512)).size(), 300u * (16 + 512));
    EXPECT_TRUE(client.sees_close());
}

TEST_P(NbdConnections, AClientMayVanishWithRequestsInFlight) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    for (int times = 0; times < 3; ++times) {
        Client client(world);
        client.enter();
        Bytes batch;
        for (unsigned at = 0; at < 128; ++at)
            batch.add(client.write(at, at * 512, std::string(512, 'v')));
        client.send(batch);
        world.run_until([&] { return world.device.held.size() == 128; });
        client.close();
        world.settle();
        world.device.release_held();
        await_nobody(world);
        EXPECT_EQ(std::to_integer<char>(world.device.memory()[127 * 512]), 'v');
    }
    EXPECT_EQ(world.pool->bytes_in_use(), 0u);
    EXPECT_EQ(world.server->find_export("disk")->slots.in_use(), 0u);
}

TEST_P(NbdConnections, AClientThatIsNotReadIsMissedWhenItHangsUp) {
    World world(GetParam());
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter(Style::simple);
    Bytes batch;
    for (unsigned at = 0; at < 400; ++at) batch.add(client.request(cmd_read, 0, at, 0, 512));
    client.send(batch);
    world.run_until(
        [&] { return world.device.held.size() == limits::nbd_requests_per_connection; });
    client.close();
    world.run_until([&] { return !world.recorder.left.empty(); });  // Though the device hangs.
    world.device.release_held();
    await_nobody(world);
}

TEST_P(NbdConnections, AHalfReadWriteIsDropped) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    client.send(client.request(cmd_write, 0, 1, 0, 65536).zeroes(40000));
    world.settle();
    EXPECT_GT(world.pool->bytes_in_use(), 0u);  // Reserved before it was read.
    client.close();
    await_nobody(world);
    EXPECT_EQ(world.device.submitted, 0u);
    EXPECT_EQ(world.pool->bytes_in_use(), 0u);
}

TEST_P(NbdConnections, WritesThatWereReadWholeAreDoneThoughTheClientIsGone) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    client.send(client.write(1, 0, std::string(65536, 'w')));
    client.close();
    await_nobody(world);
    EXPECT_EQ(std::to_integer<char>(world.device.memory()[65535]), 'w');
}

TEST_P(NbdConnections, HostileBytesEndOneConnectionOnly) {
    World world(GetParam());
    world.serve();
    Client good(world);
    good.enter();
    Client bad(world);
    bad.enter();
    bad.send(Bytes().text("GET / HTTP/1.1\r\nHost: nowhere at all\r\n\r\n"));
    EXPECT_TRUE(bad.sees_close());
    Client worse(world);
    worse.greet(0xFFFFFFFF);
    EXPECT_TRUE(worse.sees_close());
    Client huge(world);
    huge.greet();
    huge.send(Bytes().u64(option_magic).u32(opt_go).u32(UINT32_MAX));
    EXPECT_EQ(huge.receive(option_reply_bytes).size(), option_reply_bytes);
    EXPECT_EQ(good.ask(cmd_flush, 0, 0, 0), 0u);
    world.run_until([&] { return world.recorder.left.size() >= 2; });
    for (const auto& left : world.recorder.left) EXPECT_TRUE(left.fault) << left.reason;
}

TEST_P(NbdConnections, RandomBytesNeverHurt) {
    World world(GetParam());
    world.serve();
    Random random(4711);
    for (int clients = 0; clients < 50; ++clients) {
        Client client(world);
        if (clients % 2 == 0) client.enter(clients % 4 == 0 ? Style::extended : Style::simple);
        Bytes noise;
        if (clients % 3 == 0) noise.u32(request_magic);
        for (uint64_t at = random.below(300); at > 0; --at) noise.u64(random.next());
        client.send_some(noise.get());
        world.settle();
    }
    await_nobody(world);
    Client client(world);
    client.enter();
    EXPECT_EQ(client.ask(cmd_flush, 0, 0, 0), 0u);
}

TEST_P(NbdConnections, AHandshakeThatStandsStillTimesOut) {
    NbdServerOptions options;
    options.handshake_timeout = std::chrono::milliseconds(50);
    World world(GetParam(), options);
    world.serve();
    Client silent(world);
    Client half(world);
    half.greet();
    half.send(Bytes().u64(option_magic).u32(opt_go));
    EXPECT_EQ(silent.receive(100).size(), greeting_bytes);
    EXPECT_TRUE(half.sees_close());
    for (const auto& left : world.recorder.left) EXPECT_TRUE(left.fault);
}

TEST_P(NbdConnections, ARequestThatStopsHalfWayTimesOutAndIdlingDoesNot) {
    NbdServerOptions options;
    options.request_timeout = options.send_timeout = std::chrono::milliseconds(50);
    World world(GetParam(), options);
    world.serve();
    Client idle(world);
    idle.enter();
    Client header(world);
    header.enter();
    header.send(std::span(header.request(cmd_read, 0, 1, 0, 512).get()).first(27));
    Client payload(world);
    payload.enter();
    payload.send(payload.request(cmd_write, 0, 1, 0, 4096).zeroes(4095));
    EXPECT_TRUE(header.sees_close());
    EXPECT_TRUE(payload.sees_close());
    EXPECT_EQ(idle.ask(cmd_flush, 0, 0, 0), 0u);
    EXPECT_EQ(world.recorder.left.size(), 2u);
    EXPECT_EQ(world.device.submitted, 1u);
}

TEST_P(NbdConnections, AClientThatTakesNoRepliesTimesOut) {
    NbdServerOptions options;
    options.send_timeout = std::chrono::milliseconds(50);
    World world(GetParam(), options);
    world.serve();
    Client client(world);
    client.enter();
    for (unsigned at = 0; at < 16; ++at) client.send(client.request(cmd_read, 0, at, 0, 1 << 20));
    world.run_until([&] { return !world.recorder.left.empty(); });
    EXPECT_TRUE(world.recorder.left[0].fault);
    await_nobody(world);
}

TEST_P(NbdConnections, AnIdleClientCostsNoWakeUp) {
    NbdServerOptions options;
    options.request_timeout = options.send_timeout = std::chrono::milliseconds(50);
    options.handshake_timeout = std::chrono::milliseconds(50);
    World world(GetParam(), options);
    world.serve();
    Client client(world);
    client.enter();
    EXPECT_EQ(client.ask(cmd_read, 0, 0, 4096), 0u);
    EXPECT_EQ(client.ask(client.write(1, 0, std::string(65536, 'x'))), 0u);
    world.settle();
    const Instant deadline = world.loop->now() + std::chrono::milliseconds(200);
    world.loop->turn(deadline);  // Sleeps through: no timer fires before.
    EXPECT_GE(world.loop->now(), deadline);
    EXPECT_EQ(client.ask(cmd_flush, 0, 0, 0), 0u);
}

TEST_P(NbdConnections, ADeviceThatHangsIsNotTheClientsFault) {
    NbdServerOptions options;
    options.request_timeout = options.send_timeout = std::chrono::milliseconds(20);
    World world(GetParam(), options);
    world.serve();
    world.device.hold = true;
    Client client(world);
    client.enter();
    client.send(client.request(cmd_read, 0, 1, 0, 512));
    const Instant later = world.loop->now() + std::chrono::milliseconds(100);
    world.run_until([&] { return world.loop->now() > later; });
    EXPECT_EQ(world.recorder.left.size(), 0u);
    world.device.release_held();
    EXPECT_EQ(client.chunk().error(), 0u);
}

TEST_P(NbdConnections, ChurnLeavesNothingBehind) {
    World world(GetParam());
    world.serve();
    {
        Client first(world);
        first.enter();
    }
    await_nobody(world);
    const size_t before = open_descriptors();
    for (int times = 0; times < 1000; ++times) {
        Client client(world);
        ASSERT_TRUE(client.connected);
        if (times % 5 == 0) continue;
        client.greet();
        if (times % 5 == 1) continue;
        client.send(Bytes().u64(option_magic).u32(opt_go).u32(10).string("disk").u16(0));
        if (times % 5 == 2) continue;
        client.receive(20);
        client.send(client.request(cmd_read, 0, 1, 0, 4096));
        if (times % 5 == 3) client.send(client.request(cmd_disc, 0, 1, 0, 0));
    }
    await_nobody(world);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(world.pool->bytes_in_use(), 0u);
    EXPECT_EQ(world.server->find_export("disk")->connections, 0u);
    EXPECT_EQ(world.server->connections_ever(), 1001u);
}

TEST_P(NbdConnections, HalfSentPayloadsHoldUpNobodyWhoseRequestIsWhole) {
    NbdServerOptions options;
    options.stall_timeout = patience;
    World world(GetParam(), options, 4 << 20);
    NbdExportOptions disk = world.disk();
    disk.maximum_payload = 1 << 20;
    world.serve(disk);
    std::vector<std::unique_ptr<Client>> stuck;
    for (int at = 0; at < 8; ++at) {
        stuck.push_back(std::make_unique<Client>(world));
        stuck[at]->enter();
        stuck[at]->send(stuck[at]->request(cmd_write, 0, 1, 0, 1 << 20).zeroes(1000));
    }
    world.settle();
    EXPECT_EQ(world.pool->bytes_in_use(), 2u << 20);  // Half of the pool.
    Client good(world);
    good.enter();
    EXPECT_EQ(good.ask(good.write(1, 0, std::string(4096, 'x'))), 0u);
    EXPECT_EQ(good.ask(cmd_read, 0, 0, 65536), 0u);
    EXPECT_EQ(world.recorder.left.size(), 0u);
}

TEST_P(NbdConnections, WhoStandsStillWhileOthersWaitIsClosed) {
    NbdServerOptions options;
    options.stall_timeout = std::chrono::milliseconds(50);
    World world(GetParam(), options, 4 << 20);
    NbdExportOptions disk = world.disk();
    disk.maximum_payload = 1 << 20;
    world.serve(disk);
    Client idle(world);
    idle.enter();
    std::vector<std::unique_ptr<Client>> stuck;
    for (int at = 0; at < 4; ++at) {  // Half of them send no payload, half take no replies.
        stuck.push_back(std::make_unique<Client>(world));
        stuck[at]->enter();
        for (unsigned reads = 0; reads < 4; ++reads)
            if (at % 2 == 0) stuck[at]->send(stuck[at]->request(cmd_read, 0, 1, 0, 1 << 20));
        if (at % 2 == 1) stuck[at]->send(stuck[at]->request(cmd_write, 0, 1, 0, 1 << 20));
    }
    world.settle();
    Client good(world);
    good.enter();
    EXPECT_EQ(good.ask(cmd_read, 0, 0, 1 << 20), 0u);
    EXPECT_EQ(good.ask(good.write(1, 0, std::string(1 << 20, 'x'))), 0u);
    EXPECT_EQ(idle.ask(cmd_flush, 0, 0, 0), 0u);
    ASSERT_GE(world.recorder.left.size(), 1u);
    for (const auto& left : world.recorder.left) EXPECT_TRUE(left.fault) << left.reason;
}

ON_BOTH_BACKENDS(NbdConnections);

}  // namespace
}  // namespace braidway::exports
