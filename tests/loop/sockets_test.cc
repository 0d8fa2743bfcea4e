// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <array>
#include <cstring>
#include <thread>
#include <vector>

#include "fixture.h"

namespace braidway::loop {
namespace {

class LoopSockets : public LoopTest {
  protected:
    void expect_pending(Probe& probe) {
        const int before = probe.ended;
        loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
        loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
        EXPECT_EQ(probe.ended, before) << "ended with " << probe.result;
    }
};
ON_BOTH_BACKENDS(LoopSockets);

TEST_P(LoopSockets, ReceiveWaitsForTheFirstByte) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char buffer[64];
    iovec iov{buffer, sizeof buffer};
    Probe probe;
    loop_->receive(probe, ours, &iov, 1);
    expect_pending(probe);
    ASSERT_EQ(::write(theirs.fd(), "hello", 5), 5);
    EXPECT_EQ(finish(probe), 5);
    EXPECT_EQ(std::string_view(buffer, 5), "hello");
    // And once more, after data that came before the call.
    ASSERT_EQ(::write(theirs.fd(), "again", 5), 5);
    loop_->receive(probe, ours, &iov, 1);
    EXPECT_EQ(probe.ended, 1) << "done runs from the loop, not inside the call";
    EXPECT_EQ(finish(probe), 5);
    loop_->receive(probe, ours, &iov, 1);
    expect_pending(probe);
    ASSERT_EQ(::write(theirs.fd(), "!", 1), 1);
    EXPECT_EQ(finish(probe), 1);
}

TEST_P(LoopSockets, ReceivesIntoSeveralBuffers) {
    SocketPair pair(AF_INET);
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char head[3];
    char tail[16];
    std::array<iovec, 2> iov{iovec{head, 3}, {tail, 16}};
    Probe probe;
    loop_->receive(probe, ours, iov.data(), 2);
    expect_pending(probe);
    ASSERT_EQ(::write(theirs.fd(), "abcdef", 6), 6);
    EXPECT_EQ(finish(probe), 6);
    EXPECT_EQ(std::string_view(head, 3), "abc");
    EXPECT_EQ(std::string_view(tail, 3), "def");
}

TEST_P(LoopSockets, TakesAllThatIsThereInSmallPieces) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    ASSERT_EQ(::write(theirs.fd(), "abcdefghij", 10), 10);
    std::string got;
    char piece[4];
    iovec iov{piece, sizeof piece};
    Probe probe;
    while (got.size() < 10) {
        loop_->receive(probe, ours, &iov, 1);
        const int32_t count = finish(probe);
        ASSERT_GT(count, 0);
        got.append(piece, static_cast<size_t>(count));
    }
    EXPECT_EQ(got, "abcdefghij");
}

TEST_P(LoopSockets, ReceiveGivesTheRestAndThenZeroWhenThePeerHasClosedItsSide) {
    for (const int family : {AF_UNIX, AF_INET}) {
        SocketPair pair(family);
        OpenFile ours(*loop_, pair.fds[0]);
        OpenFile theirs(*loop_, pair.fds[1]);
        char buffer[64];
        iovec iov{buffer, sizeof buffer};
        Probe probe;
        loop_->receive(probe, ours, &iov, 1);
        expect_pending(probe);
        // Both come before the loop looks: there is one edge for two events.
        ASSERT_EQ(::write(theirs.fd(), "bye", 3), 3);
        ASSERT_EQ(shutdown(theirs.fd(), SHUT_WR), 0);
        EXPECT_EQ(finish(probe), 3);
        loop_->receive(probe, ours, &iov, 1);
        EXPECT_EQ(finish(probe), 0);
        loop_->receive(probe, ours, &iov, 1);
        EXPECT_EQ(finish(probe), 0) << "and so it stays";
        // The other direction still works.
        iovec reply{buffer, 2};
        loop_->send(probe, ours, &reply, 1);
        EXPECT_EQ(finish(probe), 2);
    }
}

TEST_P(LoopSockets, AHalfCloseThatCameAfterAShortReceiveIsSeen) {
    SocketPair pair(AF_INET);
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char buffer[64];
    iovec iov{buffer, sizeof buffer};
    Probe probe;
    ASSERT_EQ(::write(theirs.fd(), "abc", 3), 3);
    loop_->receive(probe, ours, &iov, 1);
    EXPECT_EQ(finish(probe), 3);
    ASSERT_EQ(shutdown(theirs.fd(), SHUT_WR), 0);
    loop_->receive(probe, ours, &iov, 1);
    EXPECT_EQ(finish(probe), 0);
}

TEST_P(LoopSockets, ReportsAReset) {
    SocketPair pair(AF_INET);
    OpenFile ours(*loop_, pair.fds[0]);
    char buffer[64];
    iovec iov{buffer, sizeof buffer};
    Probe probe;
    loop_->receive(probe, ours, &iov, 1);
    expect_pending(probe);
    linger now{1, 0};
    ASSERT_EQ(setsockopt(pair.fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    ::close(pair.fds[1]);
    EXPECT_EQ(finish(probe), -ECONNRESET);
    loop_->send(probe, ours, &iov, 1);
    EXPECT_EQ(finish(probe), -EPIPE) << "and no signal";
}

/// Takes `bytes` from `fd` in small pieces, as a slow client does.
void read_slowly(int fd, size_t bytes, std::vector<char>& into) {
    while (into.size() < bytes) {
        pollfd ready{fd, POLLIN, 0};
        ::poll(&ready, 1, -1);
        char piece[3000];
        const ssize_t count = recv(fd, piece, sizeof piece, 0);
        if (count <= 0) return;
        into.insert(into.end(), piece, piece + count);
    }
}

TEST_P(LoopSockets, SendsMoreThanTheSocketHoldsToASlowReader) {
    for (const int family : {AF_UNIX, AF_INET}) {
        SocketPair pair(family);
        OpenFile ours(*loop_, pair.fds[0]);
        constexpr size_t bytes = 8 << 20;
        std::vector<char> data(bytes);
        for (size_t at = 0; at < bytes; ++at) data[at] = static_cast<char>(at * 7 / 5);
        std::vector<char> got;
        std::thread reader([&] { read_slowly(pair.fds[1], bytes, got); });
        size_t sent = 0;
        Probe probe;
        while (sent < bytes) {
            const size_t half = (bytes - sent) / 2;
            std::array<iovec, 2> iov{iovec{data.data() + sent, half},
                                     {data.data() + sent + half, bytes - sent - half}};
            loop_->send(probe, ours, iov.data(), 2);
            const int32_t count = finish(probe);
            ASSERT_GT(count, 0);
            sent += static_cast<size_t>(count);
        }
        reader.join();
        EXPECT_EQ(got, data);
        ::close(pair.fds[1]);
    }
}

TEST_P(LoopSockets, SendEndsWithAnErrorWhenThePeerGoesWhileItWaits) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    std::vector<char> data(8 << 20);
    iovec iov{data.data(), data.size()};
    Probe probe;
    loop_->send(probe, ours, &iov, 1);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    if (probe.ended == 0) {
        ::close(pair.fds[1]);
        const int32_t result = finish(probe);
        EXPECT_TRUE(result > 0 || result == -EPIPE || result == -ECONNRESET) << result;
    } else {
        loop_->send(probe, ours, &iov, 1);
        loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
        EXPECT_EQ(probe.ended, 1) << "there is no room";
        ::close(pair.fds[1]);
        finish(probe);
    }
    loop_->send(probe, ours, &iov, 1);
    EXPECT_EQ(finish(probe), -EPIPE);
}

TEST_P(LoopSockets, ReceivesAndSendsOnOneSocketAtOnce) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char in[16];
    iovec in_iov{in, sizeof in};
    std::vector<char> out(4 << 20);
    iovec out_iov{out.data(), out.size()};
    Probe receiving;
    Probe sending;
    loop_->receive(receiving, ours, &in_iov, 1);
    size_t sent = 0;
    size_t taken = 0;
    std::vector<char> sink(1 << 20);
    loop_->send(sending, ours, &out_iov, 1);
    while (sent < out.size()) {
        if (sending.idle()) {
            sent += static_cast<size_t>(sending.result);
            out_iov = {out.data() + sent, out.size() - sent};
            if (out_iov.iov_len > 0) loop_->send(sending, ours, &out_iov, 1);
        }
        loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
        const ssize_t count = recv(theirs.fd(), sink.data(), sink.size(), 0);
        if (count > 0) taken += static_cast<size_t>(count);
    }
    EXPECT_EQ(receiving.ended, 0);
    ASSERT_EQ(::write(theirs.fd(), "x", 1), 1);
    EXPECT_EQ(finish(receiving), 1);
    EXPECT_LE(taken, sent);
}

class Listener {
  public:
    Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        address_.sin_family = AF_INET;
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address_;
        EXPECT_EQ(bind(fd_, generic(), length), 0);
        EXPECT_EQ(getsockname(fd_, generic(), &length), 0);
        EXPECT_EQ(listen(fd_, 64), 0);
    }
    int fd() const { return fd_; }
    int connect_to() {
        const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        EXPECT_EQ(connect(client, generic(), sizeof address_), 0);
        return client;
    }

  private:
    sockaddr* generic() { return reinterpret_cast<sockaddr*>(&address_); }
    int fd_;
    sockaddr_in address_{};
};

TEST_P(LoopSockets, AcceptsNonBlockingConnectionsOneByOne) {
    Listener listener;
    OpenFile file(*loop_, listener.fd());
    Probe probe;
    loop_->accept(probe, file);
    expect_pending(probe);
    std::vector<int> clients;
    for (int count = 0; count < 3; ++count) clients.push_back(listener.connect_to());
    for (int count = 0; count < 3; ++count) {
        if (probe.idle()) loop_->accept(probe, file);
        const int fd = finish(probe);
        ASSERT_GE(fd, 0);
        EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        ::close(fd);
    }
    for (int client : clients) ::close(client);
}

TEST_P(LoopSockets, PollSeesAHangUpWithoutReading) {
    for (const int family : {AF_UNIX, AF_INET}) {
        SocketPair pair(family);
        OpenFile ours(*loop_, pair.fds[0]);
        OpenFile theirs(*loop_, pair.fds[1]);
        Probe probe;
        loop_->poll(probe, ours, POLLRDHUP);
        ASSERT_EQ(::write(theirs.fd(), "unread", 6), 6);
        expect_pending(probe);
        theirs.close();
        EXPECT_NE(finish(probe) & POLLRDHUP, 0);
        loop_->poll(probe, ours, POLLRDHUP);
        EXPECT_NE(finish(probe) & POLLRDHUP, 0) << "what is already so is seen, too";
    }
}

TEST_P(LoopSockets, PollAndReceiveOnOneSocketBothEnd) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char buffer[16];
    iovec iov{buffer, sizeof buffer};
    Probe hang_up;
    Probe receiving;
    loop_->poll(hang_up, ours, POLLRDHUP);
    loop_->receive(receiving, ours, &iov, 1);
    expect_pending(hang_up);
    ASSERT_EQ(::write(theirs.fd(), "abc", 3), 3);
    EXPECT_EQ(finish(receiving), 3);
    EXPECT_EQ(hang_up.ended, 0);
    loop_->receive(receiving, ours, &iov, 1);
    theirs.close();
    EXPECT_EQ(finish(receiving), 0);
    if (hang_up.ended == 0) finish(hang_up);
    EXPECT_NE(hang_up.result & POLLRDHUP, 0);
}

TEST_P(LoopSockets, PollWaitsForAPipe) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    OpenFile reader(*loop_, ends[0]);
    Probe probe;
    loop_->poll(probe, reader, POLLIN);
    expect_pending(probe);
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(finish(probe), POLLIN);
    ::close(ends[1]);
}

TEST_P(LoopSockets, CancelEndsReceiveAcceptPollAndSendOnce) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    Listener listener;
    OpenFile listening(*loop_, listener.fd());
    char buffer[16];
    iovec iov{buffer, sizeof buffer};
    std::vector<char> much(8 << 20);
    iovec much_iov{much.data(), much.size()};
    Probe receiving;
    Probe accepting;
    Probe polling;
    Probe sending;
    loop_->send(sending, theirs, &much_iov, 1);
    loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    while (sending.idle()) {
        loop_->send(sending, theirs, &much_iov, 1);
        loop_->turn(monotonic_now() + std::chrono::milliseconds(1));
    }
    // What fills the socket of `theirs` would be received here; so this one looks the other way.
    loop_->receive(receiving, theirs, &iov, 1);
    loop_->accept(accepting, listening);
    loop_->poll(polling, ours, POLLRDHUP);
    expect_pending(receiving);
    sending.ended = 0;
    for (Probe* probe : {&receiving, &accepting, &polling, &sending}) {
        EXPECT_EQ(probe->ended, 0);
        loop_->cancel(*probe);
        loop_->cancel(*probe);
        EXPECT_EQ(probe->ended, 0) << "done runs from the loop, not inside the call";
    }
    turn_until([&] { return loop_->in_flight() == 0; });
    EXPECT_EQ(receiving.result, -ECANCELED);
    EXPECT_EQ(accepting.result, -ECANCELED);
    EXPECT_EQ(polling.result, -ECANCELED);
    EXPECT_TRUE(sending.result == -ECANCELED || sending.result > 0) << sending.result;
    for (Probe* probe : {&receiving, &accepting, &polling, &sending}) EXPECT_EQ(probe->ended, 1);
}

TEST_P(LoopSockets, CancelRightAfterTheStartEndsOnce) {
    SocketPair pair;
    OpenFile ours(*loop_, pair.fds[0]);
    OpenFile theirs(*loop_, pair.fds[1]);
    char buffer[16];
    iovec iov{buffer, sizeof buffer};
    Probe probe;
    loop_->receive(probe, ours, &iov, 1);
    loop_->cancel(probe);
    EXPECT_EQ(finish(probe), -ECANCELED);
    // The cancellation is spent: it does not hit the next use of the same operation.
    loop_->receive(probe, ours, &iov, 1);
    expect_pending(probe);
    ASSERT_EQ(::write(theirs.fd(), "x", 1), 1);
    EXPECT_EQ(finish(probe), 1);
}

}  // namespace
}  // namespace braidway::loop
