// SPDX-License-Identifier: Apache-2.0
// Addresses: who gets in, and what is found there.
#include "export/nbd_listener.h"

#include <netinet/in.h>
#include <sys/resource.h>

#include "nbd_harness.h"

namespace braidway::exports {
namespace {

class NbdListeners : public OnBackend {};

TEST_P(NbdListeners, ExtendedHeadersAreOfferedOnlyWhereEveryExportHasThem) {
    World world(GetParam());
    world.serve(world.disk("one"));
    Client before(world);
    before.greet();
    EXPECT_EQ(before.option(opt_extended_headers), rep_ack);
    NbdExportOptions narrow = world.disk("two");
    narrow.extended_headers = false;
    world.serve(narrow);
    Client client(world);
    client.greet();
    EXPECT_EQ(client.option(opt_extended_headers), rep_err_unsup);
}

TEST_P(NbdListeners, ConnectionsBeyondTheLimitAreClosedAndTold) {
    NbdServerOptions options;
    options.connections_max = 3;
    World world(GetParam(), options);
    world.serve();
    std::vector<std::unique_ptr<Client>> clients;
    for (int at = 0; at < 3; ++at) {
        clients.push_back(std::make_unique<Client>(world));
        clients.back()->enter();
    }
    Client fourth(world);
    EXPECT_TRUE(fourth.sees_close());
    EXPECT_EQ(world.recorder.refused, 1u);
    clients.pop_back();
    world.run_until([&] { return world.server->connections() == 2; });
    Client fifth(world);
    fifth.enter();
}

TEST_P(NbdListeners, OneExportAtTwoAddresses) {
    World world(GetParam());
    std::vector<NbdListen> listens;
    listens.push_back(world.listen());
    listens.push_back({*NbdAddress::parse("tcp:127.0.0.1:0"), {}});
    ASSERT_TRUE(world.server->add_export(world.disk(), std::move(listens)));
    const std::vector<std::string> addresses = world.server->addresses_of("disk");
    ASSERT_EQ(addresses.size(), 2u);
    EXPECT_EQ(addresses[0], "unix:" + world.path);
    const auto tcp = NbdAddress::parse(addresses[1]);
    ASSERT_TRUE(tcp.has_value());
    const OwnedFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(tcp->port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    char greeting[32];
    ssize_t got = 0;
    world.run_until([&] {
        got = ::recv(fd.get(), greeting, sizeof greeting, MSG_DONTWAIT);
        return got > 0;
    });
    EXPECT_EQ(got, static_cast<ssize_t>(greeting_bytes));
}

TEST_P(NbdListeners, GoOnAfterDescriptorsRanOut) {
    World world(GetParam());
    world.serve();
    Client waiting(world);  // In the backlog.
    // UBSan opens a pipe when it first sees a call of this type, and there will be no descriptor.
    NbdObserver& observer = world.recorder;
    observer.accept_failed("", 0);
    world.recorder.accept_failures = 0;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 3;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    world.run_until([&] { return world.recorder.accept_failures > 0; });
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    waiting.enter();
    EXPECT_EQ(waiting.ask(cmd_flush, 0, 0, 0), 0u);
}

ON_BOTH_BACKENDS(NbdListeners);

}  // namespace
}  // namespace braidway::exports
