// SPDX-License-Identifier: Apache-2.0
#include "loop/stream.h"

#include <cerrno>
#include <string>

#include "fixture.h"

namespace braidway::loop {
namespace {

/// A stream of ours and the other end of its socket.
class LoopStream : public LoopTest {
  protected:
    void SetUp() override {
        LoopTest::SetUp();
        const SocketPair pair(AF_INET);
        stream_ = std::make_unique<SocketStream>(*loop_, pair.fds[0]);
        peer_ = pair.fds[1];
    }
    void TearDown() override {
        stream_.reset();
        if (peer_ >= 0) ::close(peer_);
    }
    std::string read_at_peer() {
        char buffer[64];
        const ssize_t count = ::recv(peer_, buffer, sizeof buffer, 0);
        return count < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(count));
    }

    std::unique_ptr<SocketStream> stream_;
    int peer_ = -1;
    Probe probe_;
    char buffer_[64];
    iovec iov_{buffer_, sizeof buffer_};
};
ON_BOTH_BACKENDS(LoopStream);

TEST_P(LoopStream, CarriesBytesBothWays) {
    Stream& stream = *stream_;
    ASSERT_EQ(::send(peer_, "ping", 4, 0), 4);
    stream.receive(probe_, &iov_, 1);
    EXPECT_EQ(probe_.ended, 0) << "done runs from the loop, not inside the call";
    EXPECT_EQ(finish(probe_), 4);
    EXPECT_EQ(std::string(buffer_, 4), "ping");
    iov_.iov_len = 4;
    stream.send(probe_, &iov_, 1);
    EXPECT_EQ(finish(probe_), 4);
    EXPECT_EQ(read_at_peer(), "ping");
}

TEST_P(LoopStream, EndsAReceiveThatIsCancelled) {
    stream_->receive(probe_, &iov_, 1);
    loop_->turn(monotonic_now());
    stream_->cancel(probe_);
    EXPECT_EQ(finish(probe_), -ECANCELED);
    stream_->cancel(probe_);
    EXPECT_TRUE(probe_.idle()) << "one that has ended is left alone";
}

TEST_P(LoopStream, SeesThePeerEndAndMayStillSend) {
    ::shutdown(peer_, SHUT_WR);
    stream_->receive(probe_, &iov_, 1);
    EXPECT_EQ(finish(probe_), 0);
    iov_ = {const_cast<char*>("late"), 4};
    stream_->send(probe_, &iov_, 1);
    EXPECT_EQ(finish(probe_), 4);
    EXPECT_EQ(read_at_peer(), "late");
}

TEST_P(LoopStream, TellsThePeerThatNothingMoreComesAndStillReceives) {
    stream_->end_sending();
    EXPECT_EQ(read_at_peer(), "");
    ASSERT_EQ(::send(peer_, "reply", 5, 0), 5);
    stream_->receive(probe_, &iov_, 1);
    EXPECT_EQ(finish(probe_), 5);
}

TEST_P(LoopStream, ShuttingDownEndsWhatIsUnderWay) {
    stream_->receive(probe_, &iov_, 1);
    loop_->turn(monotonic_now());
    stream_->shut_down();
    EXPECT_LE(finish(probe_), 0);
    EXPECT_EQ(read_at_peer(), "");
}

TEST_P(LoopStream, OwnsItsSocket) {
    const int fd = stream_->fd();
    EXPECT_EQ(stream_->file().fd, fd);
    stream_.reset();
    loop_->turn(monotonic_now());
    EXPECT_EQ(read_at_peer(), "");
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

}  // namespace
}  // namespace braidway::loop
