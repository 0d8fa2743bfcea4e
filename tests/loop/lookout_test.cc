// SPDX-License-Identifier: Apache-2.0
#include "loop/lookout.h"

#include <thread>

#include "fixture.h"

namespace braidway::loop {
namespace {

/// How often of `waits` it looks when nothing is ever found.
unsigned looks_in_vain(Lookout& lookout, unsigned waits) {
    unsigned looks = 0;
    for (unsigned wait = 0; wait < waits; ++wait) {
        if (!lookout.worth_it()) continue;
        ++looks;
        lookout.looked(false);
    }
    return looks;
}

TEST(Lookout, LooksEachTimeWhileItFindsSomething) {
    Lookout lookout;
    for (int wait = 0; wait < 100; ++wait) {
        ASSERT_TRUE(lookout.worth_it());
        lookout.looked(true);
    }
}

TEST(Lookout, HardlyEverLooksWhereThatIsInVain) {
    Lookout lookout;
    EXPECT_LE(looks_in_vain(lookout, 1000), 7u) << "8, 16, 32, ... are left out";
    EXPECT_GE(looks_in_vain(lookout, 3 * limits::looks_left_out_max), 2u) << "but never gives up";
    EXPECT_LE(looks_in_vain(lookout, 100 * limits::looks_left_out_max), 101u);
}

TEST(Lookout, ComesBackWhenThePeerIsQuickAgain) {
    Lookout lookout;
    looks_in_vain(lookout, 10 * limits::looks_left_out_max);
    unsigned waits = 0;
    while (!lookout.worth_it()) ++waits;
    EXPECT_LE(waits, limits::looks_left_out_max);
    for (int wait = 0; wait < 20; ++wait) {
        lookout.looked(true);
        ASSERT_TRUE(lookout.worth_it());
    }
    // What was long ago does not count any more.
    lookout.looked(false);
    for (int wait = 0; wait < 8; ++wait) EXPECT_FALSE(lookout.worth_it());
    EXPECT_TRUE(lookout.worth_it());
}

TEST(Lookout, LooksLessWhereItFindsOneInThree) {
    Lookout lookout;
    unsigned looks = 0;
    for (unsigned wait = 0; wait < 3000; ++wait) {
        if (!lookout.worth_it()) continue;
        lookout.looked(++looks % 3 == 0);
    }
    EXPECT_LT(looks, 100u);
}

class LoopLooks : public LoopTest {
  protected:
    bool looks() const { return loop_->backend() == Backend::io_uring; }
};
ON_BOTH_BACKENDS(LoopLooks);

TEST_P(LoopLooks, OnlyWhereItIsAskedToAndSleepsWhenNothingComes) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    char buffer[16];
    iovec into{buffer, sizeof buffer};
    Probe receiving;
    loop_->receive(receiving, ours, &into, 1);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    EXPECT_EQ(loop_->counters().looks, 0u);
    loop_->look_first();
    const Instant end = monotonic_now() + std::chrono::milliseconds(20);
    loop_->turn(end);
    EXPECT_GE(monotonic_now(), end) << "it slept";
    EXPECT_EQ(loop_->counters().looks, looks() ? 1u : 0u);
    EXPECT_EQ(loop_->counters().looks_found, 0u);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    EXPECT_EQ(loop_->counters().looks, looks() ? 1u : 0u) << "asked for is one wait";
    ASSERT_EQ(::write(pair.fds[1], "abc", 3), 3);
    loop_->look_first();
    EXPECT_EQ(finish(receiving), 3);
    ::close(pair.fds[1]);
}

TEST_P(LoopLooks, FindWhatComesWhileItLooks) {
    SocketPair pair;
    ASSERT_EQ(fcntl(pair.fds[1], F_SETFL, 0), 0);
    std::thread peer([fd = pair.fds[1]] {
        for (char byte = 0; ::read(fd, &byte, 1) == 1;)
            if (::write(fd, &byte, 1) != 1) return;
    });
    {
        OpenFile ours(*loop_, pair.fds[0]);
        Probe sending;
        Probe receiving;
        sending.patient = true;
        for (int round = 0; round < 1000; ++round) {
            char out = static_cast<char>(round);
            char in = 0;
            iovec from{&out, 1};
            iovec into{&in, 1};
            loop_->send(sending, ours, &from, 1);
            loop_->receive(receiving, ours, &into, 1);
            loop_->look_first();
            ASSERT_EQ(finish(receiving), 1);
            ASSERT_EQ(in, out);
        }
        const LoopCounters& counters = loop_->counters();
        EXPECT_LE(counters.looks_found, counters.looks);
        if (looks()) {
            EXPECT_GT(counters.looks, 0u);
        }
        RecordProperty("found", static_cast<int>(counters.looks_found));
        ASSERT_EQ(::shutdown(ours.fd(), SHUT_RDWR), 0);
        peer.join();
    }
    ::close(pair.fds[1]);
}

TEST_P(LoopLooks, AreEndedByAMessageOfAnotherThread) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    struct Note : Message {
        bool arrived = false;
    } note;
    note.run = [](Message& message) { static_cast<Note&>(message).arrived = true; };
    char buffer[16];
    iovec into{buffer, sizeof buffer};
    Probe receiving;
    loop_->receive(receiving, ours, &into, 1);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    loop_->look_first();
    std::thread other([&] { loop_->post(note); });
    turn_until([&] { return note.arrived; });
    other.join();
    loop_->cancel(receiving);
    finish(receiving);
    ::close(pair.fds[1]);
}

}  // namespace
}  // namespace braidway::loop
