// SPDX-License-Identifier: Apache-2.0
#include "path/nbd_device.h"

#include <poll.h>

#include <thread>

#include "nbd_world.h"

namespace braidway::path {
namespace {

using namespace wire::nbd;

class NbdDeviceTest : public NbdDeviceWorld {
  protected:
    NbdDeviceTest() { options_.connections = 1; }
};

TEST_F(NbdDeviceTest, ReadsAndWritesWithAnswersInAnyOrder) {
    connect_and_admit();
    Client read(IoOp::read, 4096, 4096);
    Client write(IoOp::write, 8192, 512, 0x33);
    read.submit(*device_);
    write.submit(*device_);
    const Asked asked_read = next_asked();
    const Asked asked_write = next_asked();
    EXPECT_EQ(asked_read.command, cmd_read);
    EXPECT_EQ(asked_read.offset, 4096u);
    EXPECT_EQ(asked_read.length, 4096u);
    EXPECT_EQ(asked_write.payload, std::string(512, '\x33'));
    first().answer(asked_write);
    pump_until([&] { return write.ended == 1; });
    EXPECT_EQ(read.ended, 0);
    first().answer(asked_read, 0, std::string(4096, 'r'));
    pump_until([&] { return read.ended == 1; });
    EXPECT_EQ(read.status, IoStatus::ok);
    EXPECT_TRUE(read.all('r'));
}

TEST_F(NbdDeviceTest, PassesOnWhatItIsAskedInTheWordsOfTheProtocol) {
    connect_and_admit();
    const auto flags_of = [&](IoOp op, auto prepare) {
        Client client(op, 0, 4096);
        prepare(client.request);
        client.submit(*device_);
        const Asked asked = next_asked();
        first().answer(asked);
        pump_until([&] { return client.ended == 1; });
        EXPECT_EQ(client.status, IoStatus::ok);
        return std::pair{asked.command, asked.flags};
    };
    using Said = std::pair<uint16_t, uint16_t>;
    const auto nothing = [](block::Request&) {};
    EXPECT_EQ(flags_of(IoOp::flush, nothing), Said(cmd_flush, 0));
    EXPECT_EQ(flags_of(IoOp::discard, nothing), Said(cmd_trim, 0));
    EXPECT_EQ(flags_of(IoOp::write, [](block::Request& r) { r.fua = true; }),
              Said(cmd_write, cmd_flag_fua));
    EXPECT_EQ(flags_of(IoOp::write_zeroes, nothing), Said(cmd_write_zeroes, cmd_flag_no_hole));
    EXPECT_EQ(flags_of(IoOp::write_zeroes, [](block::Request& r) { r.may_unmap = true; }),
              Said(cmd_write_zeroes, 0));
}

TEST_F(NbdDeviceTest, NeverAsksForWhatTheServerHasNotOffered) {
    server_.shown.flags = has_flags;
    connect_and_admit();
    EXPECT_FALSE(finding_.geometry.can_flush);
    for (const IoOp op :
         {IoOp::flush, IoOp::discard, IoOp::write_zeroes, IoOp::block_status, IoOp::cache}) {
        Client client(op, 0, 4096);
        client.submit(*device_);
        pump_until([&] { return client.ended == 1; });
        EXPECT_EQ(client.status, IoStatus::not_supported) << io_op_name(op);
    }
    Client fast(IoOp::write_zeroes, 0, 4096);
    fast.request.fast_zero = true;
    fast.submit(*device_);
    pump_until([&] { return fast.ended == 1; });
    EXPECT_EQ(fast.status, IoStatus::not_supported);
    EXPECT_TRUE(server_.asked.empty());
}

TEST_F(NbdDeviceTest, AnswersOfflineUntilItIsAdmitted) {
    ASSERT_TRUE(connect().has_value());
    Client write(IoOp::write, 0, 512);
    write.submit(*device_);
    pump_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::offline);
    EXPECT_FALSE(write.request.outcome_unknown);
    pump_for(5ms);
    EXPECT_TRUE(server_.asked.empty());
}

TEST_F(NbdDeviceTest, TakesLongRequestsApart) {
    server_.shown.maximum_payload = 8192;
    server_.shown.minimum_block = 512;
    connect_and_admit();
    Client write(IoOp::write, 4096, 20480, 0x11);
    write.submit(*device_);
    uint64_t offset = 4096;
    for (const uint32_t length : {8192u, 8192u, 4096u}) {
        const Asked asked = next_asked();
        EXPECT_EQ(asked.offset, offset);
        EXPECT_EQ(asked.length, length);
        offset += length;
        EXPECT_EQ(write.ended, 0);
        first().answer(asked);
    }
    pump_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::ok);
    Client read(IoOp::read, 0, 16384);
    read.submit(*device_);
    first().answer(next_asked(), 0, std::string(8192, 'a'));
    first().answer(next_asked(), 0, std::string(8192, 'a'));
    pump_until([&] { return read.ended == 1; });
    EXPECT_TRUE(read.all('a'));
}

TEST_F(NbdDeviceTest, ClassifiesWhatTheServerAnswers) {
    connect_and_admit();
    const std::pair<uint32_t, IoStatus> rows[]{{error_eio, IoStatus::io},
                                               {error_enospc, IoStatus::no_space},
                                               {error_eshutdown, IoStatus::transport},
                                               {error_eperm, IoStatus::target}};
    for (const auto& [error, status] : rows) {
        Client write(IoOp::write, 0, 512);
        write.submit(*device_);
        first().answer(next_asked(), error);
        pump_until([&] { return write.ended == 1; });
        EXPECT_EQ(write.status, status);
        // It was answered: the server does nothing more about it.
        EXPECT_FALSE(write.request.outcome_unknown);
    }
    EXPECT_TRUE(device_->connected());
}

TEST_F(NbdDeviceTest, AQuickServerGetsWhatIsAskedTogetherOnOneConnection) {
    options_.connections = 3;
    connect_and_admit();
    std::deque<Client> clients;
    for (uint32_t at = 0; at < limits::nbd_path_window + 1; ++at) {
        clients.emplace_back(IoOp::read, at * 4096 % (1u << 20), 4096);
        clients.back().submit(*device_);
    }
    pump_for(5ms);
    ASSERT_EQ(server_.asked.size(), clients.size());
    for (uint32_t at = 0; at < limits::nbd_path_window; ++at)
        EXPECT_EQ(server_.asked[at].offset, at * 4096u);
    server_.peers[1].answer(server_.asked.back(), 0, std::string(4096, 'x'));
    pump_until([&] { return clients.back().ended == 1; });
    EXPECT_EQ(clients.back().status, IoStatus::ok);
    server_.stop();
    pump_until([&] { return std::ranges::all_of(clients, [](auto& c) { return c.ended == 1; }); });
}

TEST_F(NbdDeviceTest, ASlowServersConnectionIsFilledWithWhatItWorksOnBeforeTheNext) {
    options_.connections = 3;
    connect_and_admit();
    EXPECT_EQ(server_.entered(), 3u);
    EXPECT_EQ(device_->connections(), 3u);
    Client slow;
    slow.submit(*device_);
    const Asked first_one = next_asked();
    pump_for(20ms);
    first().answer(first_one, 0, std::string(4096, 'x'));
    pump_until([&] { return slow.ended == 1; });
    std::deque<Client> clients;
    for (uint32_t at = 0; at < 2 * limits::nbd_path_fill; ++at) {
        clients.emplace_back(IoOp::read, at * 4096, 4096);
        clients.back().submit(*device_);
    }
    pump_for(5ms);
    EXPECT_EQ(server_.asked.size(), clients.size());
    // The scripted peers are asked in turn: the first connection's come first.
    for (uint32_t at = 0; at < limits::nbd_path_fill; ++at)
        EXPECT_EQ(server_.asked[at].offset, at * 4096u);
    server_.stop();
    pump_until([&] { return std::ranges::all_of(clients, [](auto& c) { return c.ended == 1; }); });
}

TEST_F(NbdDeviceTest, AWindowOfCommandsIsWithTheServerAndTheRestIsSurelyNot) {
    connect_and_admit();
    std::deque<Client> clients;
    for (uint32_t at = 0; at < limits::nbd_path_window + 10; ++at) {
        clients.emplace_back(IoOp::write, at * 512, 512);
        clients.back().submit(*device_);
    }
    pump_for(5ms);
    EXPECT_EQ(server_.asked.size(), limits::nbd_path_window);
    server_.stop();
    pump_until([&] { return std::ranges::all_of(clients, [](auto& c) { return c.ended == 1; }); });
    for (uint32_t at = 0; at < clients.size(); ++at) {
        EXPECT_EQ(clients[at].status, IoStatus::transport);
        EXPECT_EQ(clients[at].request.outcome_unknown, at < limits::nbd_path_window) << at;
    }
    EXPECT_EQ(device_->doubts().unsettled, limits::nbd_path_window);
}

TEST_F(NbdDeviceTest, ReadsThatWereSentCanGoElsewhereAtOnce) {
    connect_and_admit();
    Client read;
    read.submit(*device_);
    next_asked();
    server_.stop();
    pump_until([&] { return read.ended == 1; });
    EXPECT_EQ(read.status, IoStatus::transport);
    EXPECT_FALSE(read.request.outcome_unknown);
    EXPECT_FALSE(device_->in_doubt());
    EXPECT_EQ(lost_, std::vector<std::string>{"the server closed the connection"});
    Client next;
    next.submit(*device_);
    pump_until([&] { return next.ended == 1; });
    EXPECT_EQ(next.status, IoStatus::offline);
}

TEST_F(NbdDeviceTest, ASilentServerCostsTheDeadlineAndLeavesWritesInDoubt) {
    options_.io_timeout = 60ms;
    options_.resend_quiesce = 80ms;
    connect_and_admit();
    server_.silent = true;
    Client read;
    Client write(IoOp::write);
    const Instant begun = monotonic_now();
    read.submit(*device_);
    write.submit(*device_);
    pump_until([&] { return read.ended + write.ended == 2; });
    const Duration took = monotonic_now() - begun;
    EXPECT_GE(took, 60ms);
    EXPECT_EQ(read.status, IoStatus::timeout);
    EXPECT_FALSE(read.request.outcome_unknown);
    EXPECT_EQ(write.status, IoStatus::timeout);
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_TRUE(settled_.empty());
    // The server (this process) lives: only time can tell.
    const Instant ended = monotonic_now();
    pump_until([&] { return !settled_.empty(); });
    EXPECT_GE(monotonic_now() - ended, 70ms);
    EXPECT_EQ(settled_, std::vector<bool>{true});
    EXPECT_EQ(device_->doubts().at_risk, 1u);
    EXPECT_EQ(lost_, std::vector<std::string>{"no answer from the server in 60 ms"});
}

TEST_F(NbdDeviceTest, AServerThatDropsWhatWasClosedSettlesAtOnce) {
    options_.drops_closed = true;
    connect_and_admit();
    Client write(IoOp::write);
    write.submit(*device_);
    next_asked();
    server_.stop();
    pump_until([&] { return write.ended == 1; });
    EXPECT_TRUE(write.request.outcome_unknown);
    EXPECT_EQ(settled_, std::vector<bool>{false});
    EXPECT_EQ(device_->doubts().at_risk, 0u);
}

TEST_F(NbdDeviceTest, WithoutQuiesceAWriteIsARiskAtOnce) {
    options_.resend_quiesce = {};
    connect_and_admit();
    Client write(IoOp::write);
    write.submit(*device_);
    next_asked();
    server_.stop();
    pump_until([&] { return !settled_.empty(); });
    EXPECT_EQ(settled_, std::vector<bool>{true});
}

TEST_F(NbdDeviceTest, NonsenseEndsTheConnectionAndNotTheProcess) {
    connect_and_admit();
    Client write(IoOp::write);
    write.submit(*device_);
    const Asked asked = next_asked();
    first().answer({.cookie = asked.cookie + 1});
    pump_until([&] { return write.ended == 1; });
    EXPECT_EQ(write.status, IoStatus::transport);
    EXPECT_TRUE(write.request.outcome_unknown);
    ASSERT_EQ(lost_.size(), 1u);
    EXPECT_NE(lost_[0].find("which nothing waits for"), std::string::npos) << lost_[0];
}

TEST_F(NbdDeviceTest, ACutInTheMiddleOfAnAnswerIsNoAnswer) {
    connect_and_admit();
    Client read(IoOp::read, 0, 65536);
    read.submit(*device_);
    const Asked asked = next_asked();
    first().answer(asked, 0, std::string(30000, 'x'));
    pump_for(5ms);
    EXPECT_EQ(read.ended, 0);
    server_.stop();
    pump_until([&] { return read.ended == 1; });
    EXPECT_EQ(read.status, IoStatus::transport);
}

TEST_F(NbdDeviceTest, AnAnswerInTinyPiecesIsOneAnswer) {
    connect_and_admit();
    Client read(IoOp::read, 0, 40000 / 512 * 512);
    read.submit(*device_);
    const Asked asked = next_asked();
    std::string bytes;
    const Bytes head = Bytes().u32(simple_reply_magic).u32(0).u64(asked.cookie);
    for (const std::byte each : head.get()) bytes += static_cast<char>(each);
    for (uint32_t at = 0; at < asked.length; ++at) bytes += static_cast<char>(at % 251);
    for (size_t at = 0; at < bytes.size(); at += 977) {
        first().send(std::as_bytes(std::span(bytes))
                         .subspan(at)
                         .first(std::min<size_t>(977, bytes.size() - at)));
        pump_for(0ms);
        loop_->turn(Instant{0});
    }
    pump_until([&] { return read.ended == 1; });
    const auto* got = static_cast<const unsigned char*>(read.data.iov_base);
    for (uint32_t at = 0; at < asked.length; ++at) ASSERT_EQ(got[at], at % 251) << at;
}

TEST_F(NbdDeviceTest, AnIdleConnectionIsKeptKnownToBeAlive) {
    options_.keepalive = 30ms;
    options_.io_timeout = 50ms;
    connect_and_admit();
    const Asked asked = next_asked();
    EXPECT_EQ(asked.command, cmd_read);
    EXPECT_EQ(asked.length, 1u);
    first().answer(asked, 0, "x");
    next_asked();  // And again; this one is not answered.
    pump_until([&] { return !lost_.empty(); });
    EXPECT_EQ(lost_[0],
              "no answer from the server in 50 ms to a read that keeps an idle connection");
}

TEST_F(NbdDeviceTest, AConnectionInUseIsNotProbed) {
    options_.keepalive = 20ms;
    connect_and_admit();
    for (int round = 0; round < 30; ++round) {
        Client read(IoOp::read, 4096, 512);
        read.submit(*device_);
        const Asked asked = next_asked();
        EXPECT_EQ(asked.offset, 4096u);
        first().answer(asked, 0, std::string(512, 'x'));
        pump_until([&] { return read.ended == 1; });
        pump_for(2ms);
    }
}

TEST_F(NbdDeviceTest, SystemCallsPerCommandAreFew) {
    connect_and_admit();
    if (loop_->backend() != loop::Backend::io_uring) GTEST_SKIP() << "no io_uring here";
    const uint64_t before = loop_->counters().system_calls;
    std::deque<Client> clients;
    for (uint32_t at = 0; at < 32; ++at) {
        clients.emplace_back(IoOp::read, at * 512, 512);
        clients.back().submit(*device_);
    }
    loop_->turn(Instant{0});
    loop_->turn(Instant{0});
    server_.work();
    ASSERT_EQ(server_.asked.size(), 32u);
    for (const Asked& asked : server_.asked) first().answer(asked, 0, std::string(512, 'x'));
    while (std::ranges::any_of(clients, [](auto& client) { return client.ended == 0; }))
        loop_->turn(monotonic_now() + 1ms);
    const uint64_t calls = loop_->counters().system_calls - before;
    RecordProperty("calls", static_cast<int>(calls));
    EXPECT_LE(calls, 10u) << "for 32 commands: 0.3 each is the aim";
}

TEST_F(NbdDeviceTest, ACommandAndItsAnswerAreOneWait) {
    connect_and_admit();
    if (loop_->description().find("single issuer") == std::string_view::npos)
        GTEST_SKIP() << "not with " << loop_->description();
    constexpr int rounds = 200;
    std::thread serving([&] {
        for (int round = 0; round < rounds; ++round) {
            pollfd ready{first().fd(), POLLIN, 0};
            ::poll(&ready, 1, 10000);
            server_.work();
            if (server_.asked.empty()) return;
            first().answer(server_.asked.front(), 0, std::string(512, 'x'));
            server_.asked.pop_front();
        }
    });
    const loop::LoopCounters before = loop_->counters();
    Client read(IoOp::read, 4096, 512);
    read.on_end = [&](Client& client) {
        if (client.ended == rounds) return;
        client.prepare(IoOp::read, 4096, 512);
        client.submit(*device_);
    };
    read.submit(*device_);
    turn_until([&] { return read.ended == rounds; });
    serving.join();
    const loop::LoopCounters after = loop_->counters();
    // A turn sends a command and comes back with its answer: one call, and another one where it
    // looked before it slept.
    EXPECT_LE(after.turns - before.turns, uint64_t{rounds} * 11 / 10);
    const uint64_t looks = after.looks - before.looks;
    EXPECT_LE(after.system_calls - before.system_calls, uint64_t{rounds} * 11 / 10 + looks);
    EXPECT_LE(looks, uint64_t{rounds});
}

}  // namespace
}  // namespace braidway::path
