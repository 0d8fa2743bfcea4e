// SPDX-License-Identifier: Apache-2.0
// Exports come and go under running clients.
#include "export/nbd_server.h"

#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdServers : public OnBackend {};

TEST_P(NbdServers, SeveralExportsShareAnAddress) {
    World world(GetParam());
    world.serve(world.disk("one"));
    NbdExportOptions second = world.disk("two");
    second.read_only = true;
    world.serve(second);
    Client client(world);
    client.enter(Style::structured, "two");
    EXPECT_EQ(client.ask(client.write(1, 0, std::string(512, 'x'))), error_eperm);
    Client other(world);
    other.enter(Style::structured, "one");
    EXPECT_EQ(other.ask(other.write(1, 0, std::string(512, 'x'))), 0u);
    Client nameless(world);
    nameless.greet();
    EXPECT_EQ(nameless.option(opt_go, Bytes().string("").u16(0)), rep_err_unknown);
    EXPECT_EQ(world.server->find_export("two")->connections, 1u);
    EXPECT_EQ(world.server->find_export("one")->counters.bytes_written, 512u);
}

TEST_P(NbdServers, LargeBlocksAreToldAndKept) {
    World world(GetParam());
    NbdExportOptions options = world.disk();
    options.minimum_block = 4096;
    world.serve(options);
    Client plain(world);
    plain.greet();
    EXPECT_EQ(plain.option(opt_go, Bytes().string("disk").u16(0)), rep_err_block_size_reqd);
    Client client(world);
    client.enter();
    EXPECT_EQ(client.ask(cmd_read, 0, 512, 4096), error_einval);
    EXPECT_EQ(client.ask(cmd_read, 0, 4096, 4096), 0u);
}

TEST_P(NbdServers, RemovingAnExportDrainsItsClientsAndNoOthers) {
    World world(GetParam());
    world.serve(world.disk("one"));
    world.serve(world.disk("two"));
    Client gone(world);
    gone.enter(Style::simple, "one");
    Client stays(world);
    stays.enter(Style::simple, "two");
    Client waits(world);
    waits.greet();
    world.device.hold = true;
    gone.send(gone.request(cmd_read, 0, 1, 0, 512));
    world.run_until([&] { return world.device.held.size() == 1; });
    bool done = false;
    EXPECT_TRUE(world.server->remove_export("one", [&] { done = true; }));
    EXPECT_FALSE(world.server->remove_export("one", nullptr));
    world.settle();
    EXPECT_FALSE(done);
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(gone.receive(16 + 512).size(), 16u + 512);
    EXPECT_TRUE(gone.sees_close());
    world.run_until([&] { return done; });
    EXPECT_EQ(stays.ask(cmd_flush, 0, 0, 0), 0u);
    EXPECT_EQ(waits.option(opt_go, Bytes().string("one").u16(0)), rep_err_unknown);
    EXPECT_EQ(waits.option(opt_go, Bytes().string("").u16(0)), rep_ack);
}

TEST_P(NbdServers, RemovingTheLastExportClosesTheAddress) {
    World world(GetParam());
    world.serve();
    Client handshaking(world);
    handshaking.greet();
    bool done = false;
    world.server->remove_export("disk", [&] { done = true; });
    world.run_until([&] { return done; });
    EXPECT_TRUE(handshaking.sees_close());
    world.run_until([&] { return !Client(world).connected; });
    EXPECT_NE(::access(world.path.c_str(), F_OK), 0);
    world.serve();  // And it can come back.
    Client again(world);
    again.enter();
}

TEST_P(NbdServers, AnExportCanBeReplacedAtItsAddress) {
    World world(GetParam());
    world.serve();
    Client before(world);
    before.enter();
    bool done = false;
    world.server->remove_export("disk", [&] { done = true; });
    NbdExportOptions options = world.disk();
    options.read_only = true;
    world.serve(options);
    EXPECT_TRUE(before.sees_close());
    world.run_until([&] { return done; });
    Client after(world);
    after.enter();
    EXPECT_EQ(after.ask(cmd_trim, 0, 0, 512), error_eperm);
}

TEST_P(NbdServers, ShutdownAnswersWhatIsInFlight) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::simple);
    Client idle(world);
    idle.enter(Style::simple);
    world.device.hold = true;
    for (unsigned at = 0; at < 100; ++at) client.send(client.request(cmd_read, 0, at, 0, 512));
    world.run_until([&] { return world.device.held.size() == 100; });
    bool done = false;
    world.server->shut_down([&] { done = true; });
    client.send(client.request(cmd_read, 0, 1, 0, 512));  // Too late: not read.
    EXPECT_TRUE(idle.sees_close());
    EXPECT_FALSE(done);
    world.device.hold = false;
    world.device.release_held();
    EXPECT_EQ(client.receive(100 * (16 + 512)).size(), 100u * (16 + 512));
    EXPECT_TRUE(client.sees_close());
    client.close();
    world.run_until([&] { return done; });
    EXPECT_EQ(world.device.submitted, 100u);
}

TEST_P(NbdServers, AtTheOwnersDeadlineConnectionsCloseAtOnce) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter(Style::simple);
    world.device.hold = true;
    client.send(client.request(cmd_read, 0, 1, 0, 512));
    world.run_until([&] { return world.device.held.size() == 1; });
    bool done = false;
    world.server->shut_down([&] { done = true; });
    world.server->abort_connections("the deadline has passed");
    EXPECT_TRUE(client.sees_close());
    EXPECT_FALSE(done);  // The device still has the request.
    world.device.release_held();
    world.run_until([&] { return done; });
}

TEST_P(NbdServers, ManyClientsAtOnce) {
    World world(GetParam());
    world.serve();
    std::vector<std::unique_ptr<Client>> clients;
    for (int at = 0; at < 128; ++at) {
        clients.push_back(std::make_unique<Client>(world));
        clients.back()->enter(Style::simple);
    }
    for (const auto& client : clients) client->send(client->request(cmd_read, 0, 1, 0, 65536));
    for (const auto& client : clients) EXPECT_EQ(client->receive(16 + 65536).size(), 16u + 65536);
    EXPECT_EQ(world.recorder.entered, 128u);
    EXPECT_EQ(world.server->connections(), 128u);
}

ON_BOTH_BACKENDS(NbdServers);

}  // namespace
}  // namespace braidway::exports
