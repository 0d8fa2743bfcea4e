// SPDX-License-Identifier: Apache-2.0
// Sends whose end nobody waits for: the answer is what the loop wakes for.
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "fixture.h"

namespace braidway::loop {
namespace {

class LoopPatientSends : public LoopTest {
  protected:
    void SetUp() override {
        LoopTest::SetUp();
        probe_.patient = true;
    }
    /// Turns the loop for a moment, as something else that happens would.
    void nudge() { loop_->turn(monotonic_now() + std::chrono::milliseconds(1)); }
    /// Whether a request and its answer may be one call.
    bool quick() const {
        return loop_->description().find("single issuer") != std::string_view::npos;
    }
    /// Whether a send that does not fit ends with what did.
    bool short_sends() const { return quick() || GetParam() == Backend::epoll; }
    void send(OpenFile& file, const char* from, size_t bytes) {
        iov_ = {const_cast<char*>(from), bytes};
        loop_->send(probe_, file, &iov_, 1);
    }

    Probe probe_;
    iovec iov_{};
};
ON_BOTH_BACKENDS(LoopPatientSends);

/// Sends back what comes, until the peer has closed.
void echo(int fd) {
    char piece[64];
    for (ssize_t count = 0; (count = ::read(fd, piece, sizeof piece)) > 0;)
        if (::write(fd, piece, static_cast<size_t>(count)) != count) return;
}

TEST_P(LoopPatientSends, ARoundTripIsOneSystemCall) {
    SocketPair pair;
    ASSERT_EQ(fcntl(pair.fds[1], F_SETFL, 0), 0);
    std::thread peer(echo, pair.fds[1]);
    constexpr unsigned rounds = 200;
    {
        OpenFile ours(*loop_, pair.fds[0]);
        char answer[64];
        iovec into{answer, sizeof answer};
        Probe receiving;
        const uint64_t before = loop_->counters().system_calls;
        for (unsigned round = 0; round < rounds; ++round) {
            // Asked for before; goes to the kernel after it.
            loop_->receive(receiving, ours, &into, 1);
            send(ours, "ping", 4);
            EXPECT_EQ(finish(receiving), 4);
            ASSERT_EQ(probe_.ended, static_cast<int>(round) + 1) << "told before the answer";
            EXPECT_EQ(probe_.result, 4);
        }
        const uint64_t calls = loop_->counters().system_calls - before;
        if (quick()) {
            EXPECT_EQ(calls, rounds);
        }
        ASSERT_EQ(::shutdown(ours.fd(), SHUT_RDWR), 0);
        peer.join();
    }
    ::close(pair.fds[1]);
}

TEST_P(LoopPatientSends, WaitForRoomAsOthersDo) {
    for (const int family : {AF_UNIX, AF_INET}) {
        SocketPair pair(family);
        OpenFile ours(*loop_, pair.fds[0]);
        std::vector<char> much(1 << 20);
        size_t filled = 0;
        for (ssize_t count = 0; count >= 0;
             filled += static_cast<size_t>(std::max(count, ssize_t{0})))
            count = ::send(ours.fd(), much.data(), much.size(), MSG_DONTWAIT);
        const int before = probe_.ended;
        send(ours, "tail", 4);
        nudge();
        nudge();
        EXPECT_EQ(probe_.ended, before) << "there is no room: " << probe_.result;
        std::string got;
        while (got.size() < filled + 4) {
            const ssize_t count = recv(pair.fds[1], much.data(), much.size(), MSG_DONTWAIT);
            if (count > 0) got.append(much.data(), static_cast<size_t>(count));
            if (count <= 0) nudge();
        }
        nudge();
        EXPECT_EQ(probe_.ended, before + 1);
        EXPECT_EQ(probe_.result, 4);
        EXPECT_TRUE(got.ends_with("tail"));
        ::close(pair.fds[1]);
    }
}

TEST_P(LoopPatientSends, LoseNothingToASlowReader) {
    unsigned parts = 0;
    for (const int family : {AF_UNIX, AF_INET}) {
        SocketPair pair(family);
        OpenFile ours(*loop_, pair.fds[0]);
        // Small, so that already the first finds room for a part of it.
        const int room = 20000;
        ASSERT_EQ(setsockopt(ours.fd(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
        std::vector<char> data(2 << 20);
        for (size_t at = 0; at < data.size(); ++at) data[at] = static_cast<char>(at * 7 / 5);
        std::vector<char> got;
        std::atomic<bool> read = !short_sends();
        std::thread reader([&] {
            read.wait(false);
            while (got.size() < data.size()) {
                pollfd ready{pair.fds[1], POLLIN, 0};
                ::poll(&ready, 1, -1);
                char piece[3000];
                const ssize_t count = recv(pair.fds[1], piece, sizeof piece, 0);
                if (count <= 0) return;
                got.insert(got.end(), piece, piece + count);
            }
        });
        for (size_t sent = 0; sent < data.size();) {
            const size_t bytes = std::min<size_t>(data.size() - sent, 60000);
            const int before = probe_.ended;
            send(ours, data.data() + sent, bytes);
            turn_until([&] {
                if (probe_.ended == before) nudge();
                return probe_.ended > before;
            });
            ASSERT_GT(probe_.result, 0);
            if (static_cast<size_t>(probe_.result) < bytes) ++parts;
            sent += static_cast<size_t>(probe_.result);
            read = true;
            read.notify_one();
        }
        reader.join();
        EXPECT_EQ(got, data);
        ::close(pair.fds[1]);
    }
    if (short_sends()) {
        EXPECT_GT(parts, 0u) << "no send went in part: this has shown nothing";
    }
}

TEST_P(LoopPatientSends, AreToldOfAtOnceWhenSomebodyBeginsToWait) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    send(ours, "abc", 3);
    probe_.patient = false;
    const Instant before = monotonic_now();
    EXPECT_EQ(finish(probe_), 3);
    EXPECT_LT(monotonic_now() - before, std::chrono::seconds(10));
}

TEST_P(LoopPatientSends, SayThatThePeerHasGone) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    ::close(pair.fds[1]);
    send(ours, "abc", 3);
    EXPECT_EQ(finish(probe_), -EPIPE) << "and no signal";
}

TEST_P(LoopPatientSends, EndOnceWhenTheyAreCancelled) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    // At once, and while it waits for room.
    send(ours, "abc", 3);
    loop_->cancel(probe_);
    loop_->cancel(probe_);
    const int32_t result = finish(probe_);
    EXPECT_TRUE(result == 3 || result == -ECANCELED) << result;
    std::vector<char> much(1 << 20);
    while (::send(ours.fd(), much.data(), much.size(), MSG_DONTWAIT) > 0) continue;
    probe_.patient = true;
    send(ours, "abc", 3);
    nudge();
    ASSERT_EQ(probe_.ended, 1);
    loop_->cancel(probe_);
    EXPECT_EQ(finish(probe_), -ECANCELED);
    // And when there is no room and it was cancelled before that could be seen.
    probe_.patient = true;
    send(ours, "abc", 3);
    loop_->cancel(probe_);
    EXPECT_EQ(finish(probe_), -ECANCELED);
    EXPECT_EQ(loop_->in_flight(), 0u);
}

TEST_P(LoopPatientSends, AsManyAsDoNotFitIntoTheRingAllEnd) {
    constexpr size_t count = 3000;
    std::vector<std::unique_ptr<SocketPair>> pairs;
    std::vector<std::unique_ptr<OpenFile>> files;
    for (size_t at = 0; at < 30; ++at) {
        pairs.push_back(std::make_unique<SocketPair>());
        files.push_back(std::make_unique<OpenFile>(*loop_, pairs.back()->fds[0]));
    }
    std::vector<Probe> probes(count);
    iovec one{const_cast<char*>("x"), 1};
    // Some before the first turn, when none is quick.
    for (size_t at = 0; at < count; ++at) {
        if (at == 100) nudge();
        probes[at].patient = true;
        loop_->send(probes[at], *files[at % files.size()], &one, 1);
    }
    const auto all_ended = [&] {
        return std::ranges::all_of(probes, [](const Probe& each) { return each.ended == 1; });
    };
    while (!all_ended()) nudge();
    for (const Probe& each : probes) EXPECT_EQ(each.result, 1);
    char sink[200];
    for (const auto& pair : pairs) {
        EXPECT_EQ(recv(pair->fds[1], sink, sizeof sink, MSG_DONTWAIT), 100);
        ::close(pair->fds[1]);
    }
}

}  // namespace
}  // namespace braidway::loop
