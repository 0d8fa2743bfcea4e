// SPDX-License-Identifier: Apache-2.0
// Counts allocations while a client works: there are none per I/O. A program of its own, because it
// replaces operator new.
#include "nbd_harness.h"
#include "support/heap_counter.h"

namespace braidway::exports {
namespace {

class NbdAllocation : public OnBackend {};

TEST_P(NbdAllocation, NoneIsMadePerRequest) {
    World world(GetParam());
    world.serve();
    Client client(world);
    client.enter();
    Bytes batch;
    for (unsigned at = 0; at < 64; ++at) {
        batch.add(client.request(cmd_read, 0, at, at * 4096, 4096));
        batch.add(client.write(at, at * 4096, std::string(at % 4 == 0 ? 32768 : 4096, 'x')));
    }
    batch.add(client.request(cmd_flush, 0, 1, 0, 0));
    batch.add(client.request(cmd_block_status, 0, 1, 0, 65536));
    batch.add(client.request(cmd_read, 0, 1, 1, 1));  // Refused.
    std::vector<char> replies(1 << 20);
    uint64_t before = 0;
    for (int round = 0; round < 50; ++round) {
        // The first rounds may touch slots and grow the timers' heap.
        if (round == 10) before = heap_requests();
        const uint64_t requests = world.server->find_export("disk")->counters.requests_total();
        std::span<const std::byte> left(batch.get());
        const Instant give_up = world.loop->now() + patience;
        while (world.server->find_export("disk")->counters.requests_total() < requests + 130) {
            ASSERT_LT(world.loop->now(), give_up);
            left = left.subspan(client.send_some(left));
            while (::recv(client.fd(), replies.data(), replies.size(), MSG_DONTWAIT) > 0) {}
            world.loop->turn(world.loop->now() + std::chrono::milliseconds(1));
        }
    }
    EXPECT_EQ(heap_requests() - before, 0u);
    EXPECT_GE(world.server->find_export("disk")->counters.requests_total(), 50u * 130);
}

ON_BOTH_BACKENDS(NbdAllocation);

}  // namespace
}  // namespace braidway::exports
