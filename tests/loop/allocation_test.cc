// SPDX-License-Identifier: Apache-2.0
// No operation allocates: counted on the loop's thread.
#include <array>
#include <deque>

#include "fixture.h"
#include "support/heap_counter.h"

namespace braidway::loop {
namespace {

class LoopAllocations : public LoopTest {};
ON_BOTH_BACKENDS(LoopAllocations);

/// A client that sends a byte and a server that answers, and a file, round and round.
struct Traffic {
    Traffic(Loop& its_loop, File its_file, File its_server, File its_client)
        : loop(its_loop), file(its_file), server(its_server), client(its_client) {
        for (Step* step : {&reading, &receiving, &sending, &asking, &hearing}) {
            step->traffic = this;
            step->done = [](Operation& ended, int32_t result) {
                auto& self = static_cast<Step&>(ended);
                self.traffic->next(self, result);
            };
        }
        hook.owner = this;
        hook.run = [](TurnEnd& ended) { ++static_cast<Traffic*>(ended.owner)->hooks; };
        timer.fire = [](Timer&, Instant) {};
    }

    struct Step : Operation {
        Traffic* traffic = nullptr;
    };
    std::array<Operation*, 5> all() { return {&reading, &receiving, &sending, &asking, &hearing}; }

    void start() {
        loop.receive(receiving, server, &in, 1);
        loop.send(asking, client, &out, 1);
        loop.receive(hearing, client, &in, 1);
        loop.read(reading, file, &block, 1, 0);
    }

    void next(Step& step, int32_t result) {
        if (result <= 0) ++errors;
        if (++steps >= steps_max) return;
        loop.at_turn_end(hook);
        loop.arm_after(timer, std::chrono::hours(1));
        if (&step == &reading) {
            loop.read(reading, file, &block, 1, 0);
        } else if (&step == &receiving) {
            loop.send(sending, server, &out, 1);
        } else if (&step == &sending) {
            loop.receive(receiving, server, &in, 1);
        } else if (&step == &hearing) {
            loop.send(asking, client, &out, 1);
            loop.receive(hearing, client, &in, 1);
        }
    }

    Loop& loop;
    File file;
    File server;
    File client;
    std::array<char, 512> read_memory{};
    std::array<char, 16> socket_memory{};
    iovec block{read_memory.data(), read_memory.size()};
    iovec in{socket_memory.data(), socket_memory.size()};
    iovec out{socket_memory.data(), 1};
    Step reading, receiving, sending, asking, hearing;
    TurnEnd hook;
    Timer timer;
    int steps = 0;
    int steps_max = 0;
    int hooks = 0;
    int errors = 0;
};

TEST_P(LoopAllocations, NothingIsAllocatedPerOperation) {
    OpenFile file(*loop_, temporary_file());
    ASSERT_EQ(ftruncate(file.fd(), 4096), 0);
    SocketPair pair;
    OpenFile server(*loop_, pair.fds[0]);
    OpenFile client(*loop_, pair.fds[1]);
    Traffic traffic(*loop_, file, server, client);
    // Warm-up: the heap of timers grows, and so many calls start all workers there may be.
    std::deque<Probe> probes(1000);
    for (Probe& probe : probes) loop_->sync_data(probe, file);
    turn_until([&] { return loop_->in_flight() == 0; });
    traffic.steps_max = 200;
    traffic.start();
    turn_until([&] { return traffic.steps >= 200; });

    for (Operation* operation : traffic.all()) loop_->cancel(*operation);
    turn_until([&] { return loop_->in_flight() == 0; });
    traffic.errors = 0;

    const uint64_t before = heap_requests_of_this_thread();
    traffic.steps = 0;
    traffic.steps_max = 5000;
    traffic.start();
    turn_until([&] { return traffic.steps >= 5000; });
    EXPECT_EQ(heap_requests_of_this_thread(), before);
    EXPECT_EQ(traffic.errors, 0);
    EXPECT_GT(traffic.hooks, 0);

    for (Operation* operation : traffic.all()) loop_->cancel(*operation);
    loop_->disarm(traffic.timer);
    turn_until([&] { return loop_->in_flight() == 0; });
}

TEST(LoopAllocationCounter, CountsWhatIsAllocated) {
    const uint64_t before = heap_requests_of_this_thread();
    operator delete(operator new(8));
    EXPECT_EQ(heap_requests_of_this_thread(), before + 1);
}

}  // namespace
}  // namespace braidway::loop
