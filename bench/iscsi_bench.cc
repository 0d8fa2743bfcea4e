// SPDX-License-Identifier: Apache-2.0
// One iSCSI path, without map and export: random reads or writes of 4 KiB at one depth.
// bench/iscsi.py sets it beside libiscsi's own iscsi-perf on the same target. Prints I/Os per
// second, system calls of the loop (the library makes its own) and CPU time per I/O.
#include <fmt/format.h>
#include <sys/resource.h>

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "path/iscsi_device.h"

namespace {

using namespace braidway;

constexpr Duration warm_up = std::chrono::milliseconds(300);

/// One request at a time, and the next when it has ended, until the end of the measurement.
struct Client final : block::CompletionStage {
    block::BlockDevice* device = nullptr;
    Random* random = nullptr;
    Instant end;
    block::Request request;
    std::vector<std::byte> memory = std::vector<std::byte>(4096);
    iovec data{memory.data(), memory.size()};
    IoOp op = IoOp::read;
    uint64_t done = 0;
    bool idle = false;

    void submit() {
        request.reset();
        request.op = op;
        request.offset_bytes = random->below(device->geometry().size_bytes / 4096) * 4096;
        request.length_bytes = 4096;
        request.data = {&data, 1};
        request.push(*this);
        device->submit(request);
    }
    void completed(block::Request& answered) override {
        answered.pop();
        CHECK(answered.status() == IoStatus::ok, "the target answers");
        ++done;
        idle = monotonic_now() >= end;
        if (!idle) submit();
    }
};

uint64_t measure(loop::Loop& loop, path::IscsiDevice& device, IoOp op, unsigned depth,
                 Duration length) {
    Random random(1);
    std::vector<std::unique_ptr<Client>> clients;
    for (unsigned index = 0; index < depth; ++index) {
        clients.push_back(std::make_unique<Client>());
        Client& client = *clients.back();
        client.device = &device;
        client.random = &random;
        client.op = op;
        client.end = monotonic_now() + length;
        client.submit();
    }
    for (bool busy = true; busy;) {
        loop.turn();
        busy = false;
        for (const auto& client : clients) busy = busy || !client->idle;
    }
    uint64_t done = 0;
    for (const auto& client : clients) done += client->done;
    return done;
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int fail_with(std::string_view text) {
    fmt::print(stderr, "iscsi_bench: {}\n", text);
    return 1;
}

unsigned number(std::string_view text) {
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 5 || number(arguments[3]) == 0 || number(arguments[4]) == 0)
        return fail_with("expected URI read|write DEPTH SECONDS");
    std::signal(SIGPIPE, SIG_IGN);
    const auto uri = path::IscsiUri::parse(arguments[1]);
    if (!uri) return fail_with(uri.error().message);
    const IoOp op = std::string_view(arguments[2]) == "write" ? IoOp::write : IoOp::read;
    auto loop = loop::Loop::create();
    if (!loop) return fail_with(loop.error().message);
    path::IscsiOptions options;
    options.uri = *uri;
    options.initiator = "iqn.2026-11.org.braidway:bench";
    options.commands_max = 128;
    path::iscsi_port_id(options, "bench", "bench", "bench");
    path::IscsiDevice device(**loop, options);
    std::optional<Result<path::FabricFinding>> found;
    device.connect([&](Result<path::FabricFinding> finding) { found = std::move(finding); });
    while (!found) (*loop)->turn();
    if (!*found) return fail_with(found->error().message);
    device.admit();
    const unsigned depth = number(arguments[3]);
    const unsigned seconds = number(arguments[4]);
    measure(**loop, device, op, depth, warm_up);
    const uint64_t calls = (*loop)->counters().system_calls;
    const double cpu = cpu_seconds();
    const auto done =
        static_cast<double>(measure(**loop, device, op, depth, std::chrono::seconds(seconds)));
    fmt::print("{{\"iops\": {:.0f}, \"calls_per_io\": {:.3f}, \"cpu_us_per_io\": {:.2f}}}\n",
               done / seconds, static_cast<double>((*loop)->counters().system_calls - calls) / done,
               (cpu_seconds() - cpu) * 1e6 / done);
    device.disconnect();
    while (!device.quiet()) (*loop)->turn();
    return 0;
}
