// SPDX-License-Identifier: Apache-2.0
// A small NBD server for trying real clients by hand: a device in memory (or of zeroes) under the
// export "disk".
//
//     nbd_test_server unix:/tmp/disk.sock [SIZE_MIB] [memory|zero|hole] [uring|epoll] [MIN_BLOCK]
//
// Ends on SIGINT and SIGTERM when its clients' requests are done.
#include <signal.h>
#include <sys/signalfd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "block/zero.h"
#include "export/nbd_server.h"
#include "memory_device.h"

namespace braidway::exports {
namespace {

class Printer final : public NbdObserver {
  public:
    void client_entered(const NbdClient& client) override {
        std::fprintf(stderr, "%s entered %s\n", client.peer.c_str(), client.export_name.c_str());
    }
    void client_left(const NbdClient& client, std::string_view reason, bool fault) override {
        std::fprintf(stderr, "%s left: %.*s%s\n", client.peer.c_str(),
                     static_cast<int>(reason.size()), reason.data(), fault ? " (fault)" : "");
    }
};

int run(int count, char** arguments) {
    const auto argument = [&](int at, const char* otherwise) {
        return std::string(count > at ? arguments[at] : otherwise);
    };
    const Result<NbdAddress> address = NbdAddress::parse(argument(1, "unix:/tmp/disk.sock"));
    if (!address) return std::fprintf(stderr, "%s\n", address.error().message.c_str()), 2;
    const bool epoll = argument(4, "uring") == "epoll";
    auto loop = loop::Loop::create(epoll ? loop::Backend::epoll : loop::Backend::automatic);
    auto pool = memory::BufferPool::create(limits::pool_bytes_default);
    if (!loop || !pool) return std::fprintf(stderr, "no loop or no pool\n"), 1;

    const size_t bytes = std::stoul(argument(2, "1024")) << 20;
    MemoryDevice memory(**loop, argument(3, "memory") == "memory" ? bytes : 512);
    block::ZeroDevice zero(**loop, {bytes, 512, argument(3, "memory") == "hole"});
    Printer printer;
    NbdServer server(**loop, **pool, printer);
    NbdExportOptions options;
    options.name = "disk";
    options.description = "a disk in memory";
    options.device =
        argument(3, "memory") == "memory" ? static_cast<block::BlockDevice*>(&memory) : &zero;
    options.multi_conn = true;
    options.minimum_block = static_cast<uint32_t>(std::stoul(argument(5, "0")));
    std::vector<NbdListen> listens;
    listens.push_back({*address, {}});
    if (auto added = server.add_export(options, std::move(listens)); !added)
        return std::fprintf(stderr, "%s\n", added.error().message.c_str()), 1;
    std::fprintf(stderr, "%s on %.*s\n", server.addresses_of("disk")[0].c_str(),
                 static_cast<int>((*loop)->description().size()), (*loop)->description().data());

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    const OwnedFd signal_fd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
    struct Stop {
        loop::Operation operation;
        NbdServer* server;
        loop::Loop* loop;
    } stop{{}, &server, loop->get()};
    const loop::File file = (*loop)->add_file(signal_fd.get());
    stop.operation.owner = &stop;
    stop.operation.done = [](loop::Operation& operation, int32_t) {
        auto& told = *static_cast<Stop*>(operation.owner);
        told.server->shut_down([&told] { told.loop->stop(); });
    };
    (*loop)->poll(stop.operation, file, 1);
    (*loop)->run();
    (*loop)->remove_file(file);
    const loop::LoopCounters& counters = (*loop)->counters();
    std::fprintf(stderr, "turns %lu sleeps %lu system calls %lu operations %lu\n", counters.turns,
                 counters.sleeps, counters.system_calls, counters.operations);
    return 0;
}

}  // namespace
}  // namespace braidway::exports

int main(int count, char** arguments) {
    return braidway::exports::run(count, arguments);
}
