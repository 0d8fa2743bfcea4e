// SPDX-License-Identifier: Apache-2.0
// Long because: what a loop promises without the kernel, for both backends.
#include "loop/loop.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <deque>
#include <thread>
#include <vector>

#include "fixture.h"

namespace braidway::loop {
namespace {

using namespace std::chrono_literals;

class LoopTurns : public LoopTest {};
ON_BOTH_BACKENDS(LoopTurns);

TEST_P(LoopTurns, SaysWhatItIsBuiltOn) {
    EXPECT_EQ(loop_->backend(), GetParam());
    EXPECT_NE(loop_->description().find(GetParam() == Backend::epoll ? "epoll" : "io_uring"),
              std::string_view::npos);
}

TEST_P(LoopTurns, KnowsTheCpuThatItRunsOn) {
    EXPECT_LT(loop_->cpu(), static_cast<uint32_t>(::sysconf(_SC_NPROCESSORS_CONF)));
}

TEST_P(LoopTurns, CompleteSoonRunsLaterAndBeforeSleeping) {
    Probe probe;
    loop_->complete_soon(probe, 42);
    EXPECT_EQ(probe.ended, 0);
    EXPECT_FALSE(probe.idle());
    loop_->turn();
    EXPECT_EQ(probe.ended, 1);
    EXPECT_EQ(probe.result, 42);
    EXPECT_EQ(loop_->counters().sleeps, 0u);
}

TEST_P(LoopTurns, AHeldOperationIsUnderWayUntilItIsReleased) {
    Probe probe;
    loop_->hold(probe);
    loop_->cancel(probe);  // Is for whoever holds it.
    loop_->turn(monotonic_now());
    EXPECT_EQ(probe.ended, 0);
    EXPECT_FALSE(probe.idle());
    EXPECT_EQ(loop_->in_flight(), 1u);
    loop_->release(probe, -EPROTO);
    EXPECT_EQ(probe.ended, 0) << "done runs from the loop, not inside the call";
    loop_->turn();
    EXPECT_EQ(probe.ended, 1);
    EXPECT_EQ(probe.result, -EPROTO);
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_P(LoopTurns, ManyReadyOperationsAreBoundedPerTurnAndNoneIsLost) {
    std::deque<Probe> probes(10000);
    for (Probe& probe : probes) loop_->complete_soon(probe, 1);
    turn_until([&] { return loop_->in_flight() == 0; });
    EXPECT_GE(loop_->counters().turns, 3u);
    EXPECT_EQ(loop_->counters().sleeps, 0u);
    for (Probe& probe : probes) EXPECT_EQ(probe.ended, 1);
}

struct Hook : TurnEnd {
    Hook() {
        run = [](TurnEnd& hook) { ++static_cast<Hook&>(hook).count; };
    }
    int count = 0;
};

TEST_P(LoopTurns, TurnEndRunsOnceHoweverOftenItIsAskedFor) {
    Hook hook;
    loop_->at_turn_end(hook);
    loop_->at_turn_end(hook);
    loop_->turn();
    EXPECT_EQ(hook.count, 1);
    loop_->turn(monotonic_now());
    EXPECT_EQ(hook.count, 1);
    loop_->at_turn_end(hook);
    loop_->turn();
    EXPECT_EQ(hook.count, 2);
}

TEST_P(LoopTurns, TurnEndComesAfterTheCompletionsOfItsTurn) {
    struct Asks : Operation {
        Loop* loop = nullptr;
        Hook* hook = nullptr;
        int* completions = nullptr;
    };
    struct Watcher : Hook {
        int completions = 0;
        int seen = -1;
    } watcher;
    watcher.run = [](TurnEnd& hook) {
        auto& self = static_cast<Watcher&>(hook);
        self.seen = self.completions;
    };
    std::deque<Asks> operations(3);
    for (Asks& operation : operations) {
        operation.loop = loop_.get();
        operation.hook = &watcher;
        operation.completions = &watcher.completions;
        operation.done = [](Operation& ended, int32_t) {
            auto& self = static_cast<Asks&>(ended);
            ++*self.completions;
            self.loop->at_turn_end(*self.hook);
        };
        loop_->complete_soon(operation, 0);
    }
    loop_->turn();
    EXPECT_EQ(watcher.seen, 3);
}

TEST_P(LoopTurns, WhatAHookCompletesDoesNotWaitForTheKernel) {
    struct Completes : TurnEnd {
        Loop* loop = nullptr;
        Probe probe;
    } hook;
    hook.loop = loop_.get();
    hook.run = [](TurnEnd& ended) {
        auto& self = static_cast<Completes&>(ended);
        self.loop->complete_soon(self.probe, 7);
    };
    loop_->at_turn_end(hook);
    EXPECT_EQ(finish(hook.probe), 7);
    EXPECT_EQ(loop_->counters().sleeps, 0u);
}

TEST_P(LoopTurns, UnderIoUringATurnMakesOneSystemCallForAllItStarts) {
    if (GetParam() == Backend::epoll) GTEST_SKIP() << "epoll makes a call for each";
    OpenFile file(*loop_, temporary_file());
    SocketPair pair;
    OpenFile socket(*loop_, pair.fds[0]);
    OpenFile peer(*loop_, pair.fds[1]);
    loop_->turn(monotonic_now());
    char out[64] = {};
    char in[64];
    iovec out_iov{out, sizeof out};
    iovec in_iov{in, sizeof in};
    std::deque<Probe> probes(33);
    for (int round = 0; round < 10; ++round) {
        const LoopCounters before = loop_->counters();
        loop_->receive(probes[32], peer, &in_iov, 1);
        for (size_t at = 0; at < 31; ++at) loop_->write(probes[at], file, &out_iov, 1, 0, false);
        loop_->send(probes[31], socket, &out_iov, 1);
        turn_until([&] { return loop_->in_flight() == 0; });
        const LoopCounters& after = loop_->counters();
        EXPECT_LE(after.system_calls - before.system_calls, after.turns - before.turns);
    }
}

struct CountingTimer : Timer {
    explicit CountingTimer(Loop& of) : loop(of) {
        fire = [](Timer& timer, Instant) { ++static_cast<CountingTimer&>(timer).count; };
    }
    Loop& loop;
    int count = 0;
};

TEST_P(LoopTurns, TimersFireInOrderAndNotBeforeTheirTime) {
    struct Ordered : CountingTimer {
        using CountingTimer::CountingTimer;
        std::vector<int>* order = nullptr;
        int id = 0;
    };
    std::vector<int> order;
    std::deque<Ordered> timers;
    const Instant start = monotonic_now();
    for (const int id : {3, 1, 2}) {
        Ordered& timer = timers.emplace_back(*loop_);
        timer.order = &order;
        timer.id = id;
        timer.fire = [](Timer& fired, Instant now) {
            auto& self = static_cast<Ordered&>(fired);
            EXPECT_GE(now, self.deadline);
            self.order->push_back(self.id);
        };
        loop_->arm(timer, start + id * 2ms);
    }
    turn_until([&] { return order.size() == 3; });
    EXPECT_EQ(order, (std::vector{1, 2, 3}));
    EXPECT_GE(monotonic_now() - start, 6ms);
}

TEST_P(LoopTurns, ATimerMayArmItselfAgainWhenItFires) {
    CountingTimer timer(*loop_);
    timer.fire = [](Timer& fired, Instant) {
        auto& self = static_cast<CountingTimer&>(fired);
        if (++self.count < 5) self.loop.arm_after(self, 100us);
    };
    loop_->arm_after(timer, 100us);
    turn_until([&] { return timer.count == 5; });
    EXPECT_FALSE(timer.armed());
}

TEST_P(LoopTurns, ATimerThatWasDisarmedDoesNotFire) {
    CountingTimer gone(*loop_);
    CountingTimer stays(*loop_);
    loop_->arm_after(gone, 1ms);
    loop_->arm_after(stays, 2ms);
    loop_->disarm(gone);
    turn_until([&] { return stays.count == 1; });
    EXPECT_EQ(gone.count, 0);
}

TEST_P(LoopTurns, ATurnEndsAtItsDeadline) {
    const Instant deadline = monotonic_now() + 2ms;
    loop_->turn(deadline);
    EXPECT_GE(monotonic_now(), deadline);
}

TEST_P(LoopTurns, NowStandsStillDuringATurn) {
    struct Reads : Operation {
        Loop* loop = nullptr;
        Instant seen;
    } first, second;
    for (Reads* one : {&first, &second}) {
        one->loop = loop_.get();
        one->done = [](Operation& operation, int32_t) {
            auto& self = static_cast<Reads&>(operation);
            const Instant entered = monotonic_now();
            self.seen = self.loop->now();
            while (monotonic_now() == entered) {}
        };
        loop_->complete_soon(*one, 0);
    }
    loop_->turn();
    EXPECT_EQ(first.seen, second.seen);
    EXPECT_GE(loop_->now(), first.seen);
}

struct Counted : Message {
    explicit Counted(std::vector<int>& list, int name) : order(list), id(name) {
        run = [](Message& message) {
            auto& self = static_cast<Counted&>(message);
            self.order.push_back(self.id);
        };
    }
    std::vector<int>& order;
    int id;
};

TEST_P(LoopTurns, MessagesOfOneSenderRunInTheirOrder) {
    std::vector<int> order;
    std::deque<Counted> messages;
    for (int id = 0; id < 10; ++id) loop_->post(messages.emplace_back(order, id));
    loop_->turn();
    EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(loop_->counters().sleeps, 0u);
}

TEST_P(LoopTurns, AMessageMayDeleteItselfAndPostAnother) {
    struct Heir : Message {
        Loop* loop = nullptr;
        int* count = nullptr;
        int left = 3;
    };
    int count = 0;
    auto* heir = new Heir;
    heir->loop = loop_.get();
    heir->count = &count;
    heir->run = [](Message& message) {
        auto* self = static_cast<Heir*>(&message);
        ++*self->count;
        if (--self->left > 0) return self->loop->post(*self);
        delete self;
    };
    loop_->post(*heir);
    turn_until([&] { return count == 3; });
}

TEST_P(LoopTurns, TakesMessagesFromFourThreads) {
    constexpr int each = 5000;
    struct Sent : Message {
        int* received = nullptr;
    };
    int received = 0;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            for (int count = 0; count < each; ++count) {
                auto* message = new Sent;
                message->received = &received;
                message->run = [](Message& sent) {
                    auto* self = static_cast<Sent*>(&sent);
                    ++*self->received;
                    delete self;
                };
                loop_->post(*message);
                if (count % 64 == 0) std::this_thread::yield();
            }
        });
    }
    turn_until([&] { return received == 4 * each; });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(received, 4 * each);
}

TEST_P(LoopTurns, StopsFromAnotherThreadAfterTheMessagesBeforeIt) {
    for (int round = 0; round < 50; ++round) {
        std::vector<int> order;
        Counted message(order, 1);
        std::thread stopper([&] {
            loop_->post(message);
            loop_->stop();
        });
        loop_->run();
        stopper.join();
        EXPECT_EQ(order.size(), 1u);
    }
}

TEST_P(LoopTurns, StopBeforeRunEndsTheRunAfterOneTurn) {
    Probe probe;
    loop_->complete_soon(probe, 1);
    loop_->stop();
    loop_->run();
    EXPECT_EQ(probe.ended, 1);
}

TEST_P(LoopTurns, AnIdleLoopMakesNoTurnUntilItIsWoken) {
    // A timer that is far away must not wake it either.
    CountingTimer far(*loop_);
    loop_->arm_after(far, 1h);
    struct Look : Message {
        Loop* loop = nullptr;
        uint64_t turns = 0;
        uint64_t system_calls = 0;
        std::atomic<bool> ran = false;
    } settles, before, after;
    for (Look* look : {&settles, &before, &after}) {
        look->loop = loop_.get();
        look->run = [](Message& message) {
            auto& self = static_cast<Look&>(message);
            self.turns = self.loop->counters().turns;
            self.system_calls = self.loop->counters().system_calls;
            self.ran = true;
            self.ran.notify_one();
        };
    }
    std::thread other([&] {
        // A message that meets a loop on its way to sleep may wake it once more than needed.
        loop_->post(settles);
        settles.ran.wait(false);
        std::this_thread::sleep_for(20ms);
        loop_->post(before);
        before.ran.wait(false);
        std::this_thread::sleep_for(100ms);  // The time in which nothing must happen.
        loop_->post(after);
        after.ran.wait(false);
        loop_->stop();
    });
    loop_->run();
    other.join();
    EXPECT_EQ(after.turns, before.turns + 1) << "one turn, for the message";
    EXPECT_LE(after.system_calls, before.system_calls + 3);
    loop_->disarm(far);
}

struct Work : BlockingCall {
    Work() {
        work = [](BlockingCall& call) {
            auto& self = static_cast<Work&>(call);
            self.worked_on = std::this_thread::get_id();
            self.value = 41;
        };
        done = [](BlockingCall& call) {
            auto& self = static_cast<Work&>(call);
            ++self.value;
            self.done_on = std::this_thread::get_id();
        };
    }
    int value = 0;
    std::thread::id worked_on;
    std::thread::id done_on;
};

TEST_P(LoopTurns, RunsBlockingCallsElsewhereAndTheirEndOnTheLane) {
    std::deque<Work> calls(20);
    for (Work& call : calls) loop_->run_blocking(call);
    EXPECT_EQ(loop_->in_flight(), 20u);
    turn_until([&] { return loop_->in_flight() == 0; });
    for (Work& call : calls) {
        EXPECT_EQ(call.value, 42);
        EXPECT_NE(call.worked_on, std::this_thread::get_id());
        EXPECT_EQ(call.done_on, std::this_thread::get_id());
    }
    loop_->run_blocking(calls[0]);
    turn_until([&] { return loop_->in_flight() == 0; });
}

TEST_P(LoopTurns, MayBeMadeOnAnotherThreadThanTheOneThatRunsIt) {
    Probe probe;
    int fds[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    File file = loop_->add_file(fds[0]);
    char buffer[4];
    iovec iov{buffer, sizeof buffer};
    loop_->receive(probe, file, &iov, 1);
    ASSERT_EQ(::write(fds[1], "abcd", 4), 4);
    std::thread lane([&] {
        EXPECT_EQ(finish(probe), 4);
        loop_->remove_file(file);
    });
    lane.join();
    close(fds[0]);
    close(fds[1]);
}

using LoopDeathTest = LoopTest;
INSTANTIATE_TEST_SUITE_P(Backends, LoopDeathTest,
                         testing::Values(Backend::io_uring, Backend::epoll), backend_name);

TEST_P(LoopDeathTest, DiesWhenAnOperationInFlightIsStartedAgain) {
    Probe probe;
    loop_->complete_soon(probe, 0);
    EXPECT_DEATH(loop_->complete_soon(probe, 0), "in flight");
    loop_->turn();
}

TEST_P(LoopDeathTest, DiesWhenItGoesWithOperationsInFlight) {
    Probe probe;
    loop_->complete_soon(probe, 0);
    EXPECT_DEATH(loop_.reset(), "after its operations have ended");
    loop_->turn();
}

}  // namespace
}  // namespace braidway::loop
